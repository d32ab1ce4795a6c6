// utimensat(2): exact times, now, omit, symlinks, and who may.

import { atime, by, chmod, chown, fails, futimens, open, symlink, utimens } from '../../support/ops.js';
import { followUtimens } from '../../support/ops-posix.js';
import { ALICE, TYPES, WITH_MODE, behaviour, eachType, is, leadsTo, leaves, make, moves, type Behaviour } from './behaviour.js';

const seconds = (value: number): string => `${value}000000000`;
const FIRST = seconds(1_900_000_000);
const SECOND = seconds(1_950_000_000);

const everyType = eachType(TYPES, (type) => [
  behaviour(`both times are set, either before the other: ${type}`, make(type, 'o'), [
    utimens('o', FIRST, SECOND),
    is('o', 'atime mtime', `${FIRST} ${SECOND}`),
    utimens('o', SECOND, FIRST),
    is('o', 'atime mtime', `${SECOND} ${FIRST}`),
  ]),
  behaviour(`ctime moves with them: ${type}`, make(type, 'o'), moves(['o ctime'], [utimens('o', FIRST, SECOND)])),
  behaviour(`now is now and omit leaves: ${type}`, make(type, 'o'), [
    utimens('o', FIRST, SECOND),
    utimens('o', 'omit', FIRST),
    is('o', 'atime mtime', `${FIRST} ${FIRST}`),
    utimens('o', SECOND, 'omit'),
    is('o', 'atime mtime', `${SECOND} ${FIRST}`),
    utimens('o', 'omit', 'omit'),
    is('o', 'atime mtime', `${SECOND} ${FIRST}`),
    utimens('o', seconds(5), seconds(6)),
    ...moves(['o mtime', 'o atime', 'o ctime'], [utimens('o', 'now', 'now')]),
  ]),
  behaviour(`nanoseconds, times before 1970 and after 2038 are kept: ${type}`, make(type, 'o'), [
    utimens('o', '100000000100000000', '200000000200000001'),
    is('o', 'atime mtime', '100000000100000000 200000000200000001'),
    utimens('o', seconds(2 ** 31), seconds(2 ** 32)),
    is('o', 'atime mtime', `${seconds(2 ** 31)} ${seconds(2 ** 32)}`),
    utimens('o', '-5000000001', '-1'),
    is('o', 'atime mtime', '-5000000001 -1'),
  ]),
]);

const permission = eachType(WITH_MODE, (type) => [
  behaviour(`the owner sets what he cannot write: ${type}`, make(type, 'o', { uid: 65534, mode: 0o444 }), [
    by(ALICE, utimens('o', 'now', 'now')),
    by(ALICE, utimens('o', FIRST, SECOND)),
    is('o', 'atime mtime', `${FIRST} ${SECOND}`),
    utimens('o', 'now', 'now'),
    utimens('o', SECOND, FIRST),
    is('o', 'atime mtime', `${SECOND} ${FIRST}`),
  ]),
  behaviour(`who cannot write cannot set now (EACCES) nor anything (EPERM): ${type}`, make(type, 'o', { mode: 0o644 }), [
    ...leaves(
      ['o mtime', 'o ctime'],
      [
        fails('EACCES', by(ALICE, utimens('o', 'now', 'now'))),
        fails('EPERM', by(ALICE, utimens('o', 'omit', SECOND))),
        fails('EPERM', by(ALICE, utimens('o', FIRST, 'omit'))),
        fails('EPERM', by(ALICE, utimens('o', FIRST, SECOND))),
        fails('EPERM', by(ALICE, utimens('o', 'now', 'omit'))),
        fails('EPERM', by(ALICE, utimens('o', 'now', FIRST))),
        by(ALICE, utimens('o', 'omit', 'omit')),
      ],
    ),
  ]),
  behaviour(`who can write sets now and nothing else: ${type}`, make(type, 'o', { mode: 0o666 }), [
    utimens('o', seconds(5), seconds(6)),
    ...moves(['o mtime', 'o atime'], [by(ALICE, utimens('o', 'now', 'now'))]),
    fails('EPERM', by(ALICE, utimens('o', 'omit', SECOND))),
    fails('EPERM', by(ALICE, utimens('o', FIRST, 'omit'))),
    fails('EPERM', by(ALICE, utimens('o', FIRST, SECOND))),
    fails('EPERM', by(ALICE, utimens('o', 'omit', 'now'))),
  ]),
]);

export const timeBehaviours: readonly Behaviour[] = [
  ...everyType,
  ...permission,
  behaviour(
    'a symlink is followed, or has its own times',
    [...make('file', 'o'), symlink('o', 'l')],
    [
      utimens('o', FIRST, SECOND),
      utimens('l', seconds(1960000000), seconds(1970000000)),
      is('o', 'atime mtime', `${FIRST} ${SECOND}`),
      is('l', 'atime mtime', `${seconds(1960000000)} ${seconds(1970000000)}`),
      followUtimens('l', seconds(1980000000), seconds(1990000000)),
      is('o', 'atime mtime', `${seconds(1980000000)} ${seconds(1990000000)}`),
      leadsTo('l', 'mtime', seconds(1990000000)),
      is('l', 'mtime', seconds(1970000000)),
    ],
  ),
  behaviour('a descriptor that only reads sets times', make('file', 'o'), [
    open('r', 'o', 'RDONLY'),
    futimens('r', FIRST, SECOND),
    is('o', 'atime mtime', `${FIRST} ${SECOND}`),
    fails('EPERM', by(ALICE, futimens('r', SECOND, SECOND))),
    fails('EACCES', by(ALICE, futimens('r', 'now', 'now'))),
    open('d', '.', 'RDONLY|DIRECTORY'),
    futimens('d', FIRST, SECOND),
    is('.', 'mtime', SECOND),
  ]),
  behaviour('permission follows the mode and the owner of now', make('file', 'o', { mode: 0o644 }), [
    fails('EACCES', by(ALICE, utimens('o', 'now', 'now'))),
    chown('o', 65534, 65534),
    chmod('o', 0o444),
    by(ALICE, utimens('o', 'now', 'now')),
    chown('o', 0, 0),
    chmod('o', 0o666),
    by(ALICE, utimens('o', 'now', 'now')),
    chmod('o', 0o644),
    fails('EACCES', by(ALICE, utimens('o', 'now', 'now'))),
    atime('o'),
  ]),
];
