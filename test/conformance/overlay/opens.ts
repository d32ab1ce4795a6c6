// open(2) with every access mode and every flag that makes, cuts or refuses, on every object in every place; with a
// slash behind the name, and by a user who may not write. Called by overlay.test.ts.

import { by, cat, close, fino, fstat, ino, lseek, lstat, open, read, readdir, stat, write } from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { objects, places, table } from './objects.js';
import type { Row } from './objects.js';
import type { StagedCase } from './staged.js';

const accesses = ['RDONLY', 'WRONLY', 'WRONLY|APPEND', 'RDWR', 'RDWR|APPEND', 'RDONLY|APPEND'];
const extras = ['', '|TRUNC', '|CREAT', '|CREAT|TRUNC', '|CREAT|EXCL', '|CREAT|EXCL|TRUNC', '|DIRECTORY', '|NOFOLLOW'];

interface Variant {
  readonly name: string;
  readonly accesses: readonly string[];
  readonly slash: string;
  readonly who: (op: Op) => Op;
}

const variants: readonly Variant[] = [
  { name: '', accesses, slash: '', who: (op) => op },
  { name: ', with a slash', accesses: ['RDONLY', 'RDWR', 'WRONLY|APPEND'], slash: '/', who: (op) => op },
  { name: ', by bin', accesses: ['RDONLY', 'RDWR', 'WRONLY|APPEND'], slash: '', who: (op) => by([1, 1], op) },
];

/** Opens twice, since the first may make, copy up or cut; both leave a trace in the content. */
function row(object: string, place: string, flags: string, { slash, who }: Variant): Row {
  const make = objects[object];
  const put = places[place];
  if (!make || !put) throw new Error(`${object} ${place}`);
  return {
    sides: (at) => [put(make, at('o'))],
    stages: (at) => {
      const path = at('o') + slash;
      const once = (data: string): Op[] => [
        who(open('f', path, flags, 0o640)),
        fino('f'),
        write('f', data),
        lseek('f', 0, 'SET'),
        read('f'),
        fstat('f'),
        close('f'),
      ];
      return [
        [
          lstat(path),
          ino(at('o')),
          ...once('shark'),
          ino(at('o')),
          stat(at('o')),
          ...once('eel'),
          who(cat(path)),
          readdir(at('')),
        ],
        [lstat(at('o')), who(open('f', path, flags)), close('f'), cat(at('o')), ino(at('o'))],
      ];
    },
  };
}

/** One case for each object, place and variant. */
export const openCases: readonly StagedCase[] = Object.keys(objects).flatMap((object) =>
  Object.keys(places).flatMap((place) =>
    variants.map((variant) =>
      table(
        `open ${object} ${place}${variant.name}`,
        variant.accesses.flatMap((access) => extras.map((extra) => row(object, place, access + extra, variant))),
      ),
    ),
  ),
);
