// The sticky bit of a directory: who may unlink, remove, rename from it and rename over what is in it.

import { by, fails, gives, ino, rename } from '../../support/ops.js';
import {
  ALICE,
  NOT_DIR,
  TYPES,
  behaviour,
  eachType,
  gone,
  is,
  make,
  remove,
  room,
  type Behaviour,
  type Type,
} from './behaviour.js';

const ME = 65534;
const OTHERS = [0, 65533] as const;

/** Owners of the directory and of the object in it: whoever owns either may. */
const owners = [
  [ME, ME] as const,
  ...OTHERS.flatMap(
    (id) =>
      [
        [ME, id],
        [id, ME],
        [id, id],
      ] as const,
  ),
];
const mayRemove = ([dir, object]: readonly [number, number]): boolean => dir === ME || object === ME;
const tell = ([dir, object]: readonly [number, number]): string => `directory of ${dir}, object of ${object}`;

const removing = eachType(TYPES, (type) =>
  owners.map((pair) =>
    behaviour(
      `removal needs one of both: ${type}, ${tell(pair)}`,
      [...room('d', 0o1777, pair[0]), ...make(type, 'd/o', { uid: pair[1] })],
      [
        is('d/o', 'type owner', `${type} ${pair[1]}:${pair[1]}`),
        ...(mayRemove(pair)
          ? [by(ALICE, remove(type, 'd/o')), gone('d/o')]
          : [
              fails('EPERM', by(ALICE, remove(type, 'd/o'))),
              is('d/o', 'type owner', `${type} ${pair[1]}:${pair[1]}`),
              remove(type, 'd/o'),
            ]),
      ],
    ),
  ),
);

const rare = (from: Type, over: Type | undefined): boolean =>
  over !== undefined && from !== over && from !== 'file' && over !== 'file';

/** From a sticky directory `s` to `e`, where the caller owns all, over each type and over nothing. */
const leaving = eachType(NOT_DIR, (from) =>
  owners.flatMap((pair) =>
    [undefined, ...NOT_DIR].map((over) =>
      behaviour(
        `rename out of it needs one of both: ${from} over ${over ?? 'nothing'}, ${tell(pair)}`,
        [
          ...room('s', 0o1777, pair[0]),
          ...room('e', 0o755, ME),
          ...make(from, 's/o', { uid: pair[1] }),
          ...(over ? make(over, 'e/n', { uid: ME }) : []),
        ],
        [
          ino('s/o'),
          ...(mayRemove(pair)
            ? [
                by(ALICE, rename('s/o', 'e/n')),
                gone('s/o'),
                gives(0, ino('e/n')),
                is('e/n', 'type owner', `${from} ${pair[1]}:${pair[1]}`),
                by(ALICE, rename('e/n', 's/o')),
                gives(0, ino('s/o')),
                gone('e/n'),
              ]
            : [
                fails('EPERM', by(ALICE, rename('s/o', 'e/n'))),
                gives(0, ino('s/o')),
                is('s/o', 'type owner', `${from} ${pair[1]}:${pair[1]}`),
                over ? is('e/n', 'type owner', `${over} ${ME}:${ME}`) : gone('e/n'),
              ]),
        ],
        { devices: over === 'blk' || over === 'chr', long: rare(from, over) },
      ),
    ),
  ),
);

/** From `e`, where the caller owns all, over something in a sticky directory `s`. */
const replacing = eachType(NOT_DIR, (from) =>
  owners.flatMap((pair) =>
    NOT_DIR.map((over) =>
      behaviour(
        `rename over what is in it needs one of both: ${from} over ${over}, ${tell(pair)}`,
        [
          ...room('e', 0o755, ME),
          ...room('s', 0o1777, pair[0]),
          ...make(from, 'e/o', { uid: ME }),
          ...make(over, 's/n', { uid: pair[1] }),
        ],
        [
          ino('e/o'),
          ...(mayRemove(pair)
            ? [
                by(ALICE, rename('e/o', 's/n')),
                gone('e/o'),
                gives(0, ino('s/n')),
                by(ALICE, rename('s/n', 'e/o')),
                gives(0, ino('e/o')),
                gone('s/n'),
              ]
            : [
                fails('EPERM', by(ALICE, rename('e/o', 's/n'))),
                gives(0, ino('e/o')),
                is('s/n', 'type owner', `${over} ${pair[1]}:${pair[1]}`),
              ]),
        ],
        { devices: over === 'blk' || over === 'chr', long: rare(from, over) },
      ),
    ),
  ),
);

/** A directory that moves to another parent is itself changed (its ..): the caller must own it or have it writable. */
const directories: readonly Behaviour[] = owners.flatMap((pair) => [
  ...[false, true].map((over) =>
    behaviour(
      `a directory out of it, ${over ? 'over an empty one' : 'over nothing'}: ${tell(pair)}`,
      [
        ...room('s', 0o1777, pair[0]),
        ...room('e', 0o755, ME),
        ...room('s/o', 0o755, pair[1]),
        ...(over ? room('e/n', 0o755, ME) : []),
      ],
      [
        ino('s/o'),
        ...(pair[1] === ME
          ? [
              by(ALICE, rename('s/o', 'e/n')),
              gone('s/o'),
              gives(0, ino('e/n')),
              is('e/n', 'owner', `${ME}:${ME}`),
              rename('e/n', 's/o'),
            ]
          : [
              fails(mayRemove(pair) ? 'EACCES' : 'EPERM', by(ALICE, rename('s/o', 'e/n'))),
              gives(0, ino('s/o')),
              is('s/o', 'type owner', `dir ${pair[1]}:${pair[1]}`),
              over ? is('e/n', 'owner', `${ME}:${ME}`) : gone('e/n'),
            ]),
      ],
    ),
  ),
  ...[false, true].map((over) =>
    behaviour(
      `a directory within it, ${over ? 'over an empty one' : 'over nothing'}: ${tell(pair)}`,
      [...room('s', 0o1777, pair[0]), ...room('s/o', 0o755, pair[1]), ...(over ? room('s/n', 0o755, ME) : [])],
      [
        ino('s/o'),
        ...(mayRemove(pair)
          ? [by(ALICE, rename('s/o', 's/n')), gone('s/o'), gives(0, ino('s/n')), is('s/n', 'owner', `${pair[1]}:${pair[1]}`)]
          : [fails('EPERM', by(ALICE, rename('s/o', 's/n'))), gives(0, ino('s/o'))]),
      ],
    ),
  ),
  behaviour(
    `a directory over an empty one in it: ${tell(pair)}`,
    [...room('e', 0o755, ME), ...room('s', 0o1777, pair[0]), ...room('e/o', 0o755, ME), ...room('s/n', 0o755, pair[1])],
    [
      ino('e/o'),
      ...(mayRemove(pair)
        ? [by(ALICE, rename('e/o', 's/n')), gone('e/o'), gives(0, ino('s/n'))]
        : [fails('EPERM', by(ALICE, rename('e/o', 's/n'))), gives(0, ino('e/o')), is('s/n', 'owner', `${pair[1]}:${pair[1]}`)]),
    ],
  ),
]);

export const stickyBehaviours: readonly Behaviour[] = [...removing, ...leaving, ...replacing, ...directories];
