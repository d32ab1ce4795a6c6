// Listing a union directory from its index. Offsets are positions in the index plus the two dots, so that names removed
// or added between two requests neither shift nor repeat the rest.

import type { NodeId } from '../native/mount.js';
import { DirentType } from '../native/syscalls.js';
import { type DirectoryIndex, type UnionDirectory, entryPlace, entryType } from './directory.js';
import type { Answer } from './stack.js';
import type { Union } from './union.js';

const DOTS = 2;
/** Set in our offsets in a directory whose backing directory gave out offsets of its own. */
const TAG = 1n << 61n;

/** Adds "." and ".."; false when the reply is full. */
function addDots(union: Union, dir: UnionDirectory, from: number): boolean {
  const { native } = union;
  const place = dir.upper ?? dir.lowers[0];
  if (place === undefined) return true;
  for (let at = from; at < DOTS; at++) {
    if (native.direntAdd(at === 0 ? '.' : '..', place, at + 1, DirentType.DIR, dir.id, 0, false, 0n) === 0) return false;
  }
  return true;
}

/** Adds names from a position on; true when all of them fitted. */
function addNames(union: Union, dir: UnionDirectory, index: DirectoryIndex, from: number, plus: boolean): boolean {
  const { native } = union;
  for (const [name, position] of index.from(from)) {
    const entry = index.get(name);
    if (entry === undefined) continue;
    const off = position + DOTS + 1;
    const enters = plus && native.isMountpoint(dir.id, name) === 0;
    const added = enters
      ? union.enterWith(dir, name, entry, (place, flags, ino, at) =>
          native.direntAdd(name, place, off, entryType(entry), dir.id, flags, true, ino, at),
        )
      : native.direntAdd(
          name,
          dir.place(entryPlace(entry)),
          off,
          entryType(entry),
          dir.id,
          0,
          false,
          union.inoOf(dir, name, entry),
        );
    if (added === 0) return false;
  }
  return true;
}

/** Where to go on: 0 and 1 are the dots, then names by position. */
function startAt(index: DirectoryIndex, offset: bigint): number {
  if (!index.resume || offset === 0n) return Number(offset);
  // The backing directory's own first: its hashes may have any bit set.
  const position = index.resume.get(offset);
  if (position !== undefined) return position + DOTS;
  return offset & TAG ? Number(offset ^ TAG) : 0;
}

export function readdir(union: Union, id: NodeId, offset: bigint, size: number, plus: boolean): Answer {
  const dir = union.directory(id);
  if (typeof dir === 'number') return dir;
  if (dir.removed) return 0;
  const index = union.index(dir);
  if (typeof index === 'number') return index;
  union.native.direntStart(size, plus, index.resume ? TAG : 0n);
  const from = startAt(index, offset);
  const complete = addDots(union, dir, from) && addNames(union, dir, index, Math.max(from - DOTS, 0), plus);
  union.noteReading(dir, complete);
  return union.native.direntLength();
}
