// How paths are walked, for every call that takes one: what is no directory, what is missing, too long, closed,
// circular, or no address at all.

import {
  by,
  chmod,
  chown,
  fails,
  gives,
  link,
  lstat,
  mkdir,
  mknod,
  open,
  rename,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  utimens,
  access,
  readlink,
  type Op,
} from '../../support/ops.js';
import { attrs, create, fault, followChown, followUtimens, mkdirs, mkfifo, pathconf } from '../../support/ops-posix.js';
import { ALICE, DEAD_ENDS, behaviour, eachType, gone, make, room, type Behaviour } from './behaviour.js';

/** A call, by the path that is looked at. `wants` is what must be there for it to succeed; `w` is another, existing file. */
export interface Call {
  readonly name: string;
  readonly on: (path: string) => Op;
  readonly wants: 'file' | 'dir' | 'nothing' | 'symlink';
  /** A symlink at the end is followed. */
  readonly follows?: boolean;
  /** Changes nothing. */
  readonly reads?: boolean;
  /** The directory that holds the name must be writable. */
  readonly writes?: boolean;
}

export const CALLS: readonly Call[] = [
  { name: 'chmod', on: (path) => chmod(path, 0o620), wants: 'file', follows: true },
  { name: 'chown', on: (path) => followChown(path, -1, -1), wants: 'file', follows: true },
  { name: 'lchown', on: (path) => chown(path, -1, -1), wants: 'file' },
  { name: 'truncate', on: (path) => truncate(path, 12), wants: 'file', follows: true },
  { name: 'utimensat', on: (path) => utimens(path, 'now', 'now'), wants: 'file' },
  { name: 'utimensat, following', on: (path) => followUtimens(path, '1000000000', '2000000000'), wants: 'file', follows: true },
  { name: 'stat', on: (path) => stat(path), wants: 'file', follows: true, reads: true },
  { name: 'lstat', on: (path) => lstat(path), wants: 'file', reads: true },
  { name: 'open for reading', on: (path) => open('f', path, 'RDONLY'), wants: 'file', follows: true, reads: true },
  { name: 'open for writing', on: (path) => open('f', path, 'WRONLY'), wants: 'file', follows: true },
  { name: 'open with O_CREAT', on: (path) => open('f', path, 'CREAT|RDWR'), wants: 'nothing', follows: true, writes: true },
  { name: 'open with O_CREAT and O_EXCL', on: (path) => create(path), wants: 'nothing', writes: true },
  { name: 'mkdir', on: (path) => mkdir(path), wants: 'nothing', writes: true },
  { name: 'mkfifo', on: (path) => mkfifo(path), wants: 'nothing', writes: true },
  { name: 'mknod', on: (path) => mknod(path, 'file'), wants: 'nothing', writes: true },
  { name: 'symlink', on: (path) => symlink('test', path), wants: 'nothing', writes: true },
  { name: 'link from', on: (path) => link(path, 'fresh'), wants: 'file' },
  { name: 'link to', on: (path) => link('w', path), wants: 'nothing', writes: true },
  { name: 'rename from', on: (path) => rename(path, 'fresh'), wants: 'file', writes: true },
  { name: 'rename to', on: (path) => rename('w', path), wants: 'nothing', writes: true },
  { name: 'unlink', on: (path) => unlink(path), wants: 'file', writes: true },
  { name: 'rmdir', on: (path) => rmdir(path), wants: 'dir', writes: true },
  { name: 'readlink', on: (path) => readlink(path), wants: 'symlink', reads: true },
];

/** `w`, writable for all, and what the call wants at `path`. */
export function scene(call: Call, path: string): Op[] {
  const made = call.wants === 'nothing' ? [] : make(call.wants, path, { uid: 65534 });
  return [...make('file', 'w', { mode: 0o666, uid: 65534 }), ...made];
}

const NAME_MAX = 'n'.repeat(255);

/** A path of `length` bytes below the case's directory, and the directories on the way. */
function longPath(length: number): { dir: string; path: string } {
  const part = `${'p'.repeat(127)}/`;
  const parts = Math.floor((length - 1) / part.length);
  const dir = part.repeat(parts).slice(0, -1);
  return { dir, path: `${dir}/${'f'.repeat(length - dir.length - 1)}` };
}

const PATH_MAX = longPath(4095);

function walks(call: Call): Behaviour[] {
  const { name, on } = call;
  const missing = call.wants !== 'nothing';
  return [
    ...eachType(DEAD_ENDS, (type) =>
      behaviour(
        `${name}: nothing is below what is no directory (ENOTDIR): ${type}`,
        [...scene(call, 'x'), ...make(type, 'o'), symlink('o', 'l')],
        [fails('ENOTDIR', on('o/test')), fails('ENOTDIR', on('l/test')), fails('ENOTDIR', on('o/.'))].filter(
          (_, i) => i < 2 || call.name !== 'readlink',
        ),
      ),
    ),
    behaviour(`${name}: a name has 255 bytes at most`, scene(call, NAME_MAX), [
      fails('ENAMETOOLONG', on(`${NAME_MAX}n`)),
      fails('ENAMETOOLONG', on(`${NAME_MAX}n/x`)),
      on(NAME_MAX),
    ]),
    behaviour(
      `${name}: a path has 4095 bytes at most`,
      [mkdirs(PATH_MAX.dir), ...scene(call, PATH_MAX.path)],
      [fails('ENAMETOOLONG', on(`${PATH_MAX.path}f`)), on(PATH_MAX.path)],
    ),
    behaviour(
      `${name}: what is not there is ENOENT`,
      [...scene(call, 'x'), mkdir('d')],
      [
        fails('ENOENT', on('none/test')),
        fails('ENOENT', on('d/none/test')),
        ...(missing ? [fails('ENOENT', on('d/test')), gone('d/test')] : [on('d/test'), attrs('d/test', 'type')]),
      ],
    ),
    behaviour(
      `${name}: a symlink on the way that leads nowhere is ENOENT`,
      [...scene(call, 'x'), symlink('nowhere', 'l')],
      [fails('ENOENT', on('l/test')), ...(call.follows && missing ? [fails('ENOENT', on('l'))] : [])],
    ),
    behaviour(
      `${name}: every directory on the way must be searchable`,
      [...room('d', 0o755, 65534), ...scene(call, 'd/o'), chmod('.', 0o777)],
      [
        chmod('d', 0o644),
        fails('EACCES', by(ALICE, on('d/o'))),
        chmod('d', 0o000),
        fails('EACCES', by(ALICE, on('d/o'))),
        chmod('d', 0o755),
        by(ALICE, on('d/o')),
      ],
    ),
    behaviour(
      `${name}: symlinks that lead in a circle are ELOOP`,
      [...scene(call, 'x'), symlink('b', 'a'), symlink('a', 'b'), symlink('self', 'self')],
      [
        fails('ELOOP', on('a/test')),
        fails('ELOOP', on('b/test')),
        fails('ELOOP', on('self/test')),
        ...(call.follows ? [fails('ELOOP', on('a')), fails('ELOOP', on('self'))] : []),
      ],
    ),
    ...(call.writes
      ? [
          behaviour(
            `${name}: the directory that holds the name must be writable`,
            [...room('d', 0o755, 65534), ...scene(call, 'd/o'), chmod('.', 0o777)],
            [chmod('d', 0o555), fails('EACCES', by(ALICE, on('d/o'))), chmod('d', 0o755), by(ALICE, on('d/o'))],
          ),
        ]
      : []),
  ];
}

const ADDRESSES = ['null', 'outside'] as const;
const ONE_PATH = [
  'chmod',
  'chown',
  'lchown',
  'mkdir',
  'mkfifo',
  'mknod',
  'open',
  'creat',
  'rmdir',
  'truncate',
  'unlink',
  'access',
] as const;
const TWO_PATHS = ['link', 'rename', 'symlink'] as const;

const addresses: readonly Behaviour[] = [
  behaviour(
    'a path that is no address is EFAULT',
    [],
    [
      ...ONE_PATH.flatMap((call) => ADDRESSES.map((kind) => fails('EFAULT', fault(call, kind)))),
      fails('EFAULT', fault('utimensat', 'outside')),
    ],
  ),
  ...TWO_PATHS.map((call) =>
    behaviour(
      `${call}: either path that is no address is EFAULT`,
      make('file', 'o'),
      ADDRESSES.flatMap((kind) =>
        (['first', 'second', 'both'] as const).map((which) => fails('EFAULT', fault(call, kind, which, 'o'))),
      ),
    ),
  ),
];

export const pathBehaviours: readonly Behaviour[] = [
  ...CALLS.flatMap(walks),
  ...addresses,
  behaviour('the limits are told', [], [gives(255, pathconf('.', 'PC_NAME_MAX')), gives(4096, pathconf('.', 'PC_PATH_MAX'))]),
  behaviour(
    'forty symlinks are followed and no more',
    [...make('file', 'l0'), ...Array.from({ length: 41 }, (_, i) => symlink(`l${i}`, `l${i + 1}`))],
    [stat('l40'), fails('ELOOP', stat('l41')), chmod('l40', 0o600), fails('ELOOP', chmod('l41', 0o600))],
  ),
  behaviour(
    'rights to search and read are told apart',
    [...room('d', 0o711, 0), ...make('file', 'd/f', { mode: 0o644 })],
    [
      fails('EACCES', by(ALICE, open('r', 'd', 'RDONLY'))),
      by(ALICE, open('r', 'd/f', 'RDONLY')),
      chmod('d', 0o744),
      by(ALICE, open('r', 'd', 'RDONLY')),
      fails('EACCES', by(ALICE, stat('d/f'))),
      gives(false, by(ALICE, access('d', 1))),
      gives(true, by(ALICE, access('d', 4))),
      gives(false, by(ALICE, access('d', 2))),
      gives(true, access('d', 7)),
    ],
  ),
];
