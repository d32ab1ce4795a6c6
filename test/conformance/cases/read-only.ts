// A union without an upper: everything can be read, every change is EROFS.

import {
  any, append, by, cat, chmod, chown, direntinos, fails, gives, getxattr, link, listxattr, lstat, mkdir, mknod, open, put, read, readdir, readlink, removexattr, rename, rmdir,
  seekdirs, setxattr, stat, symlink, truncate, unlink, utimens, fchmod, fsync, access,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { chr, dir, fifo, file, link as hard, socket, symlink as sym, whiteout } from '../../support/tree.js';
import type { Stack } from '../../support/tree.js';
import type { Case } from '../run.js';

const stack: Stack = {
  upper: null,
  lower: [
    { 'd/f': file('content', { mode: 0o640, xattrs: { 'user.a': '1' } }), 'd/l': sym('f'), 'd/p': fifo(), 'd/s': socket(), 'd/c': chr(1, 3), 'd/h': hard('d/f'), 'd/gone': whiteout(), 'd/x': file('#!/bin/sh\necho ran\n', { mode: 0o755 }), 'd/suid': file('s', { mode: 0o4755 }) },
    { 'd/gone': file('hidden'), 'd/below': file('below'), 'd/e': dir() },
  ],
};

const erofs: readonly Op[] = [
  open('w', 'd/f', 'WRONLY'), open('w', 'd/f', 'RDWR'), open('w', 'd/f', 'RDONLY|TRUNC'), open('w', 'd/new', 'WRONLY|CREAT'), open('w', 'd', 'RDWR|TMPFILE'), append('d/below', 'x'), put('d/new', ''),
  truncate('d/f', 0), mkdir('d/new'), rmdir('d/e'), unlink('d/f'), unlink('d/l'), rename('d/f', 'd/g'), rename('d/f', 'd/below'), rename('d/e', 'd/e2'), rename('d/f', 'd/g', 'NOREPLACE'),
  rename('d/f', 'd/below', 'EXCHANGE'), link('d/f', 'd/g'), symlink('x', 'd/new'), mknod('d/new', 'fifo'), mknod('d/new', 'chr', 0o600, [1, 3]), mknod('d/new', 'file'), chmod('d/f', 0o600), chmod('d', 0o700),
  chown('d/f', 1, 1), chown('d/l', 1, 1), utimens('d/f', 'now', 'now'), utimens('d/l', 'now', 'omit'), setxattr('d/f', 'user.b', '1'), setxattr('d', 'trusted.b', '1'), removexattr('d/f', 'user.a'),
];

export const readOnlyCases: readonly Case[] = [
  { name: 'a read-only union shows its layers', stack, ops: [readdir('d'), cat('d/f'), stat('d/f'), cat('d/below'), fails('ENOENT', lstat('d/gone')), readlink('d/l'), lstat('d/p'), lstat('d/s'), lstat('d/c'), getxattr('d/f', 'user.a'), listxattr('d/f'), gives([], direntinos('d')), gives([], seekdirs('d')), fails('ENOENT', lstat('d/none')), gives([0, 'ran\n'], { op: 'run', argv: ['d/x'] })] },
  ...erofs.map((op) => ({ name: `read-only: ${JSON.stringify(op)}`, stack, ops: [fails('EROFS', op), readdir('d'), stat('d/f')] })),
  { name: 'errors that come before EROFS', stack, ops: [open('w', 'd/f', 'RDONLY|CREAT'), fails('EEXIST', open('w', 'd/f', 'WRONLY|CREAT|EXCL')), any(mkdir('d/e')), any(symlink('x', 'd/f')), any(unlink('d/none')), any(rmdir('d/none')), any(rename('d/none', 'd/g')), fails('EXDEV', link('d/f', '/dev/shm/x')), any(mkdir('d/none/x'))] },
  { name: 'an fd of a read-only union', stack, ops: [open('r', 'd/f', 'RDONLY'), read('r'), fails('EROFS', fchmod('r', 0o600)), fsync('r'), open('d', 'd', 'RDONLY|DIRECTORY'), fsync('d'), { op: 'flock', fd: 'r', how: 'EX|NB' }] },
  { name: 'access(2) of a read-only union', stack, ops: [access('d/f', 2), access('d/f', 4), by([1000, 1000], access('d/f', 4)), access('d/x', 1)] },
];
