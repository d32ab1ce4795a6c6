// What the oracle does far down: directories hundreds of levels deep, or with names of 255 bytes past what a path may say,
// in several layers, moved as wholes and in parts, with processes that stand in them. Called by mixes.ts.

import { cat, chdir, chmod, lstat, mkdir, put, readdir, rename, rmdir, symlink, unlink } from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { at, below, enter, fork, getcwd, inProcess } from '../../support/ops-objects.js';
import { dir, file, opaque } from '../../support/tree.js';
import type { Entry, Stack } from '../../support/tree.js';
import type { Maker, Mix } from './mixes.js';
import { nameMakers } from './names.js';
import type { Random } from './random.js';

/** Names of directories on the way down, awkward in an option or a redirect. */
const SHORT = ['d', 'e', '\xfe\x80', ' ,:\\'] as const;
/** As long as names can be: 16 of them are all that a path holds. */
const LONG = ['d'.repeat(255), 'e'.repeat(255), `\xfe${'\x80'.repeat(254)}`, 'f'] as const;
type Ways = typeof SHORT | typeof LONG;

const leaves = ['x', 'y'.repeat(255), 'z\xff', 'a', 'b'] as const;
const leaf = (r: Random): string => r.pick(leaves);
const depth = (r: Random): number => r.pick([0, 1, 2, 5, 10, 15, 16, 17, 20, 40, 100, 300]);
/** Two further processes do it all: to them the case's directory is the root, above which nobody can go. */
const who = (r: Random): number => r.pick([1, 1, 1, 2]);

function deepLayer(random: Random, line: readonly string[], mark: string): Record<string, Entry> {
  const layer: Record<string, Entry> = {};
  const end = random.chance(0.4) ? line.length : random.below(line.length);
  for (let level = 1; level <= end; level++) {
    const path = line.slice(0, level).join('/');
    layer[path] = random.chance(0.03) ? opaque() : dir({ mode: random.pick([0o755, 0o777]) });
    if (random.chance(0.2)) layer[`${path}/${leaf(random)}`] = file(`${mark} at ${level}`, { mode: 0o666 });
    else if (random.chance(0.1)) layer[`${path}/side${random.below(3)}`] = dir();
  }
  return layer;
}

/** Layers with one long way down, of which each has a part. */
const deepStack =
  (ways: Ways) =>
  (random: Random): Stack => {
    const length = ways === LONG ? 10 + random.below(25) : 20 + random.below(230);
    const line = Array.from({ length }, () => (random.chance(0.8) ? ways[0] : random.pick<string>(ways)));
    const layers = Array.from({ length: 2 + random.below(3) }, (_, i) => deepLayer(random, line, `layer${i}`));
    const [upper = {}, ...lower] = layers;
    return random.chance(0.6) ? { lower, upper } : { lower };
  };

/** A path of 3,840 to 4,351 bytes, about what a path may have. */
const longest = (r: Random): string =>
  `${`${r.pick([LONG[0], '.'.padStart(255, 'd')])}/`.repeat(r.pick([14, 15, 16]))}${'n'.repeat(r.pick([1, 254, 255]))}`;
const up = (r: Random): string => '../'.repeat(r.below(4));

/** Directories that go elsewhere: with long names the path to them would be more than a filesystem keeps (EXDEV). */
const movers = (way: (r: Random) => string, down: (r: Random, inner: Op) => Op): readonly Maker[] => [
  [10, (r) => down(r, rename(way(r), `${up(r)}${way(r)}`))],
  [6, (r) => down(r, rename(`${up(r)}${way(r)}`, way(r)))],
  [4, (r) => down(r, rename(way(r), `${way(r)}/${way(r)}/${way(r)}`))],
  [4, (r) => down(r, rename(`${way(r)}/${way(r)}`, `${up(r)}side`))],
  [4, (r) => down(r, rename(way(r), `${up(r)}${way(r)}`, 'EXCHANGE'))],
];

function deepMakers(ways: Ways): readonly Maker[] {
  const way = (r: Random): string => r.pick<string>(ways);
  const down = (r: Random, inner: Op): Op => inProcess(who(r), below(ways, depth(r), inner));
  const here = (r: Random): Op => r.pick([readdir('.'), put(leaf(r), 'p'), rename(way(r), way(r)), lstat('..')]);
  return [
    ...(ways === LONG ? [] : nameMakers.map(([weight, make]): Maker => [weight / 3, (r) => down(r, make(r))])),
    ...(ways === LONG ? [] : movers(way, down)),
    [10, (r) => down(r, rename(way(r), way(r), r.pick(['', '', 'EXCHANGE', 'NOREPLACE'] as const)))],
    [4, (r) => down(r, mkdir(way(r)))],
    [2, (r) => down(r, rmdir(way(r)))],
    [5, (r) => down(r, put(leaf(r), `put${r.below(100)}`))],
    [3, (r) => down(r, rename(leaf(r), `${up(r)}${leaf(r)}`))],
    [3, (r) => down(r, unlink(leaf(r)))],
    [3, (r) => down(r, cat(leaf(r)))],
    [3, (r) => down(r, readdir('.'))],
    [2, (r) => down(r, chmod('.', r.pick([0o755, 0o711, 0o777])))],
    [2, (r) => down(r, symlink(longest(r).slice(0, r.pick([4095, 4096, 300])), leaf(r)))],
    [5, (r) => down(r, getcwd())],
    [3, (r) => inProcess(who(r), enter(ways, depth(r)))],
    [3, (r) => inProcess(who(r), chdir('../'.repeat(1 + r.below(20)).slice(0, -1)))],
    [6, (r) => inProcess(who(r), getcwd())],
    [3, (r) => inProcess(who(r), here(r))],
    [3, (r) => inProcess(who(r), lstat(longest(r)))],
    [2, (r) => inProcess(who(r), put(longest(r), 'long'))],
    [2, (r) => inProcess(who(r), rename(longest(r), longest(r)))],
    [1, (r) => inProcess(who(r), at([longest(r), longest(r)], mkdir(way(r))))],
  ];
}

const mix = (ways: Ways): Mix => ({
  makers: deepMakers(ways),
  stack: deepStack(ways),
  start: () => [fork(0, 1), fork(0, 2, [1000, 1000])],
  byUsers: 0.1,
});

export const deepMix = mix(SHORT);
export const longMix = mix(LONG);
