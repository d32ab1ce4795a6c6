// chmod(2): who may, on what, which bits stay, and which times move. Setuid and setgid bits that a write takes.

import { fchmod, by, chmod, close, fails, open, symlink, write, append, truncate, unlink } from '../../support/ops.js';
import { fattrs, posixFallocate } from '../../support/ops-posix.js';
import { gives, type Op } from '../../support/ops.js';
import {
  ALICE,
  BOB,
  WITH_MODE,
  behaviour,
  eachType,
  is,
  leadsTo,
  leaves,
  make,
  moves,
  room,
  type Behaviour,
} from './behaviour.js';

const changed = eachType(WITH_MODE, (type) => [
  behaviour(`chmod changes the mode: ${type}`, make(type, 'o'), [chmod('o', 0o111), is('o', 'type mode', `${type} 0111`)]),
  behaviour(
    `chmod through a symlink changes the object and not the link: ${type}`,
    [...make(type, 'o'), symlink('o', 'l')],
    [chmod('l', 0o222), leadsTo('l', 'mode', '0222'), is('o', 'mode', '0222'), is('l', 'type mode', 'symlink 0777')],
  ),
  behaviour(`chmod moves ctime and not mtime: ${type}`, make(type, 'o'), [
    ...moves(['o ctime'], [chmod('o', 0o111)]),
    ...leaves(['o mtime'], [chmod('o', 0o222)]),
  ]),
  behaviour(
    `a chmod that fails moves no time: ${type}`,
    make(type, 'o'),
    leaves(['o ctime', 'o mtime'], [fails('EPERM', by(ALICE, chmod('o', 0o111)))]),
  ),
  behaviour(
    `setuid, setgid and sticky bits are kept by root: ${type}`,
    make(type, 'o'),
    [0o4711, 0o2711, 0o1621, 0o7777].flatMap((mode) => [chmod('o', mode), is('o', 'mode', mode.toString(8))]),
  ),
  behaviour(
    `the sticky bit is set through a symlink: ${type}`,
    [...make(type, 'o'), symlink('o', 'l')],
    [chmod('l', 0o1700), is('o', 'mode', '1700')],
  ),
  behaviour(
    `a user sets the sticky bit of what is his: ${type}`,
    [...make(type, 'o', { mode: 0o640, uid: 65534 }), symlink('o', 'l')],
    [by(ALICE, chmod('o', 0o1644)), is('o', 'mode', '1644'), by(ALICE, chmod('l', 0o1640)), is('o', 'mode', '1640')],
  ),
  behaviour(`setgid is refused to who is not of the group: ${type}`, make(type, 'o', { mode: 0o755, uid: 65534 }), [
    by(ALICE, chmod('o', 0o2755)),
    is('o', 'mode', '2755'),
    by(ALICE, chmod('o', 0o755)),
    is('o', 'mode', '0755'),
    by([65534, 65533], chmod('o', 0o2755)),
    is('o', 'mode', '0755'),
    by([65534, 65533, 65534], chmod('o', 0o2755)),
    is('o', 'mode', '2755'),
    by([65534, 65533], chmod('o', 0o6755)),
    is('o', 'mode', '4755'),
  ]),
]);

const owner: readonly Behaviour[] = [
  ...eachType(WITH_MODE, (type) =>
    behaviour(
      `only the owner and root change a mode: ${type}`,
      [...room('d', 0o755, 65534), ...make(type, 'd/o', { uid: 65534 }), symlink('o', 'd/l')],
      [
        by(ALICE, chmod('d/o', 0o642)),
        is('d/o', 'mode', '0642'),
        fails('EPERM', by(BOB, chmod('d/o', 0o641))),
        fails('EPERM', by([65533, 65534], chmod('d/o', 0o641))),
        is('d/o', 'mode', '0642'),
        by(ALICE, chmod('d/l', 0o604)),
        fails('EPERM', by(BOB, chmod('d/l', 0o641))),
        is('d/o', 'mode owner', '0604 65534:65534'),
        chmod('d/l', 0o444),
        is('d/o', 'mode owner', '0444 65534:65534'),
      ],
    ),
  ),
  behaviour('the owner that root gives it to may, the one before may not', make('file', 'o', { uid: 65534 }), [
    by(ALICE, chmod('o', 0o600)),
    ...make('file', 'p', { uid: 65533 }),
    fails('EPERM', by(ALICE, chmod('p', 0o600))),
    by(BOB, chmod('p', 0o600)),
  ]),
  behaviour('fchmod works on a descriptor of any kind, also of a file without a name', make('file', 'o'), [
    open('r', 'o', 'RDONLY'),
    fchmod('r', 0o600),
    unlink('o'),
    fchmod('r', 0o4711),
    gives('4711 0', fattrs('r', 'mode nlink')),
    fails('EPERM', by(ALICE, fchmod('r', 0o600))),
    close('r'),
    open('d', '.', 'RDONLY|DIRECTORY'),
    fchmod('d', 0o2775),
    is('.', 'mode', '2775'),
  ]),
];

/** What a user who is no owner does to a file's content, on an open descriptor. */
const intrusions: Readonly<Record<string, readonly Op[]>> = {
  write: [by(BOB, open('w', 'o', 'WRONLY')), by(BOB, write('w', 'x'))],
  'write to a descriptor for both': [by(BOB, open('w', 'o', 'RDWR')), by(BOB, write('w', 'x'))],
  append: [by(BOB, append('o', 'x'))],
  truncate: [by(BOB, truncate('o', 1))],
  O_TRUNC: [by(BOB, open('w', 'o', 'WRONLY|TRUNC'))],
  fallocate: [by(BOB, open('w', 'o', 'WRONLY')), by(BOB, posixFallocate('w', 0, 10))],
};

/** Mode before, and after one who neither owns the file nor is of its group has changed it. */
const takes = [
  [0o4777, '0777'],
  [0o2777, '0777'],
  [0o6777, '0777'],
  [0o6766, '0766'],
  [0o2767, '0767'],
] as const;

const killed = Object.entries(intrusions).flatMap(([how, ops]) =>
  takes.map(([before, after]) =>
    behaviour(
      `${how} by another user takes setuid and setgid: ${before.toString(8)}`,
      make('file', 'o', { mode: before, uid: 0 }),
      [...ops, is('o', 'mode', after)],
    ),
  ),
);

const kept = Object.entries(intrusions).map(([how, ops]) =>
  behaviour(`${how} by root leaves setuid and setgid`, make('file', 'o', { mode: 0o6777, uid: 65534 }), [
    ...ops.map((op) => ({ ...op, user: undefined })),
    is('o', 'mode', '6777'),
  ]),
);

export const chmodBehaviours: readonly Behaviour[] = [
  ...changed,
  ...owner,
  ...killed,
  ...kept,
  behaviour(
    'the bits are gone for the writer at once, and a second write takes what was set again',
    make('file', 'o', { mode: 0o6777, uid: 0 }),
    [
      by(BOB, open('w', 'o', 'RDWR')),
      by(BOB, write('w', 'x')),
      gives('0777', fattrs('w', 'mode')),
      chmod('o', 0o4777),
      gives('4777', fattrs('w', 'mode')),
      by(BOB, write('w', 'y')),
      gives('0777', fattrs('w', 'mode')),
      chmod('o', 0o6777),
      by(ALICE, write('w', 'z')),
      is('o', 'mode', '0777'),
    ],
  ),
];
