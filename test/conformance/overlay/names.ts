// Every operation on names, on every object in every place, twice over and after a remount; and those on two names,
// with every pair of objects. Called by overlay.test.ts.

import {
  by,
  cat,
  chmod,
  chown,
  ino,
  link,
  lstat,
  mkdir,
  mknod,
  put,
  readdir,
  readlink,
  rename,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  utimens,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { hidden, objects, places, table } from './objects.js';
import type { Row } from './objects.js';
import type { StagedCase } from './staged.js';

type OnOne = (path: string) => Op;

const onOne: Readonly<Record<string, OnOne>> = {
  unlink,
  rmdir,
  mkdir: (path) => mkdir(path, 0o750),
  readlink,
  'truncate to 0': (path) => truncate(path, 0),
  'truncate to 4': (path) => truncate(path, 4),
  'truncate to 20': (path) => truncate(path, 20),
  'utimes, now': (path) => utimens(path, 'now', 'now'),
  'utimes, then': (path) => utimens(path, '1234567890123456789', 'omit'),
  chmod: (path) => chmod(path, 0o711),
  chown: (path) => chown(path, 7, 8),
  symlink: (path) => symlink('anywhere', path),
  mknod: (path) => mknod(path, 'fifo'),
  'link to itself': (path) => link(path, path),
  'rename to itself': (path) => rename(path, path),
  'rename into itself': (path) => rename(path, `${path}/x`),
};

const look = (at: (name: string) => string): Op[] => [
  lstat(at('o')),
  stat(at('o')),
  ino(at('o')),
  readdir(at('')),
  readdir(at('o')),
];
/** Whatever is there gives way to something new, and that to nothing. */
const replace = (at: (name: string) => string): Op[] => [
  unlink(at('o')),
  mkdir(at('o')),
  readdir(at('o')),
  put(at('o/x'), 'x'),
  put(at('o'), 'again'),
];

function rowOfOne(object: string, place: string, act: OnOne, slash: string, who: (op: Op) => Op): Row {
  const make = objects[object];
  const put = places[place];
  if (!make || !put) throw new Error(`${object} ${place}`);
  return {
    sides: (at) => [put(make, at('o'))],
    stages: (at) => [
      [...look(at), who(act(at('o') + slash)), ...look(at), who(act(at('o') + slash)), cat(at('o'))],
      [...look(at), act(at('o') + slash), cat(at('o')), ...replace(at)],
      [...look(at), unlink(at('o/x')), rmdir(at('o')), unlink(at('o')), readdir(at(''))],
    ],
  };
}

const self = (op: Op): Op => op;
const bin = (op: Op): Op => by([1, 1], op);

export const oneNameCases: readonly StagedCase[] = Object.entries(onOne).flatMap(([what, act]) =>
  Object.keys(places).map((place) =>
    table(
      `${what}, ${place}`,
      Object.keys(objects).flatMap((object) => [
        rowOfOne(object, place, act, '', self),
        rowOfOne(object, place, act, '/', self),
        rowOfOne(object, place, act, '', bin),
      ]),
    ),
  ),
);

type OnTwo = (from: string, to: string) => Op;

const onTwo: Readonly<Record<string, OnTwo>> = {
  rename: (from, to) => rename(from, to),
  'rename without replacing': (from, to) => rename(from, to, 'NOREPLACE'),
  exchange: (from, to) => rename(from, to, 'EXCHANGE'),
  link: (from, to) => link(from, to),
};

const targets = ['a file', 'a symlink to nothing', 'a directory', 'an empty directory', 'a file with another name'] as const;
const targetPlaces = ['in lower', 'in upper', 'whited out'] as const;

function rowOfTwo(object: string, place: string, target: string, targetPlace: string, act: OnTwo, slash: string): Row {
  const [make, put, makeTo, putTo] = [objects[object], places[place], objects[target], places[targetPlace]];
  if (!make || !put || !makeTo || !putTo) throw new Error(`${object} ${place} ${target} ${targetPlace}`);
  return {
    sides: (at) => [put(make, at('from/o')), putTo(makeTo, at('to/e'))],
    stages: (at) => {
      const [from, to] = [at('from/o') + slash, at('to/e') + slash];
      const seen = [
        lstat(at('from/o')),
        ino(at('from/o')),
        lstat(at('to/e')),
        ino(at('to/e')),
        readdir(at('from')),
        readdir(at('to')),
        readdir(at('to/e')),
        cat(at('to/e')),
        cat(at('to/e/pop/b')),
      ];
      return [
        [...seen, act(from, to), ...seen],
        [...seen, act(from, to), act(to, at('to/third')), lstat(at('to/third')), ino(at('to/third')), cat(at('to/third'))],
        [...seen, readdir(at('to/third')), mkdir(at('to/e')), readdir(at('to/e')), put1(at('from/o')), unlink(at('to/third'))],
      ];
    },
  };
}

const put1 = (path: string): Op => put(path, 'new');

export const twoNameCases: readonly StagedCase[] = Object.entries(onTwo).flatMap(([what, act]) =>
  Object.keys(places).map((place) =>
    table(
      `${what}, ${place}`,
      Object.keys(objects).flatMap((object) =>
        targets.flatMap((target) =>
          targetPlaces.flatMap((targetPlace) => [
            rowOfTwo(object, place, target, targetPlace, act, ''),
            ...(targetPlace === 'in lower' ? [rowOfTwo(object, place, target, targetPlace, act, '/')] : []),
          ]),
        ),
      ),
    ),
  ),
);

/** Directories that hide a lower one are renamed, emptied and merged no more. */
export const opaqueCases: readonly StagedCase[] = [
  table(
    'opaque directories',
    Object.values(onTwo).map((act): Row => ({
      sides: (at) => [hidden(at('o')), hidden(at('e'))],
      stages: (at) => [
        [readdir(at('o')), act(at('o'), at('e')), readdir(at('o')), readdir(at('e'))],
        [readdir(at('o')), readdir(at('e')), mkdir(at('o')), readdir(at('o')), act(at('e'), at('new')), readdir(at('new'))],
        [readdir(at('new')), rmdir(at('new')), mkdir(at('new')), readdir(at('new'))],
      ],
    })),
  ),
];
