// Files of the command line that are sent to the engine.

import { createReadStream, openSync } from 'node:fs';
import type { Readable } from 'node:stream';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
};

/** Why the system refused, in its own words. */
export function reasonOf(error: unknown): string {
  return REASONS[(error as NodeJS.ErrnoException).code ?? ''] ?? (error as Error).message;
}

/** `-` is standard input. Errors: one in the system's words, before anything is sent. */
export function openUpload(file: string): Readable {
  if (file === '-') return process.stdin;
  try {
    return createReadStream('', { fd: openSync(file, 'r') });
  } catch (error) {
    throw new Error(`open ${file}: ${reasonOf(error)}`);
  }
}
