// Listing a union directory from its index. Offsets are positions in the index plus the two dots, so that names removed
// or added between two requests neither shift nor repeat the rest.

import { ErrnoError, errno } from '../abi/errno.js';
import type { NodeId } from '../native/mount.js';
import { DirentType } from '../native/syscalls.js';
import { type DirectoryIndex, type Entry, type UnionDirectory, entryPlace, entryType } from './directory.js';
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

/** How far a listing came: to its end, to that of the reply, or -errno. */
type Progress = 'complete' | 'full' | number;

/** Adds a name with its entry: 0 when the reply is full, -errno. Where the entry cannot be had, a LOOKUP will say why. */
function addEntered(union: Union, dir: UnionDirectory, name: string, entry: Entry, off: number): number {
  try {
    return union.enterWith(dir, name, entry, (place, flags, ino, at) =>
      union.native.direntAdd(name, place, off, entryType(entry), dir.id, flags, true, ino, at),
    );
  } catch (error) {
    if (error instanceof ErrnoError) return addBare(union, dir, name, entry, off);
    throw error;
  }
}

/** Of a directory whose layers cannot be read it is upper's own, as a LOOKUP shows none. */
function shownIno(union: Union, dir: UnionDirectory, name: string, entry: Entry): bigint {
  try {
    return union.inoOf(dir, name, entry);
  } catch (error) {
    if (error instanceof ErrnoError) return 0n;
    throw error;
  }
}

/** The same without its entry. */
function addBare(union: Union, dir: UnionDirectory, name: string, entry: Entry, off: number): number {
  return union.native.direntAdd(
    name,
    dir.place(entryPlace(entry)),
    off,
    entryType(entry),
    dir.id,
    0,
    false,
    shownIno(union, dir, name, entry),
  );
}

/** Adds names from a position on. */
function addNames(union: Union, dir: UnionDirectory, index: DirectoryIndex, from: number, plus: boolean): Progress {
  for (const [name, position] of index.from(from)) {
    const entry = index.get(name);
    if (entry === undefined) continue;
    const off = position + DOTS + 1;
    const enters = plus && union.native.isMountpoint(dir.id, name) === 0;
    const added = enters ? addEntered(union, dir, name, entry, off) : addBare(union, dir, name, entry, off);
    if (added === 0) return 'full';
    // Who counts on a listing must not miss a name that is there.
    if (added < 0 && added !== -errno.ENOENT) return added;
  }
  return 'complete';
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
  const progress = addDots(union, dir, from) ? addNames(union, dir, index, Math.max(from - DOTS, 0), plus) : 'full';
  union.noteReading(dir, progress === 'complete');
  const length = union.native.direntLength();
  return typeof progress === 'number' && length === 0 ? progress : length;
}
