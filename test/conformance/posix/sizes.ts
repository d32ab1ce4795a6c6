// truncate(2), ftruncate(2), posix_fallocate(3): sizes, times, and what refuses them.

import {
  by,
  fails,
  ftruncate,
  gives,
  mkdir,
  open,
  pread,
  put,
  pwrite,
  symlink,
  truncate,
  unlink,
  type Op,
} from '../../support/ops.js';
import { fattrs, posixFallocate } from '../../support/ops-posix.js';
import { ALICE, DEAD_ENDS, behaviour, eachType, is, leaves, make, moves, room, type Behaviour } from './behaviour.js';

/** Ways to set the size of `o`. */
const ways: Readonly<Record<string, (size: number) => readonly Op[]>> = {
  truncate: (size) => [truncate('o', size)],
  'truncate through a symlink': (size) => [truncate('l', size)],
  'ftruncate of RDWR': (size) => [open('w', 'o', 'RDWR'), ftruncate('w', size)],
  'ftruncate of WRONLY': (size) => [open('w', 'o', 'WRONLY'), ftruncate('w', size)],
};

const setting = Object.entries(ways).flatMap(([way, to]) => [
  behaviour(
    `${way} makes an empty file longer and shorter`,
    [...make('file', 'o'), symlink('o', 'l')],
    [...to(1234567), is('o', 'size', '1234567'), ...to(567), is('o', 'size', '567'), ...to(0), is('o', 'size', '0')],
  ),
  behaviour(
    `${way} makes a file with data longer, with zeros, and shorter`,
    [put('o', 'abcde', 2469), symlink('o', 'l')],
    [
      is('o', 'size', '12345'),
      ...to(23456),
      is('o', 'size', '23456'),
      open('r', 'o', 'RDONLY'),
      gives('de\0\0\0', pread('r', 12343, 5)),
      ...to(1),
      is('o', 'size', '1'),
      gives('a', pread('r', 0, 10)),
    ],
  ),
  behaviour(
    `${way} moves mtime and ctime, also to the size that it had`,
    [put('o', 'abc'), symlink('o', 'l')],
    [
      ...moves(['o ctime', 'o mtime'], to(123)),
      ...moves(['o ctime', 'o mtime'], to(123)),
      ...moves(['o ctime', 'o mtime'], to(0)),
    ],
  ),
]);

const refused: readonly Behaviour[] = [
  behaviour('a truncate that fails moves no time', make('file', 'o'), [
    ...leaves(['o ctime', 'o mtime'], [fails('EACCES', by(ALICE, truncate('o', 123)))]),
    open('r', 'o', 'RDONLY'),
    ...leaves(['o ctime', 'o mtime'], [fails('EINVAL', ftruncate('r', 123))]),
    is('o', 'size', '0'),
  ]),
  behaviour('a negative size is EINVAL', make('file', 'o'), [
    fails('EINVAL', truncate('o', -1)),
    fails('EINVAL', truncate('o', -999999)),
    open('w', 'o', 'RDWR'),
    fails('EINVAL', ftruncate('w', -1)),
    open('v', 'o', 'WRONLY'),
    fails('EINVAL', ftruncate('v', -999999)),
  ]),
  behaviour('a directory is EISDIR', [mkdir('d')], [fails('EISDIR', truncate('d', 123)), fails('EISDIR', truncate('.', 0))]),
  behaviour('a size beyond what the filesystem can hold is EFBIG', make('file', 'o'), [
    fails('EFBIG', truncate('o', 999999999999999)),
    is('o', 'size', '0'),
    open('w', 'o', 'RDWR'),
    fails('EFBIG', ftruncate('w', 999999999999999)),
    is('o', 'size', '0'),
  ]),
  behaviour(
    'a file without write permission is EACCES for its owner and not for root',
    make('file', 'o', { mode: 0o444, uid: 65534 }),
    [fails('EACCES', by(ALICE, truncate('o', 5))), truncate('o', 5), is('o', 'size', '5')],
  ),
  behaviour('write permission on the file is enough', make('file', 'o', { mode: 0o666 }), [
    by(ALICE, truncate('o', 5)),
    is('o', 'size', '5'),
  ]),
  ...eachType(
    DEAD_ENDS.filter((type) => type !== 'file'),
    (type) => behaviour(`what has no size is EINVAL: ${type}`, make(type, 'o'), [fails('EINVAL', truncate('o', 3))]),
  ),
];

/** The mode of a new file says nothing about the descriptor that made it. */
const fresh = (what: string, change: Op): readonly Behaviour[] =>
  [undefined, ALICE].map((user) =>
    behaviour(`${what} works on the descriptor that made a file of mode 0: ${user ? 'a user' : 'root'}`, room('d', 0o777, 0), [
      { ...open('w', 'd/o', 'CREAT|RDWR', 0), user },
      { ...change, user },
      is('d/o', 'mode', '0000'),
      unlink('d/o'),
    ]),
  );

const allocating: readonly Behaviour[] = [
  behaviour('posix_fallocate makes an empty file as long as asked', make('file', 'o'), [
    open('w', 'o', 'RDWR'),
    posixFallocate('w', 0, 567),
    is('o', 'size', '567'),
  ]),
  behaviour(
    'posix_fallocate makes a file longer and never shorter',
    [put('o', 'abcde', 2469)],
    [
      open('w', 'o', 'RDWR'),
      posixFallocate('w', 20000, 3456),
      is('o', 'size', '23456'),
      posixFallocate('w', 0, 10),
      is('o', 'size', '23456'),
      gives('abcde', pread('w', 0, 5)),
    ],
  ),
  behaviour('posix_fallocate moves ctime, when it succeeds', make('file', 'o'), [
    open('w', 'o', 'RDWR'),
    ...moves(['o ctime'], [posixFallocate('w', 0, 123)]),
    open('v', 'o', 'WRONLY'),
    ...leaves(['o ctime'], [fails('EINVAL', posixFallocate('v', 0, 0)), fails('EINVAL', posixFallocate('v', -1, 5))]),
    open('r', 'o', 'RDONLY'),
    fails('EBADF', posixFallocate('r', 0, 500)),
    is('o', 'size', '123'),
  ]),
];

export const sizeBehaviours: readonly Behaviour[] = [
  ...setting,
  ...refused,
  ...fresh('ftruncate', ftruncate('w', 0)),
  ...fresh('posix_fallocate', posixFallocate('w', 0, 1)),
  ...allocating,
  behaviour('a file of more than 2 GiB is written and read at its end', make('file', 'o'), [
    open('w', 'o', 'RDWR'),
    pwrite('w', 2 ** 31 + 1, 'a'),
    is('o', 'size', String(2 ** 31 + 2)),
    gives('\0a', pread('w', 2 ** 31, 5)),
    gives(String(2 ** 31 + 2), fattrs('w', 'size')),
  ]),
];
