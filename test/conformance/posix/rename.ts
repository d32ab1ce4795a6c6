// rename(2): what moves, over what, which times move, and what refuses.

import { by, cat, chmod, fails, gives, ino, link, mkdir, put, rename, rmdir, symlink, unlink } from '../../support/ops.js';
import {
  ALICE,
  NOT_DIR,
  TYPES,
  behaviour,
  eachType,
  gone,
  is,
  leadsTo,
  leaves,
  make,
  moves,
  remove,
  room,
  type Behaviour,
} from './behaviour.js';

const moving = eachType(TYPES, (type) => [
  behaviour(`the object stays what it is: ${type}`, make(type, 'a', { uid: 65534 }), [
    ino('a'),
    rename('a', 'b'),
    gone('a'),
    gives(0, ino('b')),
    is('b', 'type owner', `${type} 65534:65534`),
    ...(type === 'dir'
      ? []
      : [
          link('b', 'a'),
          is('a', 'nlink', '2'),
          rename('b', 'c'),
          gone('b'),
          gives(0, ino('a')),
          gives(0, ino('c')),
          is('c', 'type nlink', `${type} 2`),
          unlink('a'),
          is('c', 'nlink', '1'),
        ]),
  ]),
  behaviour(
    `ctime of the object and times of the directories move: ${type}`,
    [mkdir('d'), mkdir('e'), ...make(type, 'd/a')],
    [
      ...moves(['d mtime', 'd ctime', 'e mtime', 'e ctime'], [rename('d/a', 'e/b')]),
      ...moves(['e/b ctime'], [rename('e/b', 'e/c'), link('e/c', 'e/b')].slice(0, 1).concat(rename('e/c', 'e/b'))),
      ...leaves(['e/b mtime'], [rename('e/b', 'd/a'), rename('d/a', 'e/b')]),
    ],
  ),
  behaviour(`a rename that fails moves no time: ${type}`, make(type, 'a'), [
    ...leaves(['a ctime', '. ctime', '. mtime'], [fails('EACCES', by(ALICE, rename('a', 'b')))]),
    gone('b'),
  ]),
  behaviour(
    `into a directory that holds something is ENOTEMPTY: ${type}`,
    [mkdir('d'), mkdir('e'), ...make(type, 'e/o')],
    [fails('ENOTEMPTY', rename('d', 'e')), is('e/o', 'type', type), remove(type, 'e/o'), rename('d', 'e'), gone('d')],
  ),
]);

const pairs = eachType(NOT_DIR, (from) =>
  eachType(NOT_DIR, (to) =>
    behaviour(
      `one takes the place of another: ${from} over ${to}`,
      [...make(from, 'a', { uid: 1 }), ...make(to, 'b', { uid: 2 })],
      [ino('a'), rename('a', 'b'), gone('a'), gives(0, ino('b')), is('b', 'type nlink owner', `${from} 1 1:1`)],
    ),
  ),
);

const mixed = eachType(NOT_DIR, (type) => [
  behaviour(
    `a directory does not replace what is none: ${type}`,
    [mkdir('d'), ...make(type, 'o')],
    [fails('ENOTDIR', rename('d', 'o')), is('d', 'type', 'dir'), is('o', 'type', type)],
  ),
  behaviour(
    `what is no directory does not replace one: ${type}`,
    [mkdir('d'), ...make(type, 'o')],
    [fails('EISDIR', rename('o', 'd')), is('d', 'type', 'dir'), is('o', 'type', type)],
  ),
  behaviour(
    `the other names of what is replaced stay: ${type}`,
    [...make(type, 'a'), ...make(type, 'b'), link('b', 'c')],
    [
      is('c', 'nlink', '2'),
      ...moves(['c ctime'], [rename('a', 'b')]),
      is('c', 'type nlink', `${type} 1`),
      is('b', 'nlink', '1'),
      unlink('b'),
      unlink('c'),
    ],
  ),
  behaviour(
    `one name of an object over another leaves both: ${type}`,
    [...make(type, 'a'), link('a', 'b')],
    [rename('a', 'b'), is('a', 'nlink', '2'), is('b', 'nlink', '2')],
  ),
]);

const directories: readonly Behaviour[] = [
  behaviour(
    'a directory does not go below itself',
    [mkdir('d'), mkdir('d/e')],
    [
      fails('EINVAL', rename('d', 'd/e')),
      fails('EINVAL', rename('d', 'd/e/f')),
      fails('EINVAL', rename('d', 'd/f')),
      fails('ENOTEMPTY', rename('d/e', 'd')),
    ],
  ),
  behaviour(
    '. and .. are not renamed',
    [mkdir('d'), mkdir('d/e')],
    [
      fails('EBUSY', rename('d/e/.', 'n')),
      fails('EBUSY', rename('d/e/..', 'n')),
      fails('EBUSY', rename('d', 'd/e/..')),
      fails('EBUSY', rename('d', 'd/.')),
    ],
  ),
  behaviour(
    '.. of a directory that moved is its new parent',
    [mkdir('d'), mkdir('e'), mkdir('d/s'), put('d/s/f', 'F')],
    [
      ino('d'),
      ino('e'),
      gives(0, ino('d/s/..')),
      rename('d/s', 'e/t'),
      gives(1, ino('e/t/..')),
      gives('F', cat('e/t/f')),
      gone('d/s'),
    ],
  ),
  behaviour(
    'a symlink is renamed itself',
    [put('o', ''), symlink('o', 'l')],
    [
      rename('l', 'm'),
      leadsTo('m', 'type', 'file'),
      is('m', 'type', 'symlink'),
      gone('l'),
      rename('m', 'o'),
      is('o', 'type', 'symlink'),
    ],
  ),
  behaviour(
    'rename needs both directories searched and written',
    [...room('d', 0o755, 65534), ...room('e', 0o755, 65534), ...make('file', 'd/o', { uid: 65534 })],
    [
      by(ALICE, rename('d/o', 'e/n')),
      by(ALICE, rename('e/n', 'd/o')),
      chmod('d', 0o644),
      fails('EACCES', by(ALICE, rename('d/o', 'd/n'))),
      fails('EACCES', by(ALICE, rename('d/o', 'e/n'))),
      chmod('d', 0o755),
      chmod('e', 0o644),
      fails('EACCES', by(ALICE, rename('d/o', 'e/n'))),
      chmod('e', 0o555),
      fails('EACCES', by(ALICE, rename('d/o', 'e/n'))),
      chmod('e', 0o755),
      chmod('d', 0o555),
      fails('EACCES', by(ALICE, rename('d/o', 'e/n'))),
      fails('EACCES', by(ALICE, rename('d/o', 'd/n'))),
      is('d/o', 'type', 'file'),
    ],
  ),
  behaviour(
    'a directory that one may not write moves within its parent only',
    [...room('d', 0o777, 0), ...room('e', 0o777, 0), ...room('d/s', 0o700, 0)],
    [
      by(ALICE, rename('d/s', 'd/t')),
      by(ALICE, rename('d/t', 'd/s')),
      fails('EACCES', by(ALICE, rename('d/s', 'e/s'))),
      rename('d/s', 'e/s'),
      rmdir('e/s'),
    ],
  ),
  behaviour(
    'a file that one may not write moves anywhere',
    [...room('d', 0o777, 0), ...room('e', 0o777, 0), ...make('file', 'd/f', { mode: 0o600 })],
    [by(ALICE, rename('d/f', 'e/g')), is('e/g', 'mode owner', '0600 0:0'), unlink('e/g'), fails('ENOENT', unlink('d/f'))],
  ),
  behaviour(
    'a directory replaces an empty one',
    [mkdir('d'), put('d/f', 'F'), mkdir('e')],
    [ino('d'), rename('d', 'e'), gives(0, ino('e')), gives('F', cat('e/f'))],
  ),
];

const flags: readonly Behaviour[] = [
  ...eachType(TYPES, (type) =>
    behaviour(
      `NOREPLACE refuses what exists and EXCHANGE needs it: ${type}`,
      [...make(type, 'a'), ...make('file', 'b')],
      [
        ino('a'),
        fails('EEXIST', rename('a', 'b', 'NOREPLACE')),
        fails('ENOENT', rename('a', 'n', 'EXCHANGE')),
        rename('a', 'b', 'EXCHANGE'),
        gives(0, ino('b')),
        is('a', 'type', 'file'),
        is('b', 'type', type),
        rename('b', 'n', 'NOREPLACE'),
        gone('b'),
      ],
    ),
  ),
];

export const renameBehaviours: readonly Behaviour[] = [...moving, ...pairs, ...mixed, ...directories, ...flags];
