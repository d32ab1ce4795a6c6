// Owner, mode, times and extended attributes of one object, read from a tree and given to its copy. Used by copy-tree.ts
// and populate.ts.

import { errno } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { Mode, STAT_WORDS, Stat, type StatBuffer, exactTime } from '../native/syscalls.js';

export interface Attributes {
  readonly stat: StatBuffer;
  readonly xattrs: readonly (readonly [name: string, value: Buffer])[];
}

/** Reads `name` in `dirfd` (empty name: the fd itself). `shown` names an attribute in the tree, undefined leaves it out. */
export function readAttributes(dirfd: number, name: string, shown: (stored: string) => string | undefined): Attributes | number {
  const stat = new BigInt64Array(STAT_WORDS);
  const error = sys.statx(dirfd, name, stat);
  if (error) return error;
  const names = sys.listxattr(dirfd, name);
  if (typeof names === 'number') return names === -errno.EOPNOTSUPP ? { stat, xattrs: [] } : names;
  const xattrs: [string, Buffer][] = [];
  for (const stored of names) {
    const visible = shown(stored);
    if (visible === undefined) continue;
    const value = sys.getxattr(dirfd, name, stored);
    if (typeof value !== 'number') xattrs.push([visible, value]);
    else if (value !== -errno.ENODATA) return value;
  }
  return { stat, xattrs };
}

/**
 * Gives `name` in `dirfd` (empty name: the fd itself) these attributes: chown first, which clears setuid bits and
 * capabilities, then attributes and mode, times last. Attributes that the file system does not know are left out, and
 * without privilege (`lenient`) what belongs to others becomes ours. 0 or -errno.
 */
export function writeAttributes(dirfd: number, name: string, { stat, xattrs }: Attributes, lenient: boolean): number {
  const tolerate = (error: number): number => (lenient && error === -errno.EPERM ? 0 : error);
  let error = tolerate(sys.fchownat(dirfd, name, Number(stat[Stat.uid]), Number(stat[Stat.gid])));
  for (const [xattr, value] of xattrs) {
    if (error) return error;
    const set = tolerate(sys.setxattr(dirfd, name, xattr, value, 0));
    error = set === -errno.EOPNOTSUPP ? 0 : set;
  }
  const mode = Number(stat[Stat.mode]);
  if (!error && (mode & Mode.FMT) !== Mode.LNK) error = sys.fchmodat(dirfd, name, mode & 0o7777);
  return error || sys.utimensat(dirfd, name, exactTime(stat, 'atime'), exactTime(stat, 'mtime'));
}
