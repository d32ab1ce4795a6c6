// The work directory: what can fail halfway is built here under a number and published by one rename. Emptied at mount,
// so a crash leaves nothing but what was published.

import { errno } from '../abi/errno.js';
import { sys } from '../native/load.js';
import type { NativeMount, PlaceId } from '../native/mount.js';
import { AT_REMOVEDIR, Mode, Open, STAT_WORDS, Stat } from '../native/syscalls.js';

const stat = new BigInt64Array(STAT_WORDS);

const DEFAULT_ACL = 'system.posix_acl_default';
const S_ISGID = 0o2000;

/** Removes `name` in `dirfd` with all below it. 0 or -errno; absent is success. */
export function removeTree(dirfd: number, name: string): number {
  if (sys.statx(dirfd, name, stat) !== 0) return 0;
  if ((Number(stat[Stat.mode]) & Mode.FMT) !== Mode.DIR) return sys.unlinkat(dirfd, name, 0);
  const fd = sys.openat2(dirfd, name, Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
  if (fd < 0) return fd;
  const error = emptyDirectory(fd);
  sys.close(fd);
  return error || sys.unlinkat(dirfd, name, AT_REMOVEDIR);
}

/** Removes everything in the directory `fd` (O_RDONLY). */
export function emptyDirectory(fd: number): number {
  const listing = sys.readdir(fd);
  if (typeof listing === 'number') return listing;
  for (const name of listing.names) {
    const error = removeTree(fd, name);
    if (error && error !== -errno.ENOENT) return error;
  }
  return 0;
}

export class WorkDirectory {
  #next = 0;

  constructor(
    private readonly native: NativeMount,
    readonly place: PlaceId,
  ) {}

  /** O_PATH fd of the directory. */
  get fd(): number {
    return this.native.placeFd(this.place);
  }

  /** A name that nothing in the directory has. */
  freshName(): string {
    return `#${(this.#next++).toString(16)}`;
  }

  /**
   * A directory from which new objects inherit what they would from `parent`: group, setgid, default ACL.
   * Its fd (O_PATH) is the caller's to close, the directory to discard.
   */
  nursery(parent: number): { fd: number; name: string } | number {
    const name = this.freshName();
    const workFd = this.fd;
    const inherited = sys.getxattr(parent, '', DEFAULT_ACL);
    let error = sys.statx(parent, '', stat) || sys.mkdirat(workFd, name, 0o700);
    if (!error && (Number(stat[Stat.mode]) & S_ISGID) !== 0) {
      error = sys.fchownat(workFd, name, -1, Number(stat[Stat.gid])) || sys.fchmodat(workFd, name, 0o2700);
    }
    if (!error && typeof inherited !== 'number') error = sys.setxattr(workFd, name, DEFAULT_ACL, inherited, 0);
    const fd = error || sys.openat2(workFd, name, Open.PATH | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
    if (fd >= 0) return { fd, name };
    this.discard(name);
    return fd;
  }

  /** Drops what was not published. */
  discard(name: string): void {
    removeTree(this.fd, name);
  }
}
