// Room kept back for the database: files that take it up, and are gone while the database is open on a disk that is full. So
// what frees room (rm, rmi, prune) and what only reads still can open it and write their records; what adds records is
// refused then, for it would use the room up. Used by `Database`.

import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Opening makes a log, a table, a manifest and CURRENT, each a file; a change is some kilobytes in the log. */
const FILES = 8;
const BYTES = 64 << 10;
const PREFIX = 'reserve-';

/** Names of the files that hold it; none when the directory cannot be read, which opening the database tells of. */
function held(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.startsWith(PREFIX));
  } catch {
    return [];
  }
}

/** Gives the room up. `directory` is the database's own: LevelDB leaves names alone that it does not know (filename.cc). */
export function releaseReserve(directory: string): void {
  for (const name of held(directory)) rmSync(join(directory, name), { force: true });
}

/** Whether there is less room left than is kept back. */
function isFull(directory: string): boolean {
  const { bavail, bsize, files, ffree } = statfsSync(dirname(directory)); // it may not be there yet
  // Some filesystems do not count files.
  return bavail * bsize < FILES * BYTES || (files > 0 && ffree < FILES);
}

/** Gives the room up if there is next to none beside it. */
export function releaseReserveIfFull(directory: string): void {
  if (isFull(directory)) releaseReserve(directory);
}

/** Whether what room there is has been given up and is needed to open the database again. */
export function isOnReserve(directory: string): boolean {
  return held(directory).length < FILES && isFull(directory);
}

/** Takes what is missing of it, as far as there is room. */
export function fillReserve(directory: string): void {
  const there = new Set(held(directory));
  for (let i = 0; i < FILES; i++) {
    const path = join(directory, `${PREFIX}${i}`);
    if (there.has(`${PREFIX}${i}`)) continue;
    try {
      // Zeros take no room where the filesystem compresses.
      writeFileSync(path, randomBytes(BYTES), { mode: 0o600 });
    } catch {
      rmSync(path, { force: true });
      return;
    }
  }
}
