// What a copy takes over from an object of a lower layer: its content, owner, mode, attributes and times. Used by
// copy-up and by what makes directories that look like lower ones.

import { errno } from '../abi/errno.js';
import { isMetacopy, isOverlayXattr } from '../layer/format.js';
import { sys } from '../native/load.js';
import { Mode, Open, STAT_WORDS, Stat, type StatBuffer, exactTime } from '../native/syscalls.js';

/** An object on a lower layer: the fd of its directory and its name, or the object's own fd and ''. */
export interface Source {
  dirfd: number;
  name: string;
  stat: StatBuffer;
}

export function openSource(dirfd: number, name: string): Source | number {
  const stat = new BigInt64Array(STAT_WORDS);
  const error = sys.statx(dirfd, name, stat);
  return error ? error : { dirfd, name, stat };
}

export function typeOf(source: Source): number {
  return Number(source.stat[Stat.mode]) & Mode.FMT;
}

function copyXattrs(source: Source, dirfd: number, name: string): number {
  const names = sys.listxattr(source.dirfd, source.name);
  if (typeof names === 'number') return names === -errno.EOPNOTSUPP ? 0 : names;
  for (const attribute of names) {
    if (isMetacopy(attribute)) return -errno.EPERM; // its data is not here
    if (isOverlayXattr(attribute)) continue;
    const value = sys.getxattr(source.dirfd, source.name, attribute);
    if (typeof value === 'number') continue; // gone or hidden between list and get
    const error = sys.setxattr(dirfd, name, attribute, value, 0);
    if (error && error !== -errno.EOPNOTSUPP && error !== -errno.EPERM) return error;
  }
  return 0;
}

const ALL_BITS = 0o7777;
/** Without setuid and setgid, which speak of the owner. */
const OWNERLESS_BITS = 0o1777;

/**
 * Owner, mode, attributes, times, in the order in which none undoes another. Rootless, what belongs to others (EPERM), or to
 * who has no number in our user namespace (EINVAL), is copied as ours; the kernel has checked that we may write it.
 */
export function copyMetadata(source: Source, dirfd: number, name: string): number {
  const { stat } = source;
  const given = sys.fchownat(dirfd, name, Number(stat[Stat.uid]), Number(stat[Stat.gid]));
  const ours = given === -errno.EPERM || given === -errno.EINVAL;
  if (given && !ours) return given;
  const bits = ours ? OWNERLESS_BITS : ALL_BITS;
  const error =
    (typeOf(source) === Mode.LNK ? 0 : sys.fchmodat(dirfd, name, Number(stat[Stat.mode]) & bits)) ||
    copyXattrs(source, dirfd, name);
  return error || sys.utimensat(dirfd, name, exactTime(stat, 'atime'), exactTime(stat, 'mtime'));
}

/** The content of a lower file or directory: an fd that is the caller's, or -errno. */
export function openContent(source: Source): number {
  const fd = sys.openat2(source.dirfd, source.name || '.', Open.RDONLY | Open.NOFOLLOW, 0, 0);
  return fd === -errno.ENOTDIR ? sys.openat2(-100, `/proc/self/fd/${source.dirfd}`, Open.RDONLY, 0, 0) : fd;
}

/** Gives the open object `target` the inode flags (chattr) of a lower file or directory, where they can be had. */
export function copyFlags(source: Source, target: number, append = false): void {
  const fd = openContent(source);
  if (fd < 0) return;
  sys.copyFlags(fd, target, append);
  sys.close(fd);
}
