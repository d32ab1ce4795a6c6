// What is seldom done, or seldom seen: whiteouts that hide nothing, append-only files, times out of the common range, files
// that have two inodes to the kernel, attributes that only some may list.

import {
  any, append, chmod, chown, close, fails, fallocate, fchmod, fchown, fsetxattr, fstat, futimens, link, listxattr, open, readdir,
  rename, rmdir, run, stat, unlink, write,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { setflags } from '../../support/ops-objects.js';
import { dir, file, link as hard, whiteout } from '../../support/tree.js';
import type { Layer } from '../../support/tree.js';
import type { Case } from '../run.js';

const hollow: Layer = { 'd/a': whiteout(), 'd/b': whiteout(), 'd/c': whiteout(), 'd/e': whiteout() };
/** Opened before it was copied up: the kernel has two inodes for it from then on. */
const split = (path: string): Op[] => [open('r', path, 'RDONLY'), append(path, '+'), stat(path), fstat('r')];
const both: readonly Op[] = [stat('d/f'), fstat('r')];

export const seldomCases: readonly Case[] = [
  {
    name: 'names whose whiteouts hide nothing are free for all that comes',
    differs: { overlay: 'it lists such a whiteout after a change of the directory' },
    stack: { lower: [{}], upper: { ...hollow, 'd/f': file('f'), 'd/g': file('g'), 'd/s': dir(), 'd/t': dir(), 'd/u': dir() } },
    ops: [
      rename('d/f', 'd/a', 'NOREPLACE'),
      rename('d/s', 'd/b'),
      rename('d/t', 'd/c', 'NOREPLACE'),
      fails('ENOENT', rename('d/g', 'd/e', 'EXCHANGE')),
      fails('ENOENT', unlink('d/e')),
      fails('ENOENT', rmdir('d/e')),
      readdir('d'),
      rename('d/g', 'd/e'),
      readdir('d'),
    ],
  },
  {
    name: 'an append-only file is made longer beforehand',
    stack: { lower: [{ 'd/f': file('lower') }], upper: { 'd/g': file('upper') } },
    ops: ['d/f', 'd/g'].flatMap((path) => [
      setflags(path, 'a'),
      open('f', path, 'WRONLY|APPEND'),
      fallocate('f', 'KEEP_SIZE', 0, 8192),
      fallocate('f', '', 0, 4096),
      any(fallocate('f', 'PUNCH_HOLE|KEEP_SIZE', 0, 4096)),
      write('f', 'more'),
      close('f'),
      stat(path),
      setflags(path, ''),
    ]),
  },
  {
    name: 'times that 64 bits of nanoseconds do not hold outlive a copy-up',
    stack: { lower: [{ 'd/f': file('f', { mtime: 10_413_792_000 }), 'd/s': dir({ mtime: 10_000_000_000 }), d: dir({ mtime: 10_413_792_001 }) }] },
    ops: [stat('d/f'), chmod('d/f', 0o600), stat('d/f'), chmod('d/s', 0o700), stat('d/s'), stat('d')],
  },
  {
    name: 'a file that is open while it is copied up is one to both of its inodes',
    stack: { lower: [{ 'd/f': file('f'), 'd/g': hard('d/f') }] },
    kernelTree: 'the kernel does not read what keeps links of lower files together (DESIGN.md)',
    ops: [
      ...split('d/f'),
      ...[fchmod('r', 0o4711), fchown('r', 12, 13), futimens('r', '5000000000', '6000000000'), chmod('d/g', 0o600)].flatMap((op) => [op, ...both]),
      fsetxattr('r', 'user.a', '1'),
      listxattr('d/f'),
      chown('d/g', 1, 1),
      ...both,
      link('d/g', 'd/h'),
      ...both,
      unlink('d/g'),
      ...both,
      unlink('d/h'),
      ...both,
    ],
  },
  {
    name: 'statx of an open file without a name',
    stack: { lower: [{ 'd/f': file('f'), 'd/g': file('g') }] },
    differs: { overlay: 'it shows the link count of the lower file' },
    ops: [
      open('f', 'd/f', 'RDONLY'),
      unlink('d/f'),
      fstat('f'),
      run('sh', '-c', "exec 3<$0; rm $0; stat -L -c '%w %h' /proc/self/fd/3 | sed 's/.* //'; stat -L -c %h /proc/self/fd/3", 'd/g'),
    ],
  },
  {
    name: 'trusted attributes are listed to those who may read them',
    stack: { lower: [{ 'd/f': file('f', { xattrs: { 'trusted.x': '1', 'user.y': '2' } }) }] },
    ops: [['--inh-caps=-sys_admin', '--bounding-set=-sys_admin'], ['--reuid=1000', '--regid=1000', '--clear-groups'], ['--reuid=1000', '--regid=1000', '--clear-groups', '--inh-caps=+sys_admin', '--ambient-caps=+sys_admin'], []].map((how) =>
      run('setpriv', ...how, 'python3', '-c', "import os; print(sorted(os.listxattr('d/f')))"),
    ),
  },
];
