// How failures are told: as Docker's command line does, or, of roots that no engine knows, as our own.

import { type CommandSpec, UsageError } from './arguments.js';

/** Prints why a command has failed. Returns the exit code. */
export type Tell = (error: unknown, spec: CommandSpec) => number;

/** An error in Docker's words: what the engine said is told as such. By name, so that no client is loaded to tell of others. */
export function wordsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return error instanceof Error && error.name === 'ApiError' ? `Error response from daemon: ${text}` : text;
}

/** Prints an error as Docker's command line does. */
export function complain(error: unknown): void {
  process.stderr.write(`${wordsOf(error)}\n`);
}

/** Does `each` for all names and prints them; one that fails does not keep the others from it. */
export async function forEach(names: readonly string[], each: (name: string) => Promise<string | undefined>): Promise<number> {
  let code = 0;
  for (const name of names) {
    try {
      const said = await each(name);
      if (said !== undefined) process.stdout.write(`${said}\n`);
    } catch (error) {
      complain(error);
      code = 1;
    }
  }
  return code;
}

/** The line that tells how a command is used. */
function usageLine({ command, usage }: CommandSpec): string {
  return `Usage:  ${command} ${usage}`.split('\n')[0] ?? '';
}

const helpLine = ({ command }: CommandSpec): string => `Run '${command} --help' for more information\n`;
const isVolumeSpec = (error: unknown): boolean => (error as Error).name === 'VolumeSpecError';
const codeOf = (error: unknown): number => (error as { exitCode?: number }).exitCode ?? 1;

export const tellAsDocker: Tell = (error, spec) => {
  const words = wordsOf(error);
  const isFlag = words.startsWith('invalid argument ');
  if (error instanceof UsageError || isFlag) {
    // Docker's names itself before a wrong number of arguments, not before a wrong flag.
    const code = isFlag ? 125 : codeOf(error);
    process.stderr.write(`${code === 1 ? 'lamina: ' : ''}${words}\n\n${usageLine(spec)}\n\n${helpLine(spec)}`);
    return code;
  }
  if (isVolumeSpec(error)) {
    process.stderr.write(`lamina: ${words}\n\n${helpLine(spec)}`);
    return 125;
  }
  process.stderr.write(`${words}\n`);
  return codeOf(error);
};

export const tellAsOwn: Tell = (error, spec) => {
  process.stderr.write(`lamina: ${wordsOf(error)}\n${error instanceof UsageError ? `\n${helpLine(spec)}` : ''}`);
  return isVolumeSpec(error) ? 125 : codeOf(error);
};
