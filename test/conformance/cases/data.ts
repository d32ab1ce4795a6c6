// File contents: reading and writing across copy-up, holes, ranges, maps, locks, sync and nameless files.

import {
  any, append, by, cat, chdir, chmod, chown, close, copyrange, fails, fallocate, fdatasync, fino, flock, fstat, fsync, ftruncate, gives, ino, link, linkfd, lockf, lseek, mkdir,
  mmap, mread, msync, mwrite, open, pread, put, pwrite, read, readdir, rename, rmdir, setxattr, stat, truncate, unlink, write, fgetxattr, freaddir,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { bigFile, dir, file, link as hard, symlink as sym } from '../../support/tree.js';
import type { Stack } from '../../support/tree.js';
import type { Case } from '../run.js';
import { fileStates } from './states.js';

const MB = 1 << 20;
const BLOCK = 4096;

type Table = Readonly<Record<string, readonly Op[]>>;

const onAnyFile: Table = {
  'read by pieces': [open('a', 'd/f', 'RDONLY'), read('a', 2), read('a', 2), pread('a', 1, 3), pread('a', 4000, 3), lseek('a', -2, 'END'), read('a')],
  'write in the middle': [open('a', 'd/f', 'RDWR'), pwrite('a', 1, 'ZZ'), pread('a', 0, 99), cat('d/f'), fstat('a'), ino('d/f'), fino('a')],
  'write beyond the end': [open('a', 'd/f', 'RDWR'), pwrite('a', 9000, 'end'), fstat('a'), cat('d/f'), pread('a', 8998, 5)],
  'two writers': [open('a', 'd/f', 'RDWR'), open('b', 'd/f', 'RDWR'), pwrite('a', 0, 'A'), pwrite('b', 1, 'B'), pread('a', 0, 9), pread('b', 0, 9), close('a'), pwrite('b', 2, 'C'), cat('d/f')],
  'append by two fds': [open('a', 'd/f', 'WRONLY|APPEND'), open('b', 'd/f', 'WRONLY|APPEND'), write('a', '1'), write('b', '2'), write('a', '3'), cat('d/f')],
  'write, then read through a new reader': [open('a', 'd/f', 'RDWR'), write('a', 'fresh'), open('b', 'd/f', 'RDONLY'), read('b'), pwrite('a', 0, 'F'), pread('b', 0, 9)],
  'fsync': [open('a', 'd/f', 'RDWR'), write('a', 'S'), fsync('a'), fdatasync('a'), open('d', 'd', 'RDONLY|DIRECTORY'), fsync('d'), open('r', 'd/f', 'RDONLY'), fsync('r')],
  'fallocate': [open('a', 'd/f', 'RDWR'), fallocate('a', '', 0, 2 * BLOCK), fstat('a'), fallocate('a', 'KEEP_SIZE', 0, 8 * BLOCK), fstat('a'), fallocate('a', 'PUNCH_HOLE|KEEP_SIZE', 1, 2), cat('d/f'), fallocate('a', 'ZERO', 0, 1), cat('d/f'), any(fallocate('a', 'PUNCH_HOLE', 0, 1)), stat('d/f'), cat('d/f')],
  'copy_file_range from it': [open('a', 'd/f', 'RDONLY'), open('b', 'd/copy', 'RDWR|CREAT'), copyrange('a', 1, 'b', 0, 100), cat('d/copy'), copyrange('a', 0, 'b', 10, 2), cat('d/copy')],
  'copy_file_range to it': [put('d/src', '0123456789'), open('a', 'd/src', 'RDONLY'), open('b', 'd/f', 'RDWR'), copyrange('a', 2, 'b', 1, 3), cat('d/f'), stat('d/f')],
  'copy_file_range within it': [open('a', 'd/f', 'RDWR'), copyrange('a', 0, 'a', 100, 3), cat('d/f'), stat('d/f')],
  'mmap shared for writing': [open('a', 'd/f', 'RDWR'), ftruncate('a', BLOCK), mmap('m', 'a', BLOCK, 'rw', true), mwrite('m', 1, 'MAP'), mread('m', 0, 6), pread('a', 0, 6), pwrite('a', 0, 'w'), mread('m', 0, 6), msync('m'), cat('d/f')],
  'mmap private': [open('a', 'd/f', 'RDWR'), mmap('m', 'a', 3, 'rw', false), mwrite('m', 0, 'P'), mread('m', 0, 3), cat('d/f')],
  'mmap shared of a reader': [open('a', 'd/f', 'RDONLY'), mmap('m', 'a', 3, 'r', true), mread('m', 0, 3), close('a'), mread('m', 0, 3)],
  'unlinked while open for reading': [open('a', 'd/f', 'RDONLY'), unlink('d/f'), read('a'), put('d/f', 'other'), pread('a', 0, 99), fgetxattr('a', 'user.none')],
  'unlinked while open, then written and linked back': [open('a', 'd/f', 'RDWR'), unlink('d/f'), pwrite('a', 0, 'U'), fsync('a'), linkfd('a', 'd/back')],
  'renamed while open': [open('a', 'd/f', 'RDWR'), rename('d/f', 'd/t'), pwrite('a', 0, 'R'), cat('d/t'), fstat('a')],
  'replaced while open': [open('a', 'd/f', 'RDWR'), put('d/t', 'T'), rename('d/t', 'd/f'), pwrite('a', 0, 'O'), fstat('a'), pread('a', 0, 9), cat('d/f')],
  'locks': [open('a', 'd/f', 'RDWR'), open('b', 'd/f', 'RDWR'), flock('a', 'EX|NB'), fails('EAGAIN', flock('b', 'EX|NB')), flock('a', 'UN'), flock('b', 'SH|NB'), flock('a', 'SH|NB'), gives(7, lockf('a', 'd/f'))],
};

export const fileDataCases: readonly Case[] = fileStates.flatMap((state) =>
  Object.entries(onAnyFile).map(([title, ops]) => ({
    name: `${title}: ${state.name}`,
    stack: state.stack,
    ops: [...state.steps, ...ops.map((op) => (op.fails === undefined && !('gives' in op) ? any(op) : op)), readdir('d')],
  })),
);

const lowers: Stack = { lower: [{ 'd/f': file('lower content', { mode: 0o644 }), 'd/other': file('other') }] };
const chunks = { overlay: 'the kernel copies up in chunks of 1 MiB, and so fills holes' } as const;

/** lamina's own: data of an open lower file flows past the server, so a reader that was there first cannot be turned to the copy. */
const stale = {
  plain: 'there is only one file',
  overlay: 'the kernel turns read(2) of an old fd to the copy, though not its maps',
} as const;
const staleMap = { plain: 'there is only one file' } as const;

/** The object is copied up while it is open. */
export const copyUpCases: readonly Case[] = [
  { name: 'a reader keeps the lower file, a new reader sees the write', stack: lowers, differs: stale, ops: [open('r', 'd/f', 'RDONLY'), append('d/f', '!'), gives('lower content', pread('r', 0, 99)), gives('lower content!', cat('d/f')), open('r2', 'd/f', 'RDONLY'), gives('lower content!', read('r2')), gives(14, lseek('r2', 0, 'END'))] },
  { name: 'a reader keeps the lower file across unlink of the copy', stack: lowers, differs: stale, ops: [open('r', 'd/f', 'RDONLY'), append('d/f', '!'), unlink('d/f'), gives('lower content', pread('r', 0, 99))] },
  { name: 'a shared map of a reader keeps the lower file', stack: lowers, differs: staleMap, ops: [open('r', 'd/f', 'RDONLY'), mmap('m', 'r', 5, 'r', true), mread('m', 0, 5), open('w', 'd/f', 'RDWR'), pwrite('w', 0, 'UPPER'), gives({ 0: 'lower' }, mread('m', 0, 5)), gives('UPPER', pread('w', 0, 5))] },
  { name: 'nlink of an unlinked lower file is 0', stack: lowers, differs: { overlay: 'the kernel shows 1, the link count of the lower' }, ops: [open('r', 'd/f', 'RDONLY'), unlink('d/f'), fstat('r')] },
  { name: 'ino does not change by copy-up', stack: lowers, ops: [ino('d/f'), open('r', 'd/f', 'RDONLY'), gives(0, fino('r')), append('d/f', '!'), gives(0, ino('d/f')), gives(0, fino('r')), open('w', 'd/f', 'RDWR'), gives(0, fino('w')), rename('d/f', 'd/g'), gives(0, ino('d/g')), link('d/g', 'd/h'), gives(0, ino('d/h'))] },
  { name: 'chmod of an open lower file', stack: lowers, ops: [open('r', 'd/f', 'RDONLY'), chmod('d/f', 0o600), stat('d/f'), gives('lower content', read('r')), gives('lower content', cat('d/f'))] },
  { name: 'mode seen through a reader after chmod', stack: lowers, ops: [open('r', 'd/f', 'RDONLY'), chmod('d/f', 0o600), fstat('r'), stat('d/f')] },
  { name: 'size seen through a reader is that of the copy', stack: lowers, ops: [open('r', 'd/f', 'RDONLY'), append('d/f', 'more'), fstat('r'), gives(17, lseek('r', 0, 'END')), stat('d/f'), truncate('d/f', 3), fstat('r'), stat('d/f')] },
  { name: 'what is changed under a reader shows in its fstat', stack: { lower: [{ 'd/f': file('lower'), 'd/n': file('new') }] }, ops: [open('r', 'd/f', 'RDONLY'), setxattr('d/f', 'user.x', 'v'), open('r2', 'd/f', 'RDONLY'), chmod('d/f', 0o600), chown('d/f', 5, 7), fstat('r'), link('d/f', 'd/g'), fstat('r'), unlink('d/g'), rename('d/n', 'd/f'), fstat('r'), fstat('r2')] },
  { name: 'a writer opened before and after', stack: lowers, ops: [open('w', 'd/f', 'WRONLY'), open('v', 'd/f', 'RDWR'), pwrite('w', 0, 'one'), pwrite('v', 3, 'two'), cat('d/f'), pread('v', 0, 99), fstat('w')] },
  { name: 'open for writing without a write still copies', stack: lowers, ops: [open('w', 'd/f', 'WRONLY'), close('w'), stat('d/f'), cat('d/f')] },
  { name: 'a big file is copied whole', stack: { lower: [{ 'big': bigFile('0123456789abcdef', MB / 8) }] }, ops: [open('w', 'big', 'RDWR'), pwrite('w', MB, 'changed'), pread('w', MB - 4, 16), cat('big'), stat('big')] },
  { name: 'a sparse file keeps its holes and its size', stack: { lower: [{ 'sparse': bigFile('x', 10, 8 * MB) }] }, differs: chunks, ops: [open('w', 'sparse', 'RDWR'), pwrite('w', 4 * MB, 'mid'), stat('sparse'), gives(BLOCK, lseek('w', 0, 'HOLE')), gives(4 * MB, lseek('w', BLOCK, 'DATA')), fails('ENXIO', lseek('w', 5 * MB, 'DATA')), { op: 'run', argv: ['sh', '-c', 'test $(stat -c %b sparse) -lt 100'] }] },
  { name: 'O_TRUNC does not need the old content', stack: { lower: [{ 'big': bigFile('0123456789abcdef', MB / 16) }] }, ops: [put('big', 'small'), cat('big'), stat('big')] },
  { name: 'copy-up of a file in deep lower directories', stack: { lower: [{ 'a/b/c/d/e/f': file('deep'), 'a': dir({ mode: 0o711 }), 'a/b': dir({ uid: 5, xattrs: { 'user.k': 'v' } }) }] }, ops: [append('a/b/c/d/e/f', '!'), cat('a/b/c/d/e/f'), stat('a'), stat('a/b'), stat('a/b/c')] },
  { name: 'copy-up through a symlink', stack: { lower: [{ 'd/f': file('target'), 'l': sym('d/f'), 'ld': sym('d') }] }, ops: [append('l', '1'), append('ld/f', '2'), cat('d/f'), any(open('x', 'l', 'WRONLY|NOFOLLOW')), put('ld/new', ''), readdir('d')] },
  { name: 'a reader of an executable and a writer', stack: { lower: [{ 'x': file('#!/bin/sh\necho one\n', { mode: 0o755 }) }] }, ops: [gives([0, 'one\n'], { op: 'run', argv: ['./x'] }), put('x', '#!/bin/sh\necho two\n'), gives([0, 'two\n'], { op: 'run', argv: ['./x'] })] },
  { name: 'lower hard links, one copied up', stack: { lower: [{ 'd/a': file('one'), 'd/b': hard('d/a'), 'd/c': file('apart') }] }, kernelTree: 'an index is read by the mount that made it', ops: [ino('d/a'), gives(0, ino('d/b')), append('d/a', '!'), gives('one!', cat('d/b')), gives(0, ino('d/b')), gives(0, ino('d/a')), stat('d/a'), stat('d/b'), unlink('d/a'), cat('d/b'), stat('d/b'), link('d/b', 'd/e'), stat('d/e')] },
  { name: 'lower hard links in two directories, renamed and written', stack: { lower: [{ 'd/a': file('one'), 'e/b': hard('d/a') }] }, kernelTree: 'an index is read by the mount that made it', ops: [rename('d/a', 'e/a'), append('e/b', '!'), gives('one!', cat('e/a')), stat('e/a'), chmod('e/a', 0o600), stat('e/b'), unlink('e/b'), stat('e/a')] },
  { name: 'upper hard links', stack: { lower: [{}], upper: { 'd/a': file('one'), 'd/b': hard('d/a'), 'e/c': hard('d/a') } }, ops: [append('d/a', '!'), gives('one!', cat('e/c')), stat('d/b'), ino('d/a'), gives(0, ino('e/c')), put('d/n', ''), rename('d/n', 'd/b'), stat('e/c'), rename('d/a', 'e/c'), stat('d/a'), unlink('d/a'), stat('e/c')] },
];

const holes: Stack = { lower: [{ 'h': bigFile('data', BLOCK / 4, 5 * BLOCK), 'z': bigFile('', 1, 3 * BLOCK), 'full': bigFile('ab', BLOCK) }] };

export const holeCases: readonly Case[] = (['h', 'z', 'full'] as const).flatMap((path) => [
  { name: `SEEK_HOLE and SEEK_DATA in a lower: ${path}`, stack: holes, ops: [open('a', path, 'RDONLY'), lseek('a', 0, 'HOLE'), any(lseek('a', 0, 'DATA')), any(lseek('a', BLOCK, 'DATA')), lseek('a', BLOCK + 1, 'HOLE'), fails('ENXIO', lseek('a', 1 << 20, 'HOLE')), fails('ENXIO', lseek('a', 1 << 20, 'DATA'))] },
  { name: `SEEK_HOLE and SEEK_DATA after copy-up: ${path}`, stack: holes, differs: chunks, ops: [open('a', path, 'RDWR'), pwrite('a', 0, 'x'), fsync('a'), lseek('a', 0, 'HOLE'), any(lseek('a', BLOCK, 'DATA')), lseek('a', BLOCK + 1, 'HOLE'), pwrite('a', 2 * BLOCK, 'y'), fsync('a'), lseek('a', BLOCK, 'DATA'), lseek('a', 2 * BLOCK, 'HOLE'), cat(path)] },
  { name: `punch a hole and zero a range: ${path}`, stack: holes, differs: chunks, ops: [open('a', path, 'RDWR'), fallocate('a', 'PUNCH_HOLE|KEEP_SIZE', 0, BLOCK), cat(path), stat(path), any(lseek('a', 0, 'DATA')), fallocate('a', 'ZERO', BLOCK, 100), fallocate('a', 'ZERO|KEEP_SIZE', 4 * BLOCK, 9 * BLOCK), stat(path), cat(path), fails('EINVAL', fallocate('a', '', 0, 0)), open('r', path, 'RDONLY'), fails('EBADF', fallocate('r', '', 0, 1))] },
]);

export const copyRangeCases: readonly Case[] = [
  { name: 'ranges cannot be collapsed or inserted', stack: holes, differs: { plain: 'FUSE has no such request: the kernel refuses before it asks', overlay: 'FUSE has no such request: the kernel refuses before it asks' }, ops: [open('a', 'full', 'RDWR'), fails('EOPNOTSUPP', fallocate('a', 'COLLAPSE', 0, BLOCK)), fails('EOPNOTSUPP', fallocate('a', 'INSERT', 0, BLOCK)), cat('full')] },
  { name: 'copy_file_range of a whole lower file into a new one', stack: { lower: [{ 'big': bigFile('0123456789abcdef', MB / 8) }] }, ops: [open('a', 'big', 'RDONLY'), open('b', 'copy', 'RDWR|CREAT'), gives(2 * MB, copyrange('a', 0, 'b', 0, 4 * MB)), cat('copy'), cat('big'), stat('copy')] },
  { name: 'copy_file_range from lower to copied-up', stack: lowers, ops: [open('a', 'd/other', 'RDONLY'), open('b', 'd/f', 'RDWR'), gives(5, copyrange('a', 0, 'b', 3, 5)), gives('lowotherntent', cat('d/f')), stat('d/f')] },
  { name: 'copy_file_range onto itself', stack: lowers, ops: [open('a', 'd/f', 'RDWR'), fails('EINVAL', copyrange('a', 0, 'a', 2, 5)), copyrange('a', 0, 'a', 20, 5), cat('d/f')] },
  { name: 'copy_file_range clears suid for a user', stack: { lower: [{ 'd': dir({ mode: 0o777 }), 'd/s': file('suid', { mode: 0o6777 }), 'd/o': file('other', { mode: 0o666 }) }] }, ops: [by([1000, 1000], open('a', 'd/o', 'RDONLY')), by([1000, 1000], open('b', 'd/s', 'RDWR')), by([1000, 1000], copyrange('a', 0, 'b', 0, 5)), stat('d/s'), cat('d/s')] },
  { name: 'fallocate clears suid for a user', stack: { lower: [{ 'd/s': file('suid', { mode: 0o6777 }) }] }, ops: [by([1000, 1000], open('b', 'd/s', 'RDWR')), by([1000, 1000], fallocate('b', 'PUNCH_HOLE|KEEP_SIZE', 0, 2)), stat('d/s'), cat('d/s')] },
];

export const tmpfileCases: readonly Case[] = [
  { name: 'O_TMPFILE gets its name by linkat', stack: lowers, ops: [open('t', 'd', 'RDWR|TMPFILE', 0o640), write('t', 'nameless'), fstat('t'), readdir('d'), linkfd('t', 'd/named'), fstat('t'), stat('d/named'), cat('d/named'), pwrite('t', 0, 'N'), cat('d/named'), close('t'), append('d/named', '!'), cat('d/named')] },
  { name: 'O_TMPFILE leaves nothing when closed', stack: lowers, ops: [open('t', 'd', 'WRONLY|TMPFILE'), write('t', 'x'), close('t'), readdir('d')] },
  { name: 'O_TMPFILE with O_EXCL cannot be linked', stack: lowers, ops: [open('t', 'd', 'RDWR|TMPFILE|EXCL'), fails('ENOENT', linkfd('t', 'd/named'))] },
  { name: 'O_TMPFILE over an existing name', stack: lowers, ops: [open('t', 'd', 'RDWR|TMPFILE'), fails('EEXIST', linkfd('t', 'd/f')), unlink('d/f'), linkfd('t', 'd/f'), stat('d/f'), linkfd('t', 'd/g'), stat('d/g')] },
  { name: 'O_TMPFILE with attributes, xattrs and a map', stack: lowers, ops: [open('t', 'd', 'RDWR|TMPFILE', 0o600), ftruncate('t', BLOCK), { op: 'setxattr', fd: 't', name: 'user.a', value: '1' }, { op: 'chmod', fd: 't', mode: 0o604 }, { op: 'chown', fd: 't', uid: 3, gid: 4 }, mmap('m', 't', BLOCK, 'rw', true), mwrite('m', 0, 'mapped'), linkfd('t', 'd/named'), stat('d/named'), cat('d/named'), fgetxattr('t', 'user.a')] },
  { name: 'O_TMPFILE in a directory that is not there', stack: lowers, ops: [fails('ENOENT', open('t', 'none', 'RDWR|TMPFILE')), fails('ENOTDIR', open('t', 'd/f', 'RDWR|TMPFILE')), fails('EINVAL', open('t', 'd', 'RDONLY|TMPFILE'))] },
  { name: 'O_TMPFILE by a user in a setgid directory', stack: { lower: [{ g: dir({ mode: 0o2777, gid: 4000 }) }] }, ops: [by([1000, 1000], open('t', 'g', 'RDWR|TMPFILE', 0o2755)), fstat('t'), linkfd('t', 'g/named'), stat('g/named')] },
  { name: 'linkat of an open lower file', stack: lowers, ops: [open('t', 'd/f', 'RDONLY'), linkfd('t', 'd/l'), stat('d/l'), ino('d/f'), gives(0, ino('d/l')), append('d/l', '!'), cat('d/f')] },
  { name: 'linkat of an unlinked file', stack: lowers, ops: [open('t', 'd/f', 'RDWR'), unlink('d/f'), fails('ENOENT', linkfd('t', 'd/l')), fstat('t')] },
];

export const openDirCases: readonly Case[] = [
  { name: 'an open directory that is removed', stack: { lower: [{ 'd/s': dir() }] }, ops: [open('a', 'd/s', 'RDONLY|DIRECTORY'), rmdir('d/s'), any(freaddir('a')), fstat('a'), mkdir('d/s'), put('d/s/x', ''), any(freaddir('a'))] },
  { name: 'an open directory that is renamed', stack: { lower: [{ 'd/s/x': file() }] }, ops: [open('a', 'd/s', 'RDONLY|DIRECTORY'), rename('d/s', 'd/t'), freaddir('a'), put('d/t/y', ''), freaddir('a'), setxattr('d/t', 'user.a', '1'), fgetxattr('a', 'user.a'), fsync('a')] },
  { name: 'an open directory that gets a file', stack: { lower: [{ 'd/s/x': file() }] }, ops: [open('a', 'd/s', 'RDONLY|DIRECTORY'), freaddir('a'), put('d/s/y', ''), freaddir('a'), unlink('d/s/x'), freaddir('a')] },
  { name: 'the working directory is removed', stack: { lower: [{ 'd/s/x': file() }] }, ops: [chdir('d/s'), unlink('x'), rmdir('../s'), fails('ENOENT', put('y', '')), fails('ENOENT', mkdir('z')), any(readdir('.')), chdir('..'), gives([], readdir('.')), mkdir('s')] },
  { name: 'a file is truncated while it is read', stack: lowers, ops: [open('a', 'd/f', 'RDWR'), read('a', 3), truncate('d/f', 1), read('a', 3), fstat('a'), pwrite('a', 5, 'x'), cat('d/f')] },
];
