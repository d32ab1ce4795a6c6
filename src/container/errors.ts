// Errors that a client of the engine sees, with Docker's words and the HTTP status that Docker gives them.

export class EngineError extends Error {
  override readonly name = 'EngineError';

  constructor(
    readonly status: 304 | 400 | 401 | 403 | 404 | 409 | 500 | 501 | 503,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

export const badParameter = (message: string): EngineError => new EngineError(400, message);
export const notFound = (message: string): EngineError => new EngineError(404, message);
export const conflict = (message: string): EngineError => new EngineError(409, message);
export const failure = (message: string, cause?: unknown): EngineError => new EngineError(500, message, cause);

export const noSuchContainer = (reference: string): EngineError => notFound(`No such container: ${reference}`);

/** An error as a client is told it; what nobody foresaw keeps its own words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
