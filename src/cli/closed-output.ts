// What becomes of a process when nobody reads any more what it prints (`lamina ps | head -1`). Node ignores SIGPIPE and throws.

import { leave } from './ready.js';

/** 128 + SIGPIPE, which is what a shell shows of a program that died of it. */
const BROKEN_PIPE = 141;

/** A command ends with its reader, as silently as Docker's. */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      leave(BROKEN_PIPE);
    });
  }
}

/** What serves others goes on without its log. */
export function outliveReader(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}
