// open(2): the rights that its flags need, what it makes and truncates, and what it refuses.

import {
  append,
  by,
  cat,
  chmod,
  fails,
  gives,
  mkdir,
  open,
  pread,
  put,
  read,
  run,
  stat,
  symlink,
  truncate,
  unlink,
  write,
  type Op,
} from '../../support/ops.js';
import { create, fattrs, whileRunning } from '../../support/ops-posix.js';
import { ALICE, BOB, TYPES, behaviour, eachType, gone, is, leaves, make, moves, room, type Behaviour } from './behaviour.js';

/** The one who opens, and the shift of the three bits that count for him. */
const seats = [
  ['the owner', [65534, 65534], 6],
  ['one of the group', [65533, 65534], 3],
  ['one of the group by a further group', [65533, 65533, 65534], 3],
  ['another', [65533, 65533], 0],
] as const;

const ACCESS = { RDONLY: 4, WRONLY: 2, RDWR: 6 } as const;

/** Every value of the bits that count, all others set to the contrary. */
function rights(type: 'file' | 'fifo' | 'dir'): Behaviour[] {
  return seats.flatMap(([who, user, shift]) =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => {
      const mode = (0o777 & ~(7 << shift)) | (bits << shift);
      const ops = Object.entries(ACCESS).flatMap(([flags, needed]): Op[] => {
        if (type === 'dir' && flags !== 'RDONLY') return [];
        const allowed = (bits & needed) === needed;
        const all = type === 'fifo' && flags !== 'RDWR' ? `${flags}|NONBLOCK` : flags;
        // A fifo that nobody reads refuses a writer that does not wait; the readers of this case hold none open.
        const errno = !allowed ? 'EACCES' : type === 'fifo' && flags === 'WRONLY' ? 'ENXIO' : undefined;
        const call = by(user, open(flags, 'd/o', all));
        return [errno ? fails(errno, call) : call, ...(errno ? [] : [{ op: 'close', fd: flags }])];
      });
      return behaviour(
        `${who} opens with just the rights of mode ${mode.toString(8)}: ${type}`,
        [...room('d', 0o755, 65534), ...make(type, 'd/o', { uid: 65534, mode })],
        ops,
      );
    }),
  );
}

const truncating = seats.flatMap(([who, user, shift]) =>
  [1, 4, 5].map((bits) => {
    const mode = (0o777 & ~(7 << shift)) | (bits << shift);
    return behaviour(
      `O_TRUNC without the right to write truncates nothing: ${who}, mode ${mode.toString(8)}`,
      [put('o', 'x'), ...ownIt('o', mode)],
      [
        ...leaves(['o mtime'], [fails('EACCES', by(user, open('w', 'o', 'RDONLY|TRUNC')))]),
        fails('EACCES', by(user, open('w', 'o', 'WRONLY|TRUNC'))),
        is('o', 'size', '1'),
      ],
    );
  }),
);

function ownIt(path: string, mode: number): Op[] {
  return [{ op: 'chown', path, uid: 65534, gid: 65534 }, chmod(path, mode)];
}

const making: readonly Behaviour[] = [
  behaviour('O_CREAT of what exists moves no time of the directory', make('file', 'o'), [
    ...leaves(['. mtime', '. ctime', 'o mtime', 'o ctime'], [open('r', 'o', 'CREAT|RDONLY')]),
    is('o', 'mode', '0644'),
  ]),
  behaviour(
    'O_TRUNC empties and moves mtime and ctime',
    [put('o', 'test\n')],
    [
      is('o', 'size', '5'),
      ...moves(['o mtime', 'o ctime'], [open('w', 'o', 'WRONLY|TRUNC')]),
      is('o', 'size', '0'),
      write('w', 'abc'),
      is('o', 'size', '3'),
      open('r', 'o', 'RDONLY|TRUNC'),
      is('o', 'size', '0'),
    ],
  ),
  behaviour(
    'O_TRUNC of an empty file moves its times too',
    make('file', 'o'),
    moves(['o mtime', 'o ctime'], [open('w', 'o', 'WRONLY|TRUNC')]),
  ),
  ...(['WRONLY', 'RDWR', 'RDONLY'] as const).flatMap((flags) => [
    behaviour(
      `the mode of a new file does not bind its maker: ${flags}`,
      room('d', 0o777, 0),
      [
        by(ALICE, open('w', 'd/n', `CREAT|${flags}`, 0)),
        is('d/n', 'type mode owner', 'file 0000 65534:65534'),
        by(ALICE, fails(flags === 'RDONLY' ? 'EBADF' : '', write('w', 'x'))),
      ].map((op) => (op.fails === '' ? { ...op, fails: undefined } : op)),
    ),
    behaviour(`O_CREAT needs the directory to be writable: ${flags}`, room('d', 0o755, 0), [
      fails('EACCES', by(ALICE, open('w', 'd/n', `CREAT|${flags}`))),
      fails('EACCES', by(ALICE, open('w', 'd/n', `CREAT|EXCL|${flags}`))),
      gone('d/n'),
    ]),
  ]),
  behaviour(
    'O_CREAT goes through a symlink that leads nowhere, O_EXCL does not',
    [symlink('n', 'l')],
    [
      fails('EEXIST', create('l')),
      fails('ENOENT', open('r', 'l', 'RDONLY')),
      open('w', 'l', 'CREAT|WRONLY', 0o600),
      is('n', 'type mode', 'file 0600'),
      is('l', 'type', 'symlink'),
    ],
  ),
];

const refused: readonly Behaviour[] = [
  behaviour(
    'a directory opens for reading only',
    [mkdir('d')],
    [
      open('r', 'd', 'RDONLY'),
      ...['WRONLY', 'RDWR', 'RDONLY|TRUNC', 'WRONLY|TRUNC', 'RDWR|TRUNC', 'RDONLY|CREAT', 'RDWR|CREAT'].map((flags) =>
        fails('EISDIR', open('w', 'd', flags)),
      ),
      fails('EISDIR', read('r')),
    ],
  ),
  ...eachType(TYPES, (type) =>
    behaviour(`O_DIRECTORY opens a directory only: ${type}`, make(type, 'o'), [
      type === 'dir'
        ? open('r', 'o', 'RDONLY|DIRECTORY')
        : fails(type === 'symlink' ? 'ENOENT' : 'ENOTDIR', open('r', 'o', 'RDONLY|DIRECTORY')),
    ]),
  ),
  behaviour(
    'O_NOFOLLOW refuses a symlink',
    [put('o', ''), symlink('o', 'l')],
    [
      fails('ELOOP', open('r', 'l', 'RDONLY|CREAT|NOFOLLOW')),
      fails('ELOOP', open('r', 'l', 'RDONLY|NOFOLLOW')),
      fails('ELOOP', open('r', 'l', 'WRONLY|NOFOLLOW')),
      fails('ELOOP', open('r', 'l', 'RDWR|NOFOLLOW')),
      fails('EEXIST', open('r', 'l', 'RDWR|CREAT|EXCL|NOFOLLOW')),
      open('r', 'o', 'RDWR|NOFOLLOW'),
    ],
  ),
  behaviour('a fifo that nobody reads refuses a writer that does not wait', make('fifo', 'o'), [
    fails('ENXIO', open('w', 'o', 'WRONLY|NONBLOCK')),
    open('r', 'o', 'RDONLY|NONBLOCK'),
    open('w', 'o', 'WRONLY|NONBLOCK'),
    write('w', 'through'),
    gives('through', read('r')),
  ]),
  behaviour(
    'a socket does not open',
    make('socket', 'o'),
    ['RDONLY', 'WRONLY', 'RDWR'].map((flags) => fails('ENXIO', open('r', 'o', flags))),
  ),
  behaviour(
    'a program that runs is not written, one that is written does not run',
    [],
    [
      gives('ETXTBSY', whileRunning('p', open('w', 'p', 'WRONLY'))),
      gives('ETXTBSY', whileRunning('p', open('w', 'p', 'RDWR'))),
      gives('ETXTBSY', whileRunning('p', open('w', 'p', 'RDONLY|TRUNC'))),
      gives('ETXTBSY', whileRunning('p', truncate('p', 123))),
      gives('ETXTBSY', whileRunning('p', open('w', 'p', 'WRONLY|TRUNC'))),
      gives('ETXTBSY', whileRunning('p', append('p', 'x'))),
      gives('ok', whileRunning('p', open('r', 'p', 'RDONLY'))),
      gives('ok', whileRunning('p', chmod('p', 0o711))),
      gives('ok', whileRunning('p', unlink('p'))),
      gives('ok', whileRunning('p', stat('p'))),
      open('w', 'p', 'RDWR'),
      fails('ETXTBSY', run('./p', '0')),
      { op: 'close', fd: 'w' },
      gives([0, ''], run('./p', '0')),
    ],
  ),
  behaviour(
    'a program needs the right to run',
    [...make('file', 'p', { mode: 0o644 })],
    [fails('EACCES', run('./p')), chmod('p', 0o755), by(ALICE, stat('p'))],
  ),
];

const unlinked: readonly Behaviour[] = [
  behaviour(
    'an open file lives on without a name',
    [put('o', 'Hello, World!')],
    [
      open('f', 'o', 'RDWR'),
      unlink('o'),
      gone('o'),
      gives('0 13', fattrs('f', 'nlink size')),
      gives('Hello, World!', pread('f', 0, 100)),
      write('f', 'HELLO'),
      gives('HELLO, World!', pread('f', 0, 100)),
      put('o', 'another'),
      gives('HELLO, World!', pread('f', 0, 100)),
      gives('another', cat('o')),
    ],
  ),
];

export const openBehaviours: readonly Behaviour[] = [
  ...rights('file'),
  ...rights('fifo'),
  ...rights('dir'),
  ...truncating,
  ...making,
  ...refused,
  ...unlinked,
  behaviour(
    'search permission on the way decides, not on what is open',
    [...room('d', 0o755, 65534), ...make('file', 'd/o', { uid: 65534 })],
    [
      by(ALICE, open('r', 'd/o', 'RDONLY')),
      chmod('d', 0o644),
      fails('EACCES', by(ALICE, open('s', 'd/o', 'RDONLY'))),
      by(ALICE, read('r')),
      chmod('d', 0o755),
      by(ALICE, open('s', 'd/o', 'RDONLY')),
      by(BOB, open('t', 'd/o', 'RDONLY')),
    ],
  ),
];
