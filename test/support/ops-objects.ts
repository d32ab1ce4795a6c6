// The operations of ops_objects.py and ops_processes.py, as data: what the oracle needs beyond ops.ts.

import type { Op } from './ops.js';

/** pread and pwrite from memory that is `skew` bytes off a page, for O_DIRECT; `data` is repeated up to `len` bytes. */
export const dread = (fd: string, off: number, len: number, skew = 0): Op => ({ op: 'dread', fd, off, len, skew });
export const dwrite = (fd: string, off: number, data: string, len: number, skew = 0): Op => ({
  op: 'dwrite',
  fd,
  off,
  data,
  len,
  skew,
});

/** F_SETFL: the flags named, such as DIRECT, and no other. */
export const setfl = (fd: string, flags: string): Op => ({ op: 'setfl', fd, flags });

/** Runs a program until it is stopped, or the case is over. */
export const start = (as: string, path: string): Op => ({ op: 'start', as, path });
export const stop = (as: string): Op => ({ op: 'stop', as });

/** chattr: of the letters S, i, a, d and A, those given are set and the others cleared. */
export const setflags = (path: string, letters: string): Op => ({ op: 'setflags', path, letters });
export const fsetflags = (fd: string, letters: string): Op => ({ op: 'setflags', fd, letters });
export const getflags = (path: string): Op => ({ op: 'getflags', path });
export const xflags = (path: string): Op => ({ op: 'xflags', path });
export const statx = (path: string): Op => ({ op: 'statx', path });

/** A listing by getdents of `bytes`, an operation after each; `seek` goes to where it is each time (telldir, seekdir). */
export const scan = (path: string, bytes: number, seek: boolean, between: readonly Op[]): Op => ({
  op: 'scan',
  path,
  bytes,
  seek,
  between,
});

/** `inner` in a directory that is reached name by name. */
export const at = (dirs: readonly string[], inner: Op): Op => ({ op: 'at', dirs, inner });
/** `inner` in a directory `depth` steps down, each into the first of `names` that is there: [steps taken, value]. */
export const below = (names: readonly string[], depth: number, inner: Op): Op => ({ op: 'at', names, depth, inner });
/** The same walk, to stay there. */
export const enter = (names: readonly string[], depth: number): Op => ({ op: 'enter', names, depth });
/** getcwd(2), from the case's directory on. */
export const getcwd = (): Op => ({ op: 'getcwd' });

/** utimensat: `times` null, or two of now, omit, bad, or nanoseconds in decimal. */
export const utimes = (path: string, times: readonly [string, string] | null, follow = false): Op => ({
  op: 'utimes',
  path,
  times,
  follow,
});

/** Process `as` (1 or 2) becomes a copy of process `proc`, with its open files, and then another user for good. */
export const fork = (proc: number, as: number, user?: readonly number[]): Op => ({ op: 'fork', proc, as, user });
/** `op` in another process of the case. */
export const inProcess = (proc: number, op: Op): Op => (proc === 0 ? op : { ...op, proc });
/** An open file of one process becomes one of another (SCM_RIGHTS). */
export const pass = (from: number, fd: string, to: number, as: string): Op => ({ op: 'pass', from, fd, to, as });
