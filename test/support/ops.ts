// The operations that ops.py executes, as data, with one constructor each: a test case is a list of these.
// Names and contents are bytes carried as latin1 strings; fds and maps are named by the case.

/** One operation. Without `fails` or `any` it must succeed; `gives` fixes its value. */
export interface Op {
  readonly op: string;
  /** The errno that this operation must end with, everywhere. */
  readonly fails?: string;
  /** Success and any errno are right, as long as all kinds of mount agree. */
  readonly any?: boolean;
  /** The value that this operation must give, everywhere. */
  readonly gives?: unknown;
  /** uid, gid and supplementary groups to run as; root when absent. */
  readonly user?: readonly number[];
  readonly [argument: string]: unknown;
}

/** What an operation ended with: a value, an errno name, or the fault of the executor itself. */
export type Outcome = { readonly v: unknown } | { readonly e: string } | { readonly x: string };

type RenameFlag = '' | 'NOREPLACE' | 'EXCHANGE' | 'WHITEOUT';
type NodeType = 'file' | 'fifo' | 'socket' | 'chr' | 'blk';

export const fails = (errno: string, op: Op): Op => ({ ...op, fails: errno });
export const gives = (value: unknown, op: Op): Op => ({ ...op, gives: value });
export const any = (op: Op): Op => ({ ...op, any: true });
export const by = (user: readonly number[], op: Op): Op => ({ ...op, user });

/** `flags` are O_ names without the prefix, joined by "|". */
export const open = (as: string, path: string, flags: string, mode = 0o644): Op => ({ op: 'open', as, path, flags, mode });
export const close = (fd: string): Op => ({ op: 'close', fd });
export const read = (fd: string, len?: number): Op => ({ op: 'read', fd, len });
export const pread = (fd: string, off: number, len: number): Op => ({ op: 'pread', fd, off, len });
export const write = (fd: string, data: string, times = 1): Op => ({ op: 'write', fd, data, times });
export const pwrite = (fd: string, off: number, data: string, times = 1): Op => ({ op: 'pwrite', fd, off, data, times });
export const lseek = (fd: string, off: number, whence: 'SET' | 'CUR' | 'END' | 'DATA' | 'HOLE'): Op => ({
  op: 'lseek',
  fd,
  off,
  whence,
});
/** Reads a whole file; contents above 200 bytes come back as length and digest. */
export const cat = (path: string): Op => ({ op: 'cat', path });
/** open(O_WRONLY|O_CREAT|O_TRUNC), write, close. */
export const put = (path: string, data: string, times = 1, mode = 0o644): Op => ({ op: 'put', path, data, times, mode });
export const append = (path: string, data: string): Op => ({ op: 'append', path, data });
export const truncate = (path: string, size: number): Op => ({ op: 'truncate', path, size });
export const ftruncate = (fd: string, size: number): Op => ({ op: 'truncate', fd, size });
export const stat = (path: string): Op => ({ op: 'stat', path });
export const lstat = (path: string): Op => ({ op: 'lstat', path });
export const fstat = (fd: string): Op => ({ op: 'stat', fd });
/** A number that stands for the inode: equal numbers are equal inodes within a case. */
export const ino = (path: string): Op => ({ op: 'ino', path });
export const fino = (fd: string): Op => ({ op: 'ino', fd });
/** {inos, devices}: numbers of everything below `path`, to be compared with those of another time. */
export const numbers = (path: string): Op => ({ op: 'numbers', path });
export const nlink = (path: string): Op => ({ op: 'nlink', path });
export const atime = (path: string): Op => ({ op: 'atime', path });
export const exists = (path: string): Op => ({ op: 'exists', path });
/** faccessat with effective ids: 4 read, 2 write, 1 execute. */
export const access = (path: string, mode: number): Op => ({ op: 'access', path, mode });
export const mkdir = (path: string, mode = 0o755): Op => ({ op: 'mkdir', path, mode });
export const rmdir = (path: string): Op => ({ op: 'rmdir', path });
export const unlink = (path: string): Op => ({ op: 'unlink', path });
export const rename = (path: string, to: string, flags: RenameFlag = ''): Op => ({ op: 'rename', path, to, flags });
export const link = (path: string, to: string): Op => ({ op: 'link', path, to });
/** linkat of an open file through /proc/self/fd, the way an O_TMPFILE gets its name. */
export const linkfd = (fd: string, to: string): Op => ({ op: 'linkfd', fd, to });
export const symlink = (target: string, path: string): Op => ({ op: 'symlink', target, path });
export const readlink = (path: string): Op => ({ op: 'readlink', path });
export const mknod = (path: string, type: NodeType, mode = 0o644, rdev?: readonly [number, number]): Op => ({
  op: 'mknod',
  path,
  type,
  mode,
  rdev,
});
export const chmod = (path: string, mode: number): Op => ({ op: 'chmod', path, mode });
export const fchmod = (fd: string, mode: number): Op => ({ op: 'chmod', fd, mode });
/** lchown; -1 leaves an id. */
export const chown = (path: string, uid: number, gid: number): Op => ({ op: 'chown', path, uid, gid });
export const fchown = (fd: string, uid: number, gid: number): Op => ({ op: 'chown', fd, uid, gid });
/** utimensat without following; nanoseconds in decimal, "now" or "omit". */
export const utimens = (path: string, atime: string, mtime: string): Op => ({ op: 'utimens', path, atime, mtime });
export const futimens = (fd: string, atime: string, mtime: string): Op => ({ op: 'utimens', fd, atime, mtime });
export const getxattr = (path: string, name: string): Op => ({ op: 'getxattr', path, name });
export const setxattr = (path: string, name: string, value: string, flags: '' | 'CREATE' | 'REPLACE' = ''): Op => ({
  op: 'setxattr',
  path,
  name,
  value,
  flags,
});
export const fsetxattr = (fd: string, name: string, value: string): Op => ({ op: 'setxattr', fd, name, value });
export const fgetxattr = (fd: string, name: string): Op => ({ op: 'getxattr', fd, name });
export const removexattr = (path: string, name: string): Op => ({ op: 'removexattr', path, name });
export const listxattr = (path: string): Op => ({ op: 'listxattr', path });
/** Sorted pairs of name and type; `bytes` is the buffer of each getdents64. */
export const readdir = (path: string, bytes?: number): Op => ({ op: 'readdir', path, bytes });
export const freaddir = (fd: string): Op => ({ op: 'readdir', fd });
/** Names whose d_ino is not their st_ino. */
export const direntinos = (path: string): Op => ({ op: 'direntinos', path });
/** Names whose cookie does not lead to the entry that followed. */
export const seekdirs = (path: string): Op => ({ op: 'seekdirs', path });
/** Reads the directory in small steps and removes each entry as it comes, as rm -rf does. */
export const drain = (path: string, bytes = 256): Op => ({ op: 'drain', path, bytes });
/** `flags`: KEEP_SIZE, PUNCH_HOLE, ZERO, COLLAPSE, INSERT, joined by "|". */
export const fallocate = (fd: string, flags: string, off: number, len: number): Op => ({ op: 'fallocate', fd, flags, off, len });
export const copyrange = (fd: string, off: number, to: string, tooff: number, len: number): Op => ({
  op: 'copyrange',
  fd,
  off,
  to,
  tooff,
  len,
});
export const fsync = (fd: string): Op => ({ op: 'fsync', fd });
export const fdatasync = (fd: string): Op => ({ op: 'fsync', fd, data: true });
export const statfs = (path: string): Op => ({ op: 'statfs', path });
export const mmap = (as: string, fd: string, len: number, prot: 'r' | 'rw', shared: boolean, off = 0): Op => ({
  op: 'mmap',
  as,
  fd,
  len,
  prot,
  shared,
  off,
});
/** Stretches that are not zero, by offset. An access beyond the end of the file, which would be SIGBUS, ends with EFAULT. */
export const mread = (map: string, off: number, len: number): Op => ({ op: 'mread', map, off, len });
export const mwrite = (map: string, off: number, data: string): Op => ({ op: 'mwrite', map, off, data });
export const msync = (map: string): Op => ({ op: 'msync', map });
export const munmap = (map: string): Op => ({ op: 'munmap', map });
/** `how`: SH, EX, UN, NB joined by "|". */
export const flock = (fd: string, how: string): Op => ({ op: 'flock', fd, how });
/** Takes a POSIX lock on the fd and gives 7 when another process cannot have it on the path, 0 when it can. */
export const lockf = (fd: string, path: string): Op => ({ op: 'lockf', fd, path });
export const umask = (mask: number): Op => ({ op: 'umask', mask });
export const chdir = (path: string): Op => ({ op: 'chdir', path });
/** Exit code and output of a program run in the case's directory. */
export const run = (...argv: string[]): Op => ({ op: 'run', argv });
/** Every object below `path` with all that a user can see of it. */
export const tree = (path: string): Op => ({ op: 'tree', path });
