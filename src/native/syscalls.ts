// The system calls that the addon exposes one to one. Every path is relative to a directory fd, names are
// bytes carried as latin1 strings, and every function returns a value >= 0 or -errno; none of them throws on
// an errno. Called wherever names of files must come through as they are.

/**
 * A stat result: 18 signed 64-bit words, filled by `statx`.
 * Index names are in `Stat`; times are nanoseconds since the epoch, from 1677 to 2262: what lies beyond is the last of these.
 */
export type StatBuffer = BigInt64Array;

/** Word positions inside a `StatBuffer`. `dev` and `rdev` are (major << 32 | minor). */
export const Stat = {
  ino: 0,
  size: 1,
  blocks: 2,
  dev: 3,
  rdev: 4,
  mode: 5,
  nlink: 6,
  uid: 7,
  gid: 8,
  atime: 9,
  mtime: 10,
  ctime: 11,
  btime: 12,
  blksize: 13,
  attributes: 14,
  mountId: 15,
  /** What atime and mtime lack. */
  atimeBeyond: 16,
  mtimeBeyond: 17,
} as const;

/** Number of words in a `StatBuffer`. */
export const STAT_WORDS = 18;

/** A time in nanoseconds as the filesystem has it, for `utimensat`. */
export function exactTime(stat: StatBuffer, which: 'atime' | 'mtime'): bigint {
  return (stat[Stat[which]] ?? 0n) + (stat[Stat[`${which}Beyond`]] ?? 0n);
}

export interface Syscalls {
  /**
   * openat2(2). `resolve` is a mask of `Resolve`; the fd is always O_CLOEXEC.
   * Returns an fd or -errno. Owns: the caller closes the fd.
   */
  openat2(dirfd: number, path: string, flags: number, mode: number, resolve: number): number;
  close(fd: number): number;
  /** statx(2) of `path` under `dirfd` (empty path: the fd itself) into `out`; never follows a final symlink. */
  statx(dirfd: number, path: string, out: StatBuffer): number;
  mkdirat(dirfd: number, path: string, mode: number): number;
  /** mknodat(2). `rdev` is (major << 32 | minor), as in `Stat.rdev`. */
  mknodat(dirfd: number, path: string, mode: number, rdev: bigint): number;
  symlinkat(target: string, dirfd: number, path: string): number;
  /** Target bytes as a latin1 string, or -errno. */
  readlinkat(dirfd: number, path: string): string | number;
  /** linkat(2); an empty `oldPath` links the fd itself (AT_EMPTY_PATH). */
  linkat(oldDirfd: number, oldPath: string, newDirfd: number, newPath: string): number;
  /** `flags`: 0 or AT_REMOVEDIR (0x200). */
  unlinkat(dirfd: number, path: string, flags: number): number;
  /** renameat2(2). `flags`: RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4. */
  renameat2(oldDirfd: number, oldPath: string, newDirfd: number, newPath: string, flags: number): number;
  /** Changes owner without following a symlink; -1 leaves an id alone. Empty path: the fd itself. */
  fchownat(dirfd: number, path: string, uid: number, gid: number): number;
  /** Changes mode of a file or directory; follows no symlink (EOPNOTSUPP on one). Works on O_PATH fds with an empty path. */
  fchmodat(dirfd: number, path: string, mode: number): number;
  /** utimensat(2) without following; nanoseconds since the epoch, or UTIME_NOW / UTIME_OMIT of `Utime`. */
  utimensat(dirfd: number, path: string, atime: bigint, mtime: bigint): number;
  /** Attribute value, or -errno (-ENODATA when absent). Never follows a final symlink. */
  getxattr(dirfd: number, path: string, name: string): Buffer | number;
  /** `flags`: 0, XATTR_CREATE 1, XATTR_REPLACE 2. */
  setxattr(dirfd: number, path: string, name: string, value: Uint8Array, flags: number): number;
  removexattr(dirfd: number, path: string, name: string): number;
  /** Attribute names, or -errno. */
  listxattr(dirfd: number, path: string): string[] | number;
  /**
   * All entries of the directory `fd` (O_RDONLY), from its start, "." and ".." left out.
   * Two parallel arrays: names, and d_type values; `offsets` holds pairs (d_off, number of names up to there), the dots
   * among them. -errno on failure.
   */
  readdir(fd: number): { names: string[]; types: Uint8Array; offsets: BigInt64Array } | number;
  /**
   * Copies `length` bytes (or to the end when -1) of data and holes from `src` to `dst`, both regular files open for
   * read and write: FICLONE for a whole file, else copy_file_range per data extent, else pread/pwrite.
   * Leaves dst at the source's size. Returns 0 or -errno.
   */
  copyData(src: number, dst: number, length: bigint): number;
  /** Inode flags (chattr A, d, D, S, with `append` also a) of one open object to another, where they can be had. Always 0. */
  copyFlags(src: number, dst: number, append: boolean): number;
  /** Makes an open object immutable (chattr i, 0x10), append-only (a, 0x20), both or neither. What it was, or -errno. */
  protect(fd: number, flags: number): number;
  pwrite(fd: number, data: Uint8Array, offset: bigint): number;
  ftruncate(fd: number, size: bigint): number;
  fsync(fd: number): number;
  syncfs(fd: number): number;
  /** The same beside the event loop; the fd stays open until it resolves. */
  syncfsAsync(fd: number): Promise<number>;
  /** mount(2). Empty strings pass as NULL source, type or data. `flags` is a mask of `MountFlag`. */
  mount(source: string, target: string, type: string, flags: number, data: string): number;
  /** umount2(2). `flags`: MNT_DETACH 2, UMOUNT_NOFOLLOW 8. */
  umount2(target: string, flags: number): number;
  /** flock(2). `operation`: LOCK_SH 1, LOCK_EX 2, LOCK_UN 8, | LOCK_NB 4. */
  flock(fd: number, operation: number): number;
  /** eventfd(2), non-blocking, close-on-exec. */
  eventfd(): number;
  /** Raises this process's limit of open files to the hard one (RLIMIT_NOFILE); returns it. */
  raiseNofile(): number;
  /** A connected pair of sockets, close-on-exec: a stream, or with `packets` one that keeps messages apart and never waits. */
  socketpair(packets?: boolean): [number, number] | number;
  /** Waits for an fd sent over `socket` (SCM_RIGHTS); -ENOTCONN when the peer closes without one. */
  receiveFd(socket: number): number;
  /** name_to_handle_at(2) as hex, or -errno (-EOPNOTSUPP where the filesystem has no handles). */
  nameToHandle(dirfd: number, path: string): string | number;
  dup2(from: number, to: number): number;
  /** pipe2(2), close-on-exec: the reading and the writing end, or -errno. */
  pipe(): [read: number, write: number] | number;
  /** prctl(PR_SET_CHILD_SUBREAPER): orphaned descendants become children of this process. */
  becomeSubreaper(): number;
  /** Ends the zombie `pid`: its exit code (128 + signal when one killed it), -EAGAIN while it runs, -ECHILD when it is no child. */
  reapChild(pid: number): number;
  /** A non-blocking, listening stream socket at `path`, or -errno. */
  listenUnix(path: string): number;
  /** A connection that waits at a listening socket, or -EAGAIN. */
  acceptUnix(socket: number): number;
  /** TIOCSWINSZ on either end of a terminal. */
  setWindowSize(fd: number, rows: number, columns: number): number;
  setsid(): number;
  /** umask(2) of the calling process: the old mask. */
  umask(mask: number): number;
}

export const AT_FDCWD = -100;
export const AT_REMOVEDIR = 0x200;

export const Open = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  PATH: 0o10000000,
  TMPFILE: 0o20200000,
} as const;

/** RESOLVE_* masks of openat2(2). */
export const Resolve = {
  NO_XDEV: 0x01,
  NO_MAGICLINKS: 0x02,
  NO_SYMLINKS: 0x04,
  BENEATH: 0x08,
  IN_ROOT: 0x10,
} as const;

export const Rename = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const;
export const Utime = { NOW: (1n << 100n) + 1n, OMIT: (1n << 100n) + 2n } as const;
export const MountFlag = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  DIRSYNC: 128,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  REC: 16384,
  PRIVATE: 1 << 18,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
} as const;
export const MNT_DETACH = 2;

/** File type bits of a mode, and d_type values. */
export const Mode = {
  FMT: 0o170000,
  SOCK: 0o140000,
  LNK: 0o120000,
  REG: 0o100000,
  BLK: 0o060000,
  DIR: 0o040000,
  CHR: 0o020000,
  FIFO: 0o010000,
} as const;
export const DirentType = { UNKNOWN: 0, FIFO: 1, CHR: 2, DIR: 4, BLK: 6, REG: 8, LNK: 10, SOCK: 12 } as const;
