// What an immutable or append-only object of a lower layer refuses (chattr i and a). On upper the filesystem itself does;
// a lower object must be asked before a whiteout or a copy takes its place (Linux: may_delete, may_create). Called by the
// namespace ops.

import { errno } from '../abi/errno.js';
import { sys } from '../native/load.js';
import type { NodeId } from '../native/mount.js';
import { Open, STAT_WORDS, Stat } from '../native/syscalls.js';
import { UPPER, entryPlace } from './directory.js';
import type { Union } from './union.js';

/** STATX_ATTR_IMMUTABLE and STATX_ATTR_APPEND. */
const IMMUTABLE = 0x10n;
export const APPEND = 0x20n;
const stat = new BigInt64Array(STAT_WORDS);

function flagsAt(dirfd: number, name: string): bigint {
  return sys.statx(dirfd, name, stat) === 0 ? (stat[Stat.attributes] ?? 0n) & (IMMUTABLE | APPEND) : 0n;
}

/** EPERM when nothing may be made in a directory, 0 otherwise. */
export function refuseNew(union: Union, parent: NodeId): number {
  return flagsOf(union, parent) & IMMUTABLE ? -errno.EPERM : 0;
}

/** EPERM when a name may not go from a directory, for the directory's sake or its own; 0 otherwise. */
export function refuseGoing(union: Union, parent: NodeId, name: string): number {
  if (flagsOf(union, parent) !== 0n) return -errno.EPERM;
  const dir = union.directory(parent);
  const index = typeof dir === 'number' ? dir : union.index(dir);
  const entry = typeof index === 'number' ? undefined : index.get(name);
  if (typeof dir === 'number' || entry === undefined || entryPlace(entry) === UPPER) return 0;
  // Upper would only see a whiteout come, which an append-only directory takes.
  const above = dir.upper === undefined ? 0n : flagsAt(union.native.placeFd(dir.upper), '');
  return above === 0n && flagsAt(union.native.placeFd(dir.place(entryPlace(entry))), name) === 0n ? 0 : -errno.EPERM;
}

/** What upper would refuse, for an op that is refused for another reason before upper is asked: EPERM, or else `otherwise`. */
export function refusedByUpper(union: Union, parent: NodeId, name: string, otherwise: number): number {
  const dir = union.directory(parent);
  if (typeof dir === 'number' || dir.upper === undefined) return otherwise;
  const fd = union.native.placeFd(dir.upper);
  return flagsAt(fd, '') === 0n && flagsAt(fd, name) === 0n ? otherwise : -errno.EPERM;
}

function flagsOf(union: Union, id: NodeId): bigint {
  const dir = union.directory(id);
  const top = typeof dir === 'number' || dir.upper !== undefined ? undefined : dir.lowers[0];
  return top === undefined ? 0n : flagsAt(union.native.placeFd(top), '');
}

/**
 * Makes a change in an upper directory that users do not see, such as a copy: it may be protected all the same. What
 * `change` gives, or -errno; EPERM when the directory has a flag of `refusing`. A crash meanwhile takes the protection away.
 */
export function unprotected(dirfd: number, change: () => number, refusing = 0n): number {
  const flags = flagsAt(dirfd, '');
  if (flags & refusing) return -errno.EPERM;
  if (flags === 0n) return change();
  const fd = sys.openat2(dirfd, '.', Open.RDONLY | Open.DIRECTORY, 0, 0);
  if (fd < 0) return fd;
  const had = sys.protect(fd, 0);
  try {
    return had < 0 ? had : change();
  } finally {
    if (had > 0) sys.protect(fd, had);
    sys.close(fd);
  }
}

/**
 * The same for a change that is a new name to users (something takes the place of a whiteout, a directory is to have names of another
 * kind): an append-only directory takes it and an immutable one does not.
 */
export function asNewName(dirfd: number, change: () => number): number {
  return unprotected(dirfd, change, IMMUTABLE);
}
