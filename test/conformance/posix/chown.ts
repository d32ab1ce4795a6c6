// chown(2), lchown(2), fchown(2): who may give away what, what happens to setuid and setgid, and which times move.

import { by, chmod, chown, close, fails, fchown, gives, open, symlink, unlink, write, type Op } from '../../support/ops.js';
import { fattrs, followChown } from '../../support/ops-posix.js';
import {
  ALICE,
  BOB,
  TYPES,
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
  type Type,
} from './behaviour.js';

/** The ways to change the owner of an object `o` that has a symlink `l`. */
const WAYS: Readonly<Record<string, (uid: number, gid: number) => Op>> = {
  chown: (uid, gid) => followChown('o', uid, gid),
  'chown through a symlink': (uid, gid) => followChown('l', uid, gid),
  lchown: (uid, gid) => chown('o', uid, gid),
};

function waysOf(type: Type): [string, (uid: number, gid: number) => Op][] {
  return Object.entries(WAYS).filter(([name]) => type !== 'symlink' || name === 'lchown');
}

const given = (type: Type, owned: { mode?: number; uid?: number; gid?: number } = {}): Op[] => [
  ...make(type, 'o', owned),
  symlink('o', 'l'),
];

/** Mode after a change of owner: of directories nothing is taken. */
const without = (type: Type, mode: string): string => (type === 'dir' ? mode : `0${mode.slice(1)}`);

function perWay(type: Type, way: string, to: (uid: number, gid: number) => Op): Behaviour[] {
  const name = `${way}: ${type}`;
  const mode = type !== 'symlink';
  return [
    behaviour(`root gives to anybody by ${name}`, given(type), [
      to(123, 456),
      is('o', 'owner', '123:456'),
      is('l', 'type owner', 'symlink 0:0'),
      to(-1, 7),
      is('o', 'owner', '123:7'),
      to(8, -1),
      is('o', 'owner', '8:7'),
      to(0, 0),
      is('o', 'owner', '0:0'),
    ]),
    behaviour(`an owner changes to a group that he is in by ${name}`, given(type, { uid: 65534, gid: 65533 }), [
      by([65534, 65532, 65531], to(-1, 65532)),
      is('o', 'owner', '65534:65532'),
      by([65534, 65532, 65531], to(65534, 65531)),
      is('o', 'owner', '65534:65531'),
      fails('EPERM', by([65534, 65532, 65531], to(-1, 65530))),
      is('o', 'owner', '65534:65531'),
    ]),
    behaviour(`anybody sets neither by ${name}`, given(type), [
      by(ALICE, to(-1, -1)),
      is('o', 'owner', '0:0'),
      is('l', 'owner', '0:0'),
    ]),
    behaviour(`nobody else may by ${name}`, given(type, { uid: 65534 }), [
      fails('EPERM', by(ALICE, to(65533, 65533))),
      fails('EPERM', by(BOB, to(65534, 65534))),
      fails('EPERM', by(BOB, to(65533, 65533))),
      fails('EPERM', by(ALICE, to(-1, 65533))),
      fails('EPERM', by(ALICE, to(65533, -1))),
      by(ALICE, to(65534, 65534)),
      is('o', 'owner', '65534:65534'),
    ]),
    ...(mode ? bits(type, name, to) : []),
    behaviour(`ctime moves by ${name}`, given(type), [
      ...moves(['o ctime'], [to(65534, 65533)]),
      ...moves(['o ctime'], [by([65534, 65532], to(65534, 65532))]),
      ...moves(['o ctime'], [to(-1, -1)]),
      ...leaves(['o mtime'], [to(1, 1)]),
      is('o', 'owner', '1:1'),
    ]),
    behaviour(
      `no time moves when it fails by ${name}`,
      given(type),
      leaves(
        ['o ctime', 'o mtime'],
        [
          fails('EPERM', by([65534, 0], to(65534, -1))),
          fails('EPERM', by(ALICE, to(-1, 65534))),
          fails('EPERM', by(ALICE, to(65534, 65534))),
          is('o', 'owner', '0:0'),
        ],
      ),
    ),
  ];
}

function bits(type: Type, name: string, to: (uid: number, gid: number) => Op): Behaviour[] {
  const member = [65534, 65533, 65532] as const;
  return [
    behaviour(`root takes setuid and setgid by ${name}`, given(type, { uid: 65534, gid: 65533, mode: 0o6555 }), [
      is('o', 'mode owner', '6555 65534:65533'),
      to(65532, 65531),
      is('o', 'mode owner', `${without(type, '6555')} 65532:65531`),
      chmod('o', 0o6555),
      to(0, 0),
      is('o', 'mode owner', `${without(type, '6555')} 0:0`),
      chmod('o', 0o4555),
      to(-1, -1),
      is('o', 'mode', without(type, '4555')),
    ]),
    behaviour(`an owner takes setuid and setgid by ${name}`, given(type, { uid: 65534, gid: 65533, mode: 0o6555 }), [
      by(member, to(65534, 65532)),
      is('o', 'mode owner', `${without(type, '6555')} 65534:65532`),
      chmod('o', 0o6555),
      by(member, to(-1, 65533)),
      is('o', 'mode owner', `${without(type, '6555')} 65534:65533`),
      chmod('o', 0o6555),
      by(member, to(-1, -1)),
      is('o', 'mode owner', `${without(type, '6555')} 65534:65533`),
    ]),
    behaviour(
      `a setgid bit without group execution stays with the group by ${name}`,
      given(type, { uid: 65534, gid: 65533, mode: 0o2745 }),
      [by(member, to(-1, 65532)), is('o', 'mode owner', '2745 65534:65532'), to(1, 2), is('o', 'mode owner', '2745 1:2')],
    ),
    ...strangers(type, name, to),
  ];
}

/** Setting neither changes nothing but setuid and setgid, and those only the owner may take. */
function strangers(type: Type, name: string, to: (uid: number, gid: number) => Op): Behaviour[] {
  const refused = type === 'dir' ? undefined : 'EPERM';
  const neither = (user: readonly number[]): Op => (refused ? fails(refused, by(user, to(-1, -1))) : by(user, to(-1, -1)));
  return [
    ...[0o4755, 0o6755, 0o2755, 0o2745].map((mode) =>
      behaviour(
        `a stranger cannot take ${mode.toString(8)} away by ${name} with neither`,
        given(type, { uid: 0, gid: 0, mode }),
        [neither(ALICE), is('o', 'mode owner', `${mode.toString(8)} 0:0`)],
      ),
    ),
    behaviour(`a member cannot take setuid away by ${name} with neither`, given(type, { uid: 0, gid: 65534, mode: 0o4755 }), [
      neither(ALICE),
      neither([65533, 1, 65534]),
      is('o', 'mode owner', '4755 0:65534'),
    ]),
    behaviour(
      `a stranger who is of the group sets neither on setgid without group execution by ${name}`,
      given(type, { uid: 0, gid: 65534, mode: 0o2745 }),
      [by(ALICE, to(-1, -1)), by([65533, 1, 65534], to(-1, -1)), is('o', 'mode', '2745')],
    ),
  ];
}

const descriptors: readonly Behaviour[] = [
  behaviour(
    'fchown works on any descriptor, also of a file without a name',
    make('file', 'o'),
    [
      open('r', 'o', 'RDONLY'),
      unlink('o'),
      fchown('r', 5, 6),
      gives('5:6 0', fattrs('r', 'owner nlink')),
      fails('EPERM', by(ALICE, fchown('r', 65534, 65534))),
      close('r'),
      open('d', '.', 'RDONLY|DIRECTORY'),
      fchown('d', 9, 9),
      is('.', 'owner', '9:9'),
    ],
    { notFromOverlaysLower: 'with index=on it cannot copy up a file without a name (EEXIST)' },
  ),
  behaviour(
    'a stranger who may write a setuid file takes the bit by writing and not by chown with neither',
    make('file', 'o', { uid: 0, mode: 0o4777 }),
    [
      by(ALICE, open('w', 'o', 'WRONLY')),
      fails('EPERM', by(ALICE, chown('o', -1, -1))),
      fails('EPERM', by(ALICE, followChown('o', -1, -1))),
      fails('EPERM', by(ALICE, fchown('w', -1, -1))),
      is('o', 'mode', '4777'),
      by(ALICE, write('w', 'x')),
      is('o', 'mode', '0777'),
      chmod('o', 0o6777),
      fails('EPERM', by(BOB, chown('o', -1, -1))),
      is('o', 'mode', '6777'),
      fchown('w', -1, -1),
      is('o', 'mode', '0777'),
    ],
  ),
];

export const chownBehaviours: readonly Behaviour[] = [
  ...eachType(TYPES, (type) => waysOf(type).flatMap(([way, to]) => perWay(type, way, to))),
  ...eachType(WITH_MODE, (type) =>
    behaviour(
      `in a directory of his own a user changes the group of what is his: ${type}`,
      [...room('d', 0o755, 65534), ...make(type, 'd/o', { uid: 65534 })],
      [
        by([65534, 65533, 65534], chown('d/o', -1, 65533)),
        is('d/o', 'owner', '65534:65533'),
        leadsTo('d/o', 'owner', '65534:65533'),
      ],
    ),
  ),
  ...descriptors,
];
