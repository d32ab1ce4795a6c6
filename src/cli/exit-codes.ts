// The exit codes of `run` and `exec` for what could not be run. Docker's.

import { ApiError } from '../client/client.js';

/** Nothing was run, or nobody knows how it ended. */
export const ENGINE_FAILED = 125;
const CANNOT_RUN = 126;
const NOT_FOUND = 127;

/** Docker's rule: what the engine said decides. */
export function exitCodeOf(error: unknown): number {
  const text = error instanceof Error ? error.message : '';
  if (!(error instanceof ApiError)) return ENGINE_FAILED;
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(text)) return NOT_FOUND;
  if (/permission denied|is a directory/.test(text)) return CANNOT_RUN;
  return ENGINE_FAILED;
}
