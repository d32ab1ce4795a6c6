// The names that containers on a user's network have for each other, kept in the /etc/hosts of those that run. Called at start,
// and by engine/network.ts whenever somebody comes, goes or is renamed.

import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** What of a hosts file is ours: the container may have written the rest. */
const OWN_LINES = 'hosts.peers';

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** Notes which lines of a fresh hosts file are those of the others. */
export function notePeers(directory: string, lines: readonly string[]): void {
  writeFileSync(join(directory, OWN_LINES), lines.join('\n'), { mode: 0o600 });
}

/**
 * Brings the file of a container that runs up to date. In place: it is bound into the container, which would not see another
 * one. In one write, so that no reader finds it half done; what is shorter than before is filled with empty lines first.
 */
export function rewritePeers(directory: string, lines: readonly string[]): void {
  const before = read(join(directory, OWN_LINES)).split('\n').filter(Boolean);
  if (before.join('\n') === lines.join('\n')) return;
  const path = join(directory, 'hosts');
  const old = read(path);
  const kept = old.split('\n');
  for (const line of before) {
    const at = kept.lastIndexOf(line);
    if (at >= 0) kept.splice(at, 1);
  }
  const text = Buffer.from([kept.join('\n').replace(/\n+$/, ''), ...lines, ''].join('\n'));
  const padding = Math.max(0, Buffer.byteLength(old) - text.length);
  notePeers(directory, lines);
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, Buffer.concat([text, Buffer.alloc(padding, '\n')]), 0, text.length + padding, 0);
    ftruncateSync(fd, text.length);
  } finally {
    closeSync(fd);
  }
}
