// A file of the command line that is sent to the engine.

import { createReadStream, openSync } from 'node:fs';
import type { Readable } from 'node:stream';

/** `-` is standard input. Errors: one in the system's words, before anything is sent. */
export function openUpload(file: string): Readable {
  if (file === '-') return process.stdin;
  try {
    return createReadStream('', { fd: openSync(file, 'r') });
  } catch (error) {
    const reasons: Readonly<Record<string, string>> = { ENOENT: 'no such file or directory', EACCES: 'permission denied' };
    throw new Error(`open ${file}: ${reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? (error as Error).message}`);
  }
}
