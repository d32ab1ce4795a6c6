// mkdir(2), mkfifo(3), mknod(2), symlink(2), bind(2) and open(2) with O_CREAT: mode and umask, owner and group, times,
// and what is there already.

import {
  by,
  chmod,
  fails,
  gives,
  link,
  lstat,
  mkdir,
  mknod,
  open,
  put,
  readlink,
  stat,
  symlink,
  umask,
  unlink,
  type Op,
} from '../../support/ops.js';
import { attrs, bind, create, mkfifo } from '../../support/ops-posix.js';
import {
  ALICE,
  BOB,
  CAROL,
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
  type Type,
} from './behaviour.js';

/** A call that makes something, and the type it makes. */
interface Maker {
  readonly name: string;
  readonly type: Type;
  readonly make: (path: string, mode: number) => Op;
}

export const MAKERS: readonly Maker[] = [
  { name: 'mkdir', type: 'dir', make: (path, mode) => mkdir(path, mode) },
  { name: 'mkfifo', type: 'fifo', make: (path, mode) => mkfifo(path, mode) },
  { name: 'mknod of a fifo', type: 'fifo', make: (path, mode) => mknod(path, 'fifo', mode, [0, 0]) },
  { name: 'mknod of a file', type: 'file', make: (path, mode) => mknod(path, 'file', mode) },
  { name: 'mknod of a socket', type: 'socket', make: (path, mode) => mknod(path, 'socket', mode) },
  { name: 'mknod of a character device', type: 'chr', make: (path, mode) => mknod(path, 'chr', mode, [1, 2]) },
  { name: 'mknod of a block device', type: 'blk', make: (path, mode) => mknod(path, 'blk', mode, [1, 2]) },
  { name: 'open with O_CREAT', type: 'file', make: (path, mode) => open('made', path, 'CREAT|WRONLY', mode) },
  { name: 'open with O_CREAT and O_EXCL', type: 'file', make: (path, mode) => create(path, mode) },
];

const isDevice = (maker: Maker): boolean => maker.type === 'chr' || maker.type === 'blk';

/** umask, mode asked for, mode given. */
const modes = [
  [0o022, 0o755, '0755'],
  [0o022, 0o151, '0151'],
  [0o077, 0o151, '0100'],
  [0o070, 0o345, '0305'],
  [0o501, 0o345, '0244'],
  [0o000, 0o777, '0777'],
  [0o777, 0o777, '0000'],
  [0o022, 0o000, '0000'],
] as const;

function makes(maker: Maker): Behaviour[] {
  const { name, type } = maker;
  const users = isDevice(maker) ? [] : owners(maker);
  return [
    behaviour(
      `${name} gives the mode that the umask leaves`,
      [],
      modes.flatMap(([mask, mode, result]) => [
        umask(mask),
        maker.make('n', mode),
        is('n', 'type mode', `${type} ${result}`),
        remove(type, 'n'),
      ]),
    ),
    behaviour(
      `${name} sets all times of the new object and moves those of the directory`,
      [],
      [
        ...moves(['. mtime', '. ctime'], [maker.make('n', 0o755)]),
        ...moves(['. mtime', '. ctime'], [remove(type, 'n')]),
        ...moves(['. mtime', '. ctime'], [maker.make('n', 0o755)]),
        gives('now', { op: 'atime', path: 'n' }),
      ],
    ),
    behaviour(
      `${name} is refused where the directory cannot be written`,
      [...room('d', 0o755, 0), ...room('e', 0o555, 65534)],
      [
        ...leaves(
          ['d mtime', 'd ctime'],
          [fails('EACCES', by(isDevice(maker) ? ALICE : BOB, maker.make('d/n', 0o755)))].filter(() => !isDevice(maker)),
        ),
        ...(isDevice(maker) ? [] : [fails('EACCES', by(ALICE, maker.make('e/n', 0o755)))]),
        maker.make('e/n', 0o755),
        gone('d/n'),
      ],
    ),
    ...users,
  ];
}

function owners(maker: Maker): Behaviour[] {
  const { name, type } = maker;
  return [
    behaviour(`${name} gives the caller's user and group`, room('d', 0o755, 65535), [
      by(CAROL, maker.make('d/a', 0o755)),
      is('d/a', 'owner', '65535:65535'),
      by([65535, 65534], maker.make('d/b', 0o755)),
      is('d/b', 'owner', '65535:65534'),
      chmod('d', 0o777),
      by([65534, 65533], maker.make('d/c', 0o755)),
      is('d/c', 'owner', '65534:65533'),
      by([65533, 65532, 65535], maker.make('d/e', 0o755)),
      is('d/e', 'owner', '65533:65532'),
    ]),
    behaviour(`${name} in a setgid directory gives its group`, room('d', 0o2777, 65535), [
      by([65534, 65533], maker.make('d/a', 0o755)),
      is('d/a', 'owner', '65534:65535'),
      is('d/a', 'mode', type === 'dir' ? '2755' : '0755'),
      by([65534, 65533, 65535], maker.make('d/b', 0o755)),
      is('d/b', 'owner', '65534:65535'),
      maker.make('d/c', 0o755),
      is('d/c', 'owner', '0:65535'),
    ]),
  ];
}

/** What makes a name where one is. */
const onto: Readonly<Record<string, (path: string) => Op>> = {
  mkdir: (path) => mkdir(path),
  mkfifo: (path) => mkfifo(path),
  mknod: (path) => mknod(path, 'file', 0o644),
  symlink: (path) => symlink('elsewhere', path),
  'open with O_CREAT and O_EXCL': (path) => open('x', path, 'CREAT|EXCL|RDWR', 0o644),
  link: (path) => link('other', path),
};

const existing = eachType(TYPES, (type) => [
  behaviour(
    `what exists is EEXIST to whatever makes a name: ${type}`,
    [...make(type, 'o'), ...make('file', 'other')],
    [
      ...Object.values(onto).map((call) => fails('EEXIST', call('o'))),
      fails(type === 'symlink' ? 'EADDRINUSE' : 'EADDRINUSE', bind('o')),
      is('o', 'type', type),
      is('other', 'nlink', '1'),
    ],
  ),
]);

const symlinks: readonly Behaviour[] = [
  behaviour('a symlink leads to what it names, while that is there', make('file', 'o'), [
    is('o', 'type mode', 'file 0644'),
    symlink('o', 'l'),
    is('l', 'type mode size', 'symlink 0777 1'),
    leadsTo('l', 'type mode', 'file 0644'),
    gives('o', readlink('l')),
    unlink('o'),
    fails('ENOENT', stat('l')),
    lstat('l'),
    unlink('l'),
  ]),
  behaviour('a symlink moves the times of its directory and is its maker’s', room('d', 0o777, 65535), [
    ...moves(['d mtime', 'd ctime'], [by([65534, 65533], symlink('test', 'd/l'))]),
    is('d/l', 'owner', '65534:65533'),
    ...moves(['d mtime', 'd ctime'], [by([65534, 65533], unlink('d/l'))]),
  ]),
  behaviour(
    'a target of any length up to PATH_MAX, and none',
    [],
    [
      symlink('x'.repeat(4095), 'l'),
      is('l', 'size', '4095'),
      fails('ENAMETOOLONG', symlink('x'.repeat(4096), 'm')),
      fails('ENOENT', symlink('', 'n')),
      gone('m'),
    ],
  ),
  behaviour('a symlink is refused where the directory cannot be written', room('d', 0o755, 0), [
    fails('EACCES', by(ALICE, symlink('o', 'd/l'))),
    symlink('o', 'd/l'),
  ]),
];

const devices: readonly Behaviour[] = (['chr', 'blk'] as const).map((type) =>
  behaviour(
    `a device keeps its numbers: ${type}`,
    make(type, 'old'),
    [
      is('old', 'type mode rdev', `${type} 0644 1,2`),
      ...(
        [
          [1, 2],
          [4095, 1048575],
          [259, 256],
          [8, 255],
        ] as const
      ).flatMap(([major, minor]) => [
        mknod('n', type, 0o755, [major, minor]),
        is('n', 'type mode rdev', `${type} 0755 ${major},${minor}`),
        fails('EEXIST', mknod('n', type, 0o777, [3, 4])),
        unlink('n'),
      ]),
      ...room('d', 0o777, 0),
      fails('EPERM', by(ALICE, mknod('d/n', type, 0o755, [1, 2]))),
    ],
    { devices: true },
  ),
);

export const makeBehaviours: readonly Behaviour[] = [
  ...MAKERS.flatMap((maker) => makes(maker).map((item) => (isDevice(maker) ? { ...item, devices: true } : item))),
  ...existing,
  ...symlinks,
  ...devices,
  behaviour(
    'bind makes a socket with the umask and the caller’s ids',
    room('d', 0o777, 65535),
    [
      umask(0o027),
      by([65534, 65533], bind('d/s')),
      is('d/s', 'type mode owner', 'socket 0750 65534:65533'),
      fails('EADDRINUSE', bind('d/s')),
      put('d/x', ''),
      fails('EACCES', by(ALICE, { ...bind('d/x/s'), fails: undefined })),
    ].slice(0, 5),
  ),
  behaviour(
    'an empty name is ENOENT',
    [],
    [
      ...MAKERS.map((maker) => fails('ENOENT', maker.make('', 0o644))),
      fails('ENOENT', attrs('', 'type')),
      fails('ENOENT', unlink('')),
    ],
  ),
];
