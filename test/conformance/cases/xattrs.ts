// Extended attributes and POSIX ACLs, and that the union's own marks can be neither seen nor made.

import {
  any, append, by, cat, chmod, chown, fails, fgetxattr, fsetxattr, getxattr, gives, listxattr, lstat, mkdir, mknod, open, put, readdir, removexattr, rename, rmdir,
  setxattr, stat, symlink, umask, unlink,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { acl, ACCESS, DEFAULT } from '../../support/acl.js';
import { dir, fifo, file, opaque, symlink as sym } from '../../support/tree.js';
import type { Stack } from '../../support/tree.js';
import type { Case } from '../run.js';
import { dirStates, fileStates } from './states.js';

const USER = [1000, 1000] as const;

const calls = (path: string, space: string): readonly Op[] => [
  fails('ENODATA', getxattr(path, `${space}.absent`)),
  fails('ENODATA', removexattr(path, `${space}.absent`)),
  fails('ENODATA', setxattr(path, `${space}.new`, 'v', 'REPLACE')),
  setxattr(path, `${space}.new`, 'value', 'CREATE'),
  fails('EEXIST', setxattr(path, `${space}.new`, 'v', 'CREATE')),
  gives('value', getxattr(path, `${space}.new`)),
  setxattr(path, `${space}.new`, '', 'REPLACE'),
  gives('', getxattr(path, `${space}.new`)),
  setxattr(path, `${space}.bytes`, '\x00\xff\x80'),
  getxattr(path, `${space}.bytes`),
  listxattr(path),
  removexattr(path, `${space}.new`),
  listxattr(path),
];

const spaces = ['user', 'trusted', 'security'] as const;

export const xattrCases: readonly Case[] = [
  ...spaces.flatMap((space) => [
    ...fileStates.map((state) => ({ name: `${space}. xattrs: ${state.name}`, stack: state.stack, ops: [...state.steps, ...calls('d/f', space), cat('d/f'), lstat('d/f')] })),
    ...dirStates.map((state) => ({ name: `${space}. xattrs: ${state.name}`, stack: state.stack, ops: [...state.steps, ...calls('d/s', space), readdir('d/s')] })),
  ]),
  { name: 'xattrs of a symlink and a fifo', stack: { lower: [{ 'l': sym('x', { xattrs: { 'trusted.a': '1' } }), 'p': fifo({ xattrs: { 'trusted.a': '2' } }) }] }, ops: [fails('EPERM', setxattr('l', 'user.a', '1')), fails('EPERM', setxattr('p', 'user.a', '1')), setxattr('l', 'trusted.b', '1'), setxattr('p', 'trusted.b', '1'), listxattr('l'), listxattr('p'), setxattr('l', 'security.c', '3'), listxattr('l')] },
  { name: 'xattrs survive copy-up', stack: { lower: [{ 'f': file('x', { xattrs: { 'user.a': '1', 'trusted.b': '2', 'security.c': '3', 'user.empty': '', 'user.long': 'z'.repeat(1000) } }) }] }, ops: [listxattr('f'), append('f', 'y'), listxattr('f'), getxattr('f', 'user.long'), rename('f', 'g'), listxattr('g'), getxattr('g', 'security.c')] },
  { name: 'xattrs through an fd, also of an unlinked file', stack: { lower: [{ 'f': file('x', { xattrs: { 'user.a': '1' } }) }] }, ops: [open('a', 'f', 'RDWR'), fgetxattr('a', 'user.a'), fsetxattr('a', 'user.b', '2'), getxattr('f', 'user.b'), unlink('f'), fsetxattr('a', 'user.c', '3'), fgetxattr('a', 'user.c'), fgetxattr('a', 'user.a')] },
  { name: 'xattr limits', stack: { lower: [{ 'f': file('x') }] }, ops: [fails('EOPNOTSUPP', setxattr('f', 'nospace.a', '1')), fails('EOPNOTSUPP', setxattr('f', 'plain', '1')), fails('EINVAL', setxattr('f', 'user.', '1')), fails('ERANGE', setxattr('f', `user.${'n'.repeat(251)}`, '1')), setxattr('f', `user.${'n'.repeat(250)}`, '1'), listxattr('f'), fails('E2BIG', setxattr('f', 'user.big', 'b'.repeat(70_000)))] },
  { name: 'a user and xattrs', stack: { lower: [{ 'f': file('x', { mode: 0o644, xattrs: { 'user.a': '1', 'trusted.t': '2' } }), 'w': file('x', { mode: 0o666 }), 'n': file('x', { mode: 0o600, xattrs: { 'user.a': '1' } }) }] }, ops: [by(USER, getxattr('f', 'user.a')), fails('EACCES', by(USER, setxattr('f', 'user.a', '2'))), by(USER, setxattr('w', 'user.a', '2')), fails('EACCES', by(USER, getxattr('n', 'user.a'))), any(by(USER, getxattr('f', 'trusted.t'))), fails('EPERM', by(USER, setxattr('w', 'trusted.t', '2'))), by(USER, listxattr('f')), fails('EPERM', by(USER, setxattr('w', 'security.s', '1')))] },
];

const marked: Stack = {
  lower: [{ 'd/x': file('x'), 'd/f': file('f') }, { 'd/y': file('y') }],
  upper: { d: dir(), 'o': opaque(), 'o/z': file() },
};

/** The reference is kernel overlayfs: a plain directory has no marks, so any name is free there. */
const ours = { plain: 'a plain directory gives overlay xattrs no meaning' } as const;

/** Marks of the other formats that lamina reads; the kernel reads only its own, so the plain directory is the reference. */
const theirs = {
  differs: { overlay: 'with trusted marks the kernel gives user.* names no meaning, and does not hide them' },
  kernelTree: 'lamina escapes these names, the kernel shows them escaped',
} as const;

const foreignMarks: readonly Case[] = ['user.overlay.opaque', 'user.fuseoverlayfs.opaque'].map((name) => ({
  name: `a user who sets ${name} hides nothing`,
  stack: marked,
  ...theirs,
  ops: [any(setxattr('d', name, 'y')), mkdir('new'), any(setxattr('new', name, 'y')), readdir('d'), put('d/z', 'z'), rename('d', 'e'), readdir('e'), any(listxattr('new'))],
}));

export const markCases: readonly Case[] = [
  ...foreignMarks,
  {
    name: 'a user who makes a .wh. name hides nothing, now or after a remount',
    stack: marked,
    differs: { plain: 'an ordinary name there', overlay: 'an ordinary name there' },
    kernelTree: 'an ordinary name for the kernel',
    ops: [any(put('d/.wh.x', '')), any(put('d/.wh..wh..opq', '')), any(mkdir('d/.wh.y')), put('d/t', ''), any(rename('d/t', 'd/.wh.f')), any(symlink('a', 'd/.wh.f')), gives(true, { op: 'exists', path: 'd/x' }), gives(true, { op: 'exists', path: 'd/y' }), gives('f', cat('d/f'))],
  },
  { name: 'marks are not listed', stack: marked, ops: [gives([], listxattr('o')), gives([], listxattr('d')), append('d/f', 'x'), gives([], listxattr('d/f')), rename('d', 'e'), gives([], listxattr('e')), gives([], listxattr('e/f')), mkdir('d'), gives([], listxattr('d')), any(getxattr('o', 'trusted.overlay.opaque')), any(getxattr('e', 'trusted.overlay.redirect')), any(getxattr('e/f', 'trusted.overlay.origin'))] },
  { name: 'a forged opaque mark hides nothing', stack: marked, differs: ours, ops: [setxattr('d', 'trusted.overlay.opaque', 'y'), readdir('d'), getxattr('d', 'trusted.overlay.opaque'), listxattr('d'), removexattr('d', 'trusted.overlay.opaque'), listxattr('d'), fails('ENODATA', getxattr('d', 'trusted.overlay.opaque'))] },
  { name: 'a forged redirect leads nowhere', stack: marked, differs: ours, ops: [mkdir('n'), setxattr('n', 'trusted.overlay.redirect', '/d'), gives([], readdir('n')), rename('n', 'm'), gives([], readdir('m')), getxattr('m', 'trusted.overlay.redirect')] },
  { name: 'a forged metacopy or origin shows nothing else', stack: marked, differs: ours, ops: [put('n', ''), setxattr('n', 'trusted.overlay.metacopy', ''), setxattr('n', 'trusted.overlay.origin', 'x'), gives('', cat('n')), rename('n', 'm'), gives('', cat('m')), listxattr('m')] },
  { name: 'a forged whiteout mark hides nothing', stack: marked, differs: ours, ops: [put('n', ''), setxattr('n', 'trusted.overlay.whiteout', ''), stat('n'), readdir('.')] },
  { name: 'xattrs that only look like marks are the user\'s', stack: marked, ops: [setxattr('d/f', 'trusted.overlays', 'x'), setxattr('d/f', 'trusted.overlay', 'x'), setxattr('d/f', 'user.overlayed', 'x'), listxattr('d/f'), rename('d/f', 'd/g'), listxattr('d/g')] },
];

const team = acl({ owner: 6, group: 4, other: 0, mask: 6, users: [[1000, 6]] });
const groupOnly = acl({ owner: 7, group: 0, other: 0, mask: 7, groups: [[2000, 5]] });

export const aclCases: readonly Case[] = [
  ...fileStates.map((state) => ({
    name: `access ACL: ${state.name}`,
    stack: state.stack,
    ops: [...state.steps, setxattr('d/f', ACCESS, team), lstat('d/f'), getxattr('d/f', ACCESS), by(USER, append('d/f', 'x')), chmod('d/f', 0o600), getxattr('d/f', ACCESS), fails('EACCES', by(USER, cat('d/f'))), chmod('d/f', 0o660), by(USER, cat('d/f')), removexattr('d/f', ACCESS), fails('EACCES', by(USER, cat('d/f'))), listxattr('d/f')],
  })),
  ...dirStates.map((state) => ({
    name: `default ACL is inherited: ${state.name}`,
    stack: state.stack,
    ops: [...state.steps, chmod('d/s', 0o755), setxattr('d/s', DEFAULT, groupOnly), put('d/s/new', ''), stat('d/s/new'), listxattr('d/s/new'), getxattr('d/s/new', ACCESS), mkdir('d/s/sub'), stat('d/s/sub'), listxattr('d/s/sub'), getxattr('d/s/sub', DEFAULT), mknod('d/s/p', 'fifo'), stat('d/s/p'), listxattr('d/s/p'), symlink('x', 'd/s/l'), listxattr('d/s/l'), umask(0o077), put('d/s/masked', '', 1, 0o666), stat('d/s/masked')],
  })),
  { name: 'a lower\'s ACLs are obeyed and kept by copy-up', stack: { lower: [{ 'd': dir({ mode: 0o750, xattrs: { [DEFAULT]: team } }), 'f': file('f', { mode: 0o640, xattrs: { [ACCESS]: team } }) }] }, ops: [by(USER, cat('f')), fails('EACCES', by([1001, 1001], cat('f'))), chown('f', 5, 5), by(USER, append('f', 'x')), getxattr('f', ACCESS), stat('f'), put('d/n', ''), getxattr('d/n', ACCESS), rename('d', 'e'), put('e/m', ''), getxattr('e/m', ACCESS)] },
  { name: 'an ACL that only says the mode is the mode', stack: { lower: [{ 'f': file('f') }] }, ops: [setxattr('f', ACCESS, acl({ owner: 6, group: 0, other: 1 })), stat('f'), listxattr('f')] },
  { name: 'a user may not set the ACL of another\'s file', stack: { lower: [{ 'f': file('f', { mode: 0o666 }), 'his': file('h', { uid: 1000 }) }] }, ops: [fails('EPERM', by(USER, setxattr('f', ACCESS, team))), by(USER, setxattr('his', ACCESS, team)), stat('his'), fails('EPERM', by(USER, removexattr('f', ACCESS)))] },
  { name: 'broken ACLs are refused', stack: { lower: [{ 'f': file('f'), 'd': dir() }] }, ops: [fails('EOPNOTSUPP', setxattr('f', ACCESS, 'nonsense')), any(setxattr('f', DEFAULT, team)), fails('EINVAL', setxattr('d', DEFAULT, '\x02\x00\x00\x00\x01\x00\x07\x00\xff\xff\xff\xff')), listxattr('f'), listxattr('d')] },
  { name: 'an ACL clears sgid of a group not his', stack: { lower: [{ 'f': file('f', { uid: 1000, gid: 4000, mode: 0o2755 }) }] }, ops: [by(USER, setxattr('f', ACCESS, team)), stat('f')] },
  { name: 'a directory with a default ACL is removed and made again', stack: { lower: [{ 'd/s': dir({ xattrs: { [DEFAULT]: team } }) }] }, ops: [rmdir('d/s'), mkdir('d/s'), listxattr('d/s'), put('d/s/x', ''), stat('d/s/x')] },
];
