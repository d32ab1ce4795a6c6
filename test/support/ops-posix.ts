// The operations of ops_posix.py, as data: what the POSIX suite needs beyond ops.ts.

import type { Op } from './ops.js';

type Time = 'atime' | 'mtime' | 'ctime';

/**
 * Fields of an object as one line. `want`: any of type, mode (octal, four digits), owner ("uid:gid"), nlink, size,
 * rdev ("major,minor"), atime, mtime (nanoseconds), with spaces between.
 */
export const attrs = (path: string, want: string, follow = false): Op => ({ op: 'attrs', path, want, follow });
export const fattrs = (fd: string, want: string): Op => ({ op: 'attrs', fd, want });
/** open(O_CREAT|O_EXCL), close. */
export const create = (path: string, mode = 0o644): Op => ({ op: 'create', path, mode });
/** A directory with all that is missing above it. */
export const mkdirs = (path: string): Op => ({ op: 'mkdirs', path });
/** A socket that was bound to a name and closed. */
export const bind = (path: string): Op => ({ op: 'bind', path });
export const mkfifo = (path: string, mode = 0o644): Op => ({ op: 'mknod', path, type: 'fifo', mode });
/** chown(2), which follows symlinks. */
export const followChown = (path: string, uid: number, gid: number): Op => ({ op: 'follow_chown', path, uid, gid });
/** utimensat(2) that follows symlinks; nanoseconds in decimal. */
export const followUtimens = (path: string, atime: string, mtime: string): Op => ({ op: 'follow_utimens', path, atime, mtime });
/** Keeps a time of an object as `as`, and waits until the clock has passed it. */
export const stamp = (as: string, path: string, of: Time, follow = false): Op => ({ op: 'stamp', as, path, of, follow });
/** How that time compares with the one kept: later, same or earlier. */
export const since = (as: string, path: string, of: Time, follow = false): Op => ({ op: 'since', as, path, of, follow });
export const posixFallocate = (fd: string, off: number, len: number): Op => ({ op: 'posix_fallocate', fd, off, len });
export const pathconf = (path: string, name: string): Op => ({ op: 'pathconf', path, name });
/** A call whose path is no address; of two paths, `which` says the bad one, and `path` is the good one. */
export const fault = (call: string, kind: 'null' | 'outside', which: 'first' | 'second' | 'both' = 'first', path = ''): Op => ({
  op: 'fault',
  call,
  kind,
  which,
  path,
});
/** Copies a program to `path`, runs it, and gives how `inner` ends meanwhile: "ok" or an errno. */
export const whileRunning = (path: string, inner: Op): Op => ({ op: 'while_running', path, inner });
/** Links `path` to `to` and a number until that fails or it has `most` names: [names, errno]. */
export const links = (path: string, to: string, most: number): Op => ({ op: 'links', path, to, most });
/** Makes files called `path` and a number until that fails: the errno. */
export const fill = (path: string): Op => ({ op: 'fill', path });
