// What the oracle does through memory maps: shared and private ones, held across copy-up, truncation, rename, unlink and
// the close of their file, beside reads and writes through fds. Called by mixes.ts.

import {
  close,
  fstat,
  ftruncate,
  mmap,
  mread,
  msync,
  munmap,
  mwrite,
  type Op,
  open,
  pread,
  put,
  pwrite,
  truncate,
} from '../../support/ops.js';
import { dread, dwrite } from '../../support/ops-objects.js';
import type { Maker } from './mixes.js';
import { path } from './names.js';
import type { Random } from './random.js';

const PAGE = 4096;
const place = (r: Random): number => r.pick([0, 1, 5, 100, PAGE - 2, PAGE, PAGE + 7, 2 * PAGE - 1, 2 * PAGE]);
const map = (r: Random): string => r.pick(['m', 'n', 'o']);
const writer = (r: Random): string => r.pick(['f', 'g']);
/** Opened for reading: what they are for is their maps, as read(2) may rightly keep the lower file. */
const reader = (r: Random): string => r.pick(['r', 's']);

/** Of copy_file_range alone nothing: the server's own open file is not O_DIRECT, and more than ext4 grants. */
const direct = (r: Random): string => r.pick(['k', 'l']);

/** Through O_DIRECT; what is not aligned is refused by the filesystem below, or not. */
const directMakers: readonly Maker[] = [
  [2, (r) => open(direct(r), path(r), r.pick(['RDWR|DIRECT|NONBLOCK', 'RDWR|DIRECT|CREAT|NONBLOCK']))],
  [
    2,
    (r) =>
      dwrite(
        direct(r),
        r.pick([0, PAGE, 512, 100]),
        `d${r.below(10)}`,
        r.pick([PAGE, 2 * PAGE, 512, 100]),
        r.pick([0, 0, 0, 512, 7]),
      ),
  ],
  [2, (r) => dread(direct(r), r.pick([0, PAGE, 512, 100]), r.pick([PAGE, 2 * PAGE, 512, 100]), r.pick([0, 0, 0, 512, 7]))],
];

/** A map of one of the fds, `shared` times of one shared. */
const mapping = (r: Random, fd: (r: Random) => string, access: readonly ('r' | 'rw')[], shared: number): Op =>
  mmap(map(r), fd(r), r.pick([1, PAGE, 3 * PAGE]), r.pick(access), r.chance(shared), r.pick([0, 0, PAGE]));

export const mapMakers: readonly Maker[] = [
  [5, (r) => open(reader(r), path(r), 'RDONLY|NONBLOCK')],
  [3, (r) => open(writer(r), path(r), 'RDWR|NONBLOCK')],
  [2, (r) => put(path(r), `p${r.below(10)}`, r.pick([1, 1000, 2500, 5000]))],
  [5, (r) => mapping(r, reader, ['r', 'r', 'rw'], 0.5)],
  [6, (r) => mapping(r, writer, ['r', 'rw', 'rw'], 0.7)],
  [10, (r) => mread(map(r), place(r), r.pick([1, 20, PAGE]))],
  [8, (r) => mwrite(map(r), place(r), `m${r.below(100)}`)],
  [2, (r) => msync(map(r))],
  [2, (r) => munmap(map(r))],
  [2, (r) => close(reader(r))],
  [2, (r) => fstat(reader(r))],
  [4, (r) => pwrite(writer(r), place(r), `w${r.below(100)}`)],
  [4, (r) => pread(writer(r), place(r), 20)],
  [2, (r) => ftruncate(writer(r), place(r))],
  [2, (r) => truncate(path(r), place(r))],
  [2, (r) => mmap(map(r), direct(r), 3 * PAGE, 'rw', true)],
  ...directMakers,
];
