// What the oracle does at the edges of single objects: running programs, immutable and append-only files, holes and
// ranges, attributes of every namespace, times in all forms, listings that change under the reader. Called by mixes.ts.

import {
  copyrange,
  fallocate,
  getxattr,
  listxattr,
  lseek,
  open,
  pwrite,
  put,
  removexattr,
  rename,
  rmdir,
  mkdir,
  setxattr,
  unlink,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { fsetflags, getflags, scan, setflags, start, statx, stop, utimes, xflags } from '../../support/ops-objects.js';
import type { Entry, Stack } from '../../support/tree.js';
import type { Maker } from './mixes.js';
import { path, time } from './names.js';
import { PROGRAM } from './program.js';
import type { Random } from './random.js';
import { names, randomStack } from './stacks.js';

const BLOCK = 4096;
const letters = ['d', 'A', 'S', ''] as const;
const fd = (r: Random): string => r.pick(['f', 'g']);
const offset = (r: Random): number => r.below(5) * BLOCK + r.pick([0, 0, 0, 1, -1, 100]);
/** Without user.overlay.*, which the kernel leaves alone where trusted.overlay.* means something and lamina reads both. */
const attributes = [
  'user.x',
  'user.long-name-of-an-attribute',
  'trusted.y',
  'trusted.overlay.opaque',
  'trusted.overlay.redirect',
  'trusted.overlay.overlay.x',
  'trusted.overlay.whiteout',
  'security.own',
  'security.capability',
  'system.unknown',
  'nonsense',
  'user.',
] as const;
const CAPABILITY = '\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00';

const attributeMakers: readonly Maker[] = [
  [
    5,
    (r) =>
      setxattr(
        path(r),
        r.pick(attributes),
        r.pick(['', 'y', 'v'.repeat(30), CAPABILITY]),
        r.pick(['', '', 'CREATE', 'REPLACE'] as const),
      ),
  ],
  [2, (r) => getxattr(path(r), r.pick(attributes))],
  [2, (r) => removexattr(path(r), r.pick(attributes))],
  [2, (r) => listxattr(path(r))],
];

const flagMakers: readonly Maker[] = [
  [3, (r) => setflags(path(r), r.pick(letters))],
  [1, (r) => setflags(path(r), r.pick(['i', 'a', 'ia']))],
  [6, (r) => setflags(path(r), '')],
  [1, (r) => fsetflags(fd(r), r.pick(letters))],
  [2, (r) => getflags(path(r))],
  [1, (r) => xflags(path(r))],
  [2, (r) => statx(path(r))],
];

const rangeMakers: readonly Maker[] = [
  [2, (r) => open(fd(r), path(r), 'RDWR|CREAT|NONBLOCK')],
  [
    4,
    (r) =>
      fallocate(
        fd(r),
        r.pick(['', 'KEEP_SIZE', 'PUNCH_HOLE|KEEP_SIZE', 'ZERO', 'ZERO|KEEP_SIZE', 'PUNCH_HOLE']),
        Math.max(0, offset(r)),
        r.below(3) * BLOCK + r.pick([0, 1, 100]),
      ),
  ],
  [3, (r) => pwrite(fd(r), Math.max(0, offset(r)), `z${r.below(10)}`, r.pick([1, 1, 2000]))],
  [5, (r) => lseek(fd(r), offset(r), r.pick(['DATA', 'HOLE', 'SET', 'END', 'CUR'] as const))],
  [3, (r) => copyrange(fd(r), Math.max(0, offset(r)), fd(r), Math.max(0, offset(r)), r.pick([1, 100, BLOCK, 3 * BLOCK]))],
];

const stamp = (r: Random): string => r.pick([time(r), time(r), 'bad', '-1234567890000000001', '4102444800000000000']);

/** Changes of one directory while it is read. */
function changes(r: Random, at: string): Op[] {
  const name = (): string => `${at}/${r.pick(names)}`;
  const one = (): Op => r.pick([unlink(name()), put(name(), 's'), rename(name(), name()), mkdir(name()), rmdir(name())]);
  return Array.from({ length: 1 + r.below(4) }, one);
}

function scanned(r: Random): Op {
  const at = r.pick([path(r), r.pick(names), '.']);
  return scan(at, r.pick([64, 100, 300]), r.chance(0.5), changes(r, at));
}

export const objectMakers: readonly Maker[] = [
  [3, (r) => start(r.pick(['p', 'q']), path(r))],
  [2, (r) => put(path(r), PROGRAM, 1, 0o755)],
  [2, (r) => stop(r.pick(['p', 'q']))],
  [4, (r) => utimes(path(r), r.chance(0.2) ? null : [stamp(r), stamp(r)], r.chance(0.4))],
  [6, scanned],
  ...attributeMakers,
  ...flagMakers,
  ...rangeMakers,
];

function marked(random: Random, entry: Entry): Entry {
  if (entry.type === 'file' && random.chance(0.25)) return { ...entry, data: PROGRAM, mode: random.pick([0o755, 0o711, 0o644]) };
  // What the kernel keeps in a copy, too.
  const flagged = (entry.type === 'file' || entry.type === 'dir') && random.chance(0.08);
  return flagged ? { ...entry, flags: random.pick(['A', 'S']) } : entry;
}

/** A stack with programs, and with flags on some objects. */
export function objectStack(random: Random, make: (random: Random) => Stack = randomStack): Stack {
  const { lower, upper } = make(random);
  const each = (layer: Readonly<Record<string, Entry>>): Record<string, Entry> =>
    Object.fromEntries(Object.entries(layer).map(([name, entry]) => [name, marked(random, entry)]));
  return upper ? { lower: lower.map(each), upper: each(upper) } : { lower: lower.map(each) };
}
