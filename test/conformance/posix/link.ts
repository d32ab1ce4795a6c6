// link(2) and unlink(2), rmdir(2): link counts, times, what is removed and what refuses.

import {
  by,
  chmod,
  chown,
  fails,
  gives,
  ino,
  link,
  mkdir,
  put,
  rmdir,
  symlink,
  unlink,
  cat,
  append,
  type Op,
} from '../../support/ops.js';
import {
  ALICE,
  DEAD_ENDS,
  NOT_DIR,
  TYPES,
  behaviour,
  eachType,
  gone,
  is,
  leaves,
  make,
  moves,
  remove,
  room,
  type Behaviour,
} from './behaviour.js';

const removalNeedsDirectory = (name: string, scene: readonly Op[], removal: Op): Behaviour =>
  behaviour(
    `${name} needs the directory searched and written`,
    [...room('d', 0o755, 65534), ...scene],
    [
      chmod('d', 0o644),
      fails('EACCES', by(ALICE, removal)),
      chmod('d', 0o555),
      fails('EACCES', by(ALICE, removal)),
      chmod('d', 0o755),
      by(ALICE, removal),
    ],
  );

const linking = eachType(NOT_DIR, (type) => [
  behaviour(`names of one object count, and share what is changed: ${type}`, make(type, 'a'), [
    is('a', 'type nlink', `${type} 1`),
    link('a', 'b'),
    ...['a', 'b'].map((name) => is(name, 'type nlink', `${type} 2`)),
    link('b', 'c'),
    ...['a', 'b', 'c'].map((name) => is(name, 'type nlink', `${type} 3`)),
    ino('a'),
    gives(0, ino('c')),
    ...(type === 'symlink' ? [] : [chmod('b', 0o201)]),
    chown('b', 65534, 65533),
    ...['a', 'b', 'c'].map((name) =>
      is(name, 'type mode nlink owner', `${type} ${type === 'symlink' ? '0777' : '0201'} 3 65534:65533`),
    ),
    unlink('a'),
    gone('a'),
    ...['b', 'c'].map((name) => is(name, 'type nlink owner', `${type} 2 65534:65533`)),
    unlink('c'),
    gone('c'),
    is('b', 'nlink', '1'),
    unlink('b'),
    gone('b'),
  ]),
  behaviour(`link moves ctime of the object and times of the directory: ${type}`, make(type, 'a'), [
    ...moves(['a ctime', '. ctime', '. mtime'], [link('a', 'b')]),
    ...leaves(['a mtime'], [link('a', 'c')]),
  ]),
  behaviour(
    `a link that fails moves none: ${type}`,
    [...room('d', 0o755, 0), ...make(type, 'd/a', { uid: 65534 })],
    [...leaves(['d/a ctime', 'd ctime', 'd mtime'], [fails('EACCES', by(ALICE, link('d/a', 'd/b')))]), is('d/a', 'nlink', '1')],
  ),
  behaviour(
    `unlink of one name moves ctime seen by the other: ${type}`,
    [...make(type, 'a'), link('a', 'b')],
    [...moves(['a ctime', '. ctime', '. mtime'], [unlink('b')]), is('a', 'nlink', '1')],
  ),
  behaviour(
    `unlink moves the times of the directory: ${type}`,
    [mkdir('d'), ...make(type, 'd/a')],
    [...moves(['d ctime', 'd mtime'], [unlink('d/a')]), gone('d/a'), rmdir('d')],
  ),
  behaviour(`an unlink that fails moves none: ${type}`, make(type, 'a'), [
    ...leaves(['a ctime', '. ctime'], [fails('EACCES', by(ALICE, unlink('a')))]),
    is('a', 'type', type),
  ]),
]);

const refused: readonly Behaviour[] = [
  behaviour(
    'a directory has no further name',
    [mkdir('d'), ...room('e', 0o755, 65534), ...room('e/f', 0o755, 65534)],
    [fails('EPERM', link('d', 'n')), fails('EPERM', by(ALICE, link('e/f', 'e/g'))), gone('n'), gone('e/g')],
  ),
  behaviour('a directory is not unlinked', [mkdir('d')], [fails('EISDIR', unlink('d')), is('d', 'type', 'dir'), rmdir('d')]),
  behaviour(
    'link needs both directories searched and the second written',
    [...room('d', 0o755, 65534), ...room('e', 0o755, 65534), ...make('file', 'd/o', { uid: 65534 })],
    [
      by(ALICE, link('d/o', 'e/n')),
      by(ALICE, unlink('e/n')),
      chmod('d', 0o644),
      fails('EACCES', by(ALICE, link('d/o', 'd/n'))),
      fails('EACCES', by(ALICE, link('d/o', 'e/n'))),
      chmod('d', 0o755),
      chmod('e', 0o644),
      fails('EACCES', by(ALICE, link('d/o', 'e/n'))),
      chmod('e', 0o555),
      fails('EACCES', by(ALICE, link('d/o', 'e/n'))),
      chmod('d', 0o555),
      fails('EACCES', by(ALICE, link('d/o', 'd/n'))),
      is('d/o', 'nlink', '1'),
    ],
  ),
  removalNeedsDirectory('unlink', make('file', 'd/o', { uid: 65534 }), unlink('d/o')),
  removalNeedsDirectory('rmdir', room('d/e', 0o755, 65534), rmdir('d/e')),
  behaviour(
    'a link to a symlink is to the link itself',
    [put('o', 'data'), symlink('o', 'l')],
    [
      link('l', 'm'),
      is('m', 'type nlink', 'symlink 2'),
      is('o', 'nlink', '1'),
      link('o', 'p'),
      append('p', '+'),
      gives('data+', cat('m')),
    ],
  ),
];

const removing: readonly Behaviour[] = [
  behaviour(
    'rmdir removes and moves the times of the directory above',
    [mkdir('d'), mkdir('d/e')],
    [is('d/e', 'type', 'dir'), ...moves(['d mtime', 'd ctime'], [rmdir('d/e')]), gone('d/e'), rmdir('d'), gone('d')],
  ),
  ...eachType(TYPES, (type) =>
    behaviour(
      `a directory that holds something stays: ${type}`,
      [mkdir('d'), ...make(type, 'd/o')],
      [fails('ENOTEMPTY', rmdir('d')), is('d/o', 'type', type), remove(type, 'd/o'), rmdir('d')],
    ),
  ),
  ...eachType(NOT_DIR, (type) =>
    behaviour(`rmdir of what is no directory is ENOTDIR: ${type}`, make(type, 'o'), [
      fails('ENOTDIR', rmdir('o')),
      is('o', 'type', type),
    ]),
  ),
  behaviour(
    'rmdir of a symlink to a directory is ENOTDIR',
    [mkdir('d'), symlink('d', 'l')],
    [fails('ENOTDIR', rmdir('l')), fails('ENOTDIR', rmdir('l/')), rmdir('d')],
  ),
  behaviour(
    'rmdir of . and .. is refused',
    [mkdir('d'), mkdir('d/e')],
    [fails('EINVAL', rmdir('d/e/.')), fails('ENOTEMPTY', rmdir('d/e/..')), rmdir('d/e/'), rmdir('d')],
  ),
  ...eachType(DEAD_ENDS, (type) =>
    behaviour(`a slash behind what is no directory is ENOTDIR: ${type}`, make(type, 'o'), [
      fails('ENOTDIR', unlink('o/')),
      fails('ENOTDIR', { op: 'attrs', path: 'o/', want: 'type' }),
      unlink('o'),
    ]),
  ),
];

export const linkBehaviours: readonly Behaviour[] = [
  ...linking,
  ...refused,
  ...removing,
  behaviour(
    'link counts of directories follow what is made, moved and removed in them',
    [mkdir('d'), mkdir('e')],
    [
      is('d', 'nlink', '2'),
      mkdir('d/a'),
      is('d', 'nlink', '3'),
      mkdir('d/b'),
      put('d/c', ''),
      is('d', 'nlink', '4'),
      { op: 'rename', path: 'd/a', to: 'e/a', flags: '' },
      is('d', 'nlink', '3'),
      is('e', 'nlink', '3'),
      rmdir('e/a'),
      is('e', 'nlink', '2'),
    ],
    { notFromLower: 'a directory that two layers have shows a link count of 1 (Linux: ovl_getattr)' },
  ),
];
