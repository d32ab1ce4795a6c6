// Letting the launcher go: bin/lamina waits on a pipe until the mount is usable, or the command has ended.

import { closeSync, writeSync } from 'node:fs';

/** The launcher's pipe: an exit code written here lets it go. */
export function reportReady(code: number): void {
  const fd = Number(process.env['LAMINA_READY_FD'] ?? NaN);
  if (!Number.isInteger(fd)) return;
  try {
    writeSync(fd, String(code));
    closeSync(fd);
  } catch {
    // The launcher is gone; the mount stays, as after a successful start.
  }
}

/** Ends the launcher's wait with a failure. */
export function fail(message: string, code: number): never {
  process.stderr.write(`lamina: ${message}\n`);
  leave(code);
}

/** Ends the launcher's wait and this process, whatever is still open. */
export function leave(code: number): never {
  reportReady(code);
  process.exit(code);
}
