// Mode, owner, times, size and the bits that writing clears, on every type of object and in every state.

import {
  access, any, append, atime, by, cat, chmod, chown, close, fchmod, fchown, fstat, ftruncate, futimens, ino, link, lstat, mkdir, mknod, open, put, readdir,
  rename, setxattr, getxattr, stat, symlink, truncate, umask, unlink, utimens, write, fails, gives,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { blk, chr, dir, fifo, file, link as hard, socket, symlink as sym } from '../../support/tree.js';
import type { Entry, Stack } from '../../support/tree.js';
import type { Case } from '../run.js';
import { dirStates, fileStates } from './states.js';

const USER = [1000, 1000] as const;
const SECOND = '1234567890000000000';
const NANOS = '1111111111222222222';

const setters: Readonly<Record<string, (path: string) => readonly Op[]>> = {
  chmod: (path) => [chmod(path, 0o4751), lstat(path), chmod(path, 0), lstat(path), chmod(path, 0o1777), lstat(path)],
  chown: (path) => [chown(path, 1000, -1), lstat(path), chown(path, -1, 2000), lstat(path), chown(path, 3, 4), lstat(path), chown(path, -1, -1), lstat(path)],
  'utimens to the nanosecond': (path) => [utimens(path, SECOND, NANOS), lstat(path), atime(path)],
  'utimens omit and now': (path) => [utimens(path, SECOND, 'omit'), lstat(path), atime(path), utimens(path, 'omit', NANOS), lstat(path), atime(path), utimens(path, 'now', 'omit'), atime(path), lstat(path), utimens(path, 'omit', 'now'), lstat(path), utimens(path, 'omit', 'omit')],
  'utimens before 1970 and after 2100': (path) => [utimens(path, '-1500000000', '-999999999'), lstat(path), atime(path), utimens(path, SECOND, '4200000000123456789'), lstat(path)],
  'ino kept by all of it': (path) => [ino(path), chmod(path, 0o600), ino(path), chown(path, 5, 5), ino(path), utimens(path, SECOND, SECOND), gives(0, ino(path))],
};

const types: Readonly<Record<string, Entry>> = {
  'symlink': sym('to/nothing', { uid: 7 }),
  'fifo': fifo({ mode: 0o640, xattrs: {} }),
  'socket': socket({ mode: 0o755 }),
  'character device': chr(1, 5, { mode: 0o622, gid: 9 }),
  'block device': blk(7, 200, { mode: 0o660 }),
};

function settersOn(name: string, path: string, stack: Stack, steps: readonly Op[] = []): Case[] {
  return Object.entries(setters).map(([title, ops]) => ({ name: `${title}: ${name}`, stack, ops: [...steps, ...ops(path).map((op) => ('gives' in op ? op : any(op))), readdir('d')] }));
}

export const setattrCases: readonly Case[] = [
  ...fileStates.flatMap((state) => settersOn(state.name, 'd/f', state.stack, state.steps)),
  ...dirStates.flatMap((state) => settersOn(state.name, 'd/s', state.stack, state.steps)),
  ...Object.entries(types).flatMap(([name, entry]) => [
    ...settersOn(`a lower ${name}`, 'd/o', { lower: [{ 'd/o': entry }] }),
    ...settersOn(`an upper ${name}`, 'd/o', { lower: [{}], upper: { 'd/o': entry } }),
  ]),
];

/** Every type of object, copied up by each thing that copies up without writing data. */
export const typeCases: readonly Case[] = Object.entries({ ...types, 'file': file('data') }).flatMap(([name, entry]) => [
  { name: `a lower ${name} is listed and stat'ed`, stack: { lower: [{ 'd/o': entry }] }, ops: [lstat('d/o'), readdir('d'), gives([], { op: 'direntinos', path: 'd' })] },
  { name: `a lower ${name} is renamed`, stack: { lower: [{ 'd/o': entry }] }, ops: [ino('d/o'), rename('d/o', 'd/p'), gives(0, ino('d/p')), lstat('d/p'), fails('ENOENT', lstat('d/o')), rename('d/p', 'd/o')] },
  { name: `a lower ${name} is linked`, stack: { lower: [{ 'd/o': entry }] }, ops: [link('d/o', 'd/p'), lstat('d/p'), lstat('d/o'), ino('d/o'), gives(0, ino('d/p')), unlink('d/o'), lstat('d/p')] },
  { name: `a lower ${name} is unlinked and made again`, stack: { lower: [{ 'd/o': entry }] }, ops: [unlink('d/o'), fails('ENOENT', lstat('d/o')), mknod('d/o', 'fifo', 0o600), lstat('d/o'), unlink('d/o'), mkdir('d/o'), readdir('d')] },
  { name: `a ${name} is replaced by a rename`, stack: { lower: [{ 'd/o': entry }] }, ops: [put('d/p', 'P'), rename('d/p', 'd/o'), cat('d/o'), lstat('d/o')] },
]);

const sizes: readonly Case[] = fileStates.flatMap((state) => [
  { name: `truncate to nothing: ${state.name}`, stack: state.stack, ops: [...state.steps, truncate('d/f', 0), stat('d/f'), cat('d/f')] },
  { name: `truncate shorter: ${state.name}`, stack: state.stack, ops: [...state.steps, truncate('d/f', 2), stat('d/f'), cat('d/f')] },
  { name: `truncate longer: ${state.name}`, stack: state.stack, ops: [...state.steps, truncate('d/f', 5000), stat('d/f'), cat('d/f')] },
  { name: `ftruncate: ${state.name}`, stack: state.stack, ops: [...state.steps, open('a', 'd/f', 'RDWR'), ftruncate('a', 3), fstat('a'), ftruncate('a', 9), fstat('a'), cat('d/f'), close('a')] },
  { name: `ftruncate of an unlinked file: ${state.name}`, stack: state.stack, ops: [...state.steps, open('a', 'd/f', 'RDWR'), unlink('d/f'), ftruncate('a', 3), fchmod('a', 0o600), fchown('a', 5, 6), futimens('a', SECOND, NANOS), fstat('a')] },
  { name: `f-setters on a read-only fd: ${state.name}`, stack: state.stack, ops: [...state.steps, open('a', 'd/f', 'RDONLY'), fails('EINVAL', ftruncate('a', 3)), fchmod('a', 0o611), fchown('a', 5, 6), futimens('a', SECOND, NANOS), fstat('a'), lstat('d/f')] },
]);

export const sizeCases: readonly Case[] = [
  ...sizes,
  { name: 'truncate of a directory', stack: { lower: [{ 'd/x': file() }] }, ops: [fails('EISDIR', truncate('d', 0)), fails('EINVAL', truncate('d/x', -1)), fails('ENOENT', truncate('d/none', 0))] },
];

const owned = { uid: 1000, gid: 1000 } as const;
const suid: Stack = { lower: [{ 'd': dir({ mode: 0o777 }), 'd/f': file('program', { mode: 0o6755, ...owned }), 'd/r': file('roots', { mode: 0o6777 }), 'd/g': file('lock', { mode: 0o2644, ...owned }) }] };
const CAPABILITY = '\x01\x00\x00\x02\x00\x20\x00\x00' + '\x00'.repeat(12);

/** suid, sgid and file capabilities go when somebody without CAP_FSETID changes the file. */
export const killPrivCases: readonly Case[] = (['d/f', 'd/r', 'd/g'] as const).flatMap((path) => [
  { name: `a user's write clears suid: ${path}`, stack: suid, ops: [any(by(USER, append(path, '!'))), stat(path)] },
  { name: `root's write keeps suid: ${path}`, stack: suid, ops: [append(path, '!'), stat(path)] },
  { name: `a user's truncate clears suid: ${path}`, stack: suid, ops: [any(by(USER, truncate(path, 1))), stat(path)] },
  { name: `a user's O_TRUNC clears suid: ${path}`, stack: suid, ops: [any(by(USER, open('a', path, 'WRONLY|TRUNC'))), stat(path)] },
  { name: `root's truncate: ${path}`, stack: suid, ops: [truncate(path, 1), stat(path)] },
  { name: `root's chown clears suid: ${path}`, stack: suid, ops: [chown(path, 1001, 1001), stat(path)] },
  { name: `root's chown to nobody new clears suid: ${path}`, stack: suid, ops: [chown(path, -1, -1), stat(path), chmod(path, 0o6777), chown(path, -1, -1), stat(path)] },
  { name: `a user's chgrp clears suid: ${path}`, stack: suid, ops: [any(by([1000, 1000, 2000], chown(path, -1, 2000))), stat(path)] },
  { name: `a user's chmod of a group not his drops sgid: ${path}`, stack: suid, ops: [chown(path, -1, 4000), any(by(USER, chmod(path, 0o6755))), stat(path)] },
  { name: `a user's second write after chmod: ${path}`, stack: suid, ops: [any(by(USER, append(path, '1'))), chmod(path, 0o6777), stat(path), any(by(USER, append(path, '2'))), stat(path)] },
  { name: `a user's write through an open fd clears suid: ${path}`, stack: suid, ops: [chmod(path, 0o6777), by(USER, open('a', path, 'RDWR')), by(USER, write('a', 'x')), fstat('a'), chmod(path, 0o6777), by(USER, write('a', 'y')), fstat('a'), chmod(path, 0o6777), by(USER, ftruncate('a', 1)), fstat('a')] },
  { name: `a write drops file capabilities: ${path}`, stack: suid, ops: [setxattr(path, 'security.capability', CAPABILITY), append(path, 'x'), fails('ENODATA', getxattr(path, 'security.capability'))] },
  { name: `chown drops file capabilities: ${path}`, stack: suid, ops: [setxattr(path, 'security.capability', CAPABILITY), chown(path, 8, 8), fails('ENODATA', getxattr(path, 'security.capability'))] },
  { name: `chmod keeps file capabilities: ${path}`, stack: suid, ops: [setxattr(path, 'security.capability', CAPABILITY), chmod(path, 0o700), rename(path, 'd/t'), getxattr('d/t', 'security.capability')] },
]);

const shared: Stack = {
  lower: [{
    'g': dir({ mode: 0o2777, gid: 4000 }),
    't': dir({ mode: 0o1777 }), 't/roots': file('r', { mode: 0o666 }), 't/his': file('h', { uid: 1000 }), 't/hisdir/x': file('', { uid: 1000 }), 't/rootdir': dir({ mode: 0o777 }),
    'p': dir({ mode: 0o755 }), 'p/f': file('f', { mode: 0o600 }), 'p/shared': file('f', { mode: 0o666 }),
    'closed': dir({ mode: 0o700 }), 'closed/f': file('f', { mode: 0o666 }), 'exec': file('#!/bin/sh\necho ran $0\n', { mode: 0o755 }),
  }],
};

/** What permission bits allow an unprivileged user, and what setgid, sticky and umask do to what is made. */
export const permissionCases: readonly Case[] = [
  { name: 'a setgid directory gives its group', stack: shared, ops: [put('g/f', ''), stat('g/f'), mkdir('g/s'), stat('g/s'), symlink('x', 'g/l'), lstat('g/l'), mknod('g/p', 'fifo'), stat('g/p'), mkdir('g/s/t'), stat('g/s/t')] },
  { name: 'a setgid directory and a user', stack: shared, ops: [by(USER, put('g/f', '')), stat('g/f'), by(USER, open('a', 'g/x', 'WRONLY|CREAT', 0o2755)), stat('g/x'), by(USER, mkdir('g/s', 0o2700)), stat('g/s')] },
  { name: 'a setgid directory after it is copied up', stack: shared, ops: [chmod('g', 0o3777), mkdir('g/s'), stat('g/s'), rename('g', 'h'), put('h/f', ''), stat('h/f')] },
  { name: 'sticky: another\'s file cannot go', stack: shared, ops: [fails('EPERM', by(USER, unlink('t/roots'))), fails('EPERM', by(USER, rename('t/roots', 't/x'))), by(USER, unlink('t/his')), fails('EPERM', by(USER, { op: 'rmdir', path: 't/rootdir' })), by(USER, put('t/new', '')), by(USER, rename('t/new', 't/newer')), fails('EPERM', by(USER, rename('t/newer', 't/roots')))] },
  { name: 'permissions refuse a user', stack: shared, ops: [fails('EACCES', by(USER, put('p/n', ''))), fails('EACCES', by(USER, unlink('p/shared'))), fails('EACCES', by(USER, cat('p/f'))), by(USER, append('p/shared', 'x')), fails('EACCES', by(USER, cat('closed/f'))), fails('EACCES', by(USER, readdir('closed'))), fails('EACCES', by(USER, mkdir('p/d'))), fails('EACCES', by(USER, rename('p/shared', 'p/z'))), fails('EACCES', by(USER, symlink('a', 'p/l'))), fails('EACCES', by(USER, mknod('p/q', 'fifo')))] },
  { name: 'setattr refuses a user what he does not own', stack: shared, ops: [fails('EPERM', by(USER, chmod('p/shared', 0o600))), fails('EPERM', by(USER, chown('p/shared', 1000, -1))), fails('EPERM', by(USER, utimens('p/shared', SECOND, SECOND))), by(USER, utimens('p/shared', 'now', 'now')), fails('EACCES', by(USER, truncate('p/f', 0))), fails('EACCES', by(USER, utimens('p/f', 'now', 'now'))), fails('EPERM', by(USER, chown('t/his', 0, -1))), stat('p/shared')] },
  { name: 'a user owns what he makes', stack: shared, ops: [by(USER, put('t/f', 'mine')), stat('t/f'), by(USER, mkdir('t/d')), stat('t/d'), by(USER, symlink('x', 't/l')), lstat('t/l'), by(USER, mknod('t/p', 'fifo')), stat('t/p'), by(USER, chmod('t/f', 0o600)), by([1001, 1001], any(cat('t/f'))), fails('EPERM', by(USER, mknod('t/dev', 'chr', 0o600, [1, 3])))] },
  { name: 'a user cannot link another\'s file', stack: shared, ops: [any(by(USER, link('p/shared', 't/l'))), any(by(USER, link('p/f', 't/l2')))] },
  { name: 'umask', stack: shared, ops: [umask(0o077), put('p/a', '', 1, 0o666), stat('p/a'), mkdir('p/b', 0o777), stat('p/b'), mknod('p/c', 'fifo', 0o666), stat('p/c'), umask(0), put('p/d', '', 1, 0o666), stat('p/d'), open('x', 'p/e', 'WRONLY|CREAT', 0o7777), stat('p/e'), mkdir('p/g', 0o7777), stat('p/g')] },
  { name: 'access(2)', stack: shared, ops: [by(USER, access('p/f', 4)), by(USER, access('p/shared', 6)), by(USER, access('p/shared', 1)), by(USER, access('exec', 5)), access('p/f', 1), access('exec', 1), by(USER, access('closed/f', 4))] },
  { name: 'a file made unreadable stays writable through its fd', stack: shared, ops: [by(USER, open('a', 't/m', 'RDWR|CREAT', 0)), by(USER, write('a', 'x')), stat('t/m'), fails('EACCES', by(USER, cat('t/m')))] },
  { name: 'a program in a lower runs', stack: shared, ops: [gives([0, 'ran ./exec\n'], { op: 'run', argv: ['./exec'] }), chmod('exec', 0o700), { op: 'run', argv: ['./exec'] }, append('exec', 'echo more\n'), gives([0, 'ran ./exec\nmore\n'], { op: 'run', argv: ['./exec'] })] },
  { name: 'chmod through a symlink reaches the file', stack: { lower: [{ 'd/f': file(), 'd/l': sym('f') }] }, ops: [chmod('d/l', 0o600), stat('d/f'), lstat('d/l'), stat('d/l')] },
  { name: 'hard links share attributes', stack: { lower: [{}], upper: { 'd/a': file('A'), 'd/b': hard('d/a') } }, ops: [chmod('d/a', 0o601), stat('d/b'), chown('d/b', 3, 3), stat('d/a'), truncate('d/a', 0), stat('d/b'), ino('d/a'), gives(0, ino('d/b')), unlink('d/a'), stat('d/b')] },
];
