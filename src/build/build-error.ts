// The error of a build: its message is what the client prints, in Docker's words.

export class BuildError extends Error {
  override readonly name = 'BuildError';

  constructor(
    message: string,
    /**
     * 400 when the request or the Dockerfile is wrong, 500 when a step failed; what a server of a URL said. Only of use before the
     * first line of output.
     */
    readonly status: 400 | 401 | 403 | 404 | 500 = 500,
    /** Exit code of the command that failed. */
    readonly code?: number,
  ) {
    super(message);
  }
}

/** Something on a line of the Dockerfile that cannot be parsed. */
export function parseError(line: number, message: string): BuildError {
  return new BuildError(`dockerfile parse error on line ${line}: ${message}`, 400);
}

/** The last line of a failed build's answer. */
export function errorLine(error: unknown): { errorDetail: { code?: number; message: string }; error: string } {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof BuildError ? error.code : undefined;
  return { errorDetail: { ...(code === undefined ? {} : { code }), message }, error: message };
}
