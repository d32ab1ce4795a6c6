// What the oracle does with several processes and users: three of them in turn, each with its own fds, maps, directory
// and umask; they fork, pass open files to each other and change users for good. Called by mixes.ts.

import { chdir, umask } from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { fork, getcwd, inProcess, pass } from '../../support/ops-objects.js';
import type { Entry, Stack } from '../../support/tree.js';
import { dir } from '../../support/tree.js';
import type { Maker } from './mixes.js';
import { path } from './names.js';
import type { Random } from './random.js';
import { randomStack } from './stacks.js';

const identities = [
  [1000, 1000],
  [1000, 7],
  [5, 7, 1000],
  [5, 5],
  [0, 0],
  [0, 1000, 7],
] as const;
const owners = [0, 0, 5, 1000] as const;
const groups = [0, 7, 1000] as const;
const modes = [0, 0o200, 0o400, 0o111, 0o4711, 0o2711, 0o6777, 0o666, 0o640] as const;
const dirModes = [0o777, 0o1777, 0o2777, 0o3777, 0o770, 0o711, 0o500, 0o300] as const;
const number = (r: Random): number => r.below(3);

function owned(random: Random, entry: Entry): Entry {
  if (entry.type === 'file' && random.chance(0.5)) {
    return { ...entry, mode: random.pick(modes), uid: random.pick(owners), gid: random.pick(groups) };
  }
  if (entry.type !== 'dir' || random.chance(0.4)) return entry;
  return { ...entry, mode: random.pick(dirModes), uid: random.pick(owners), gid: random.pick(groups) };
}

/** A stack whose objects belong to several users, with modes that let some of them do some things. */
export function ownedStack(random: Random): Stack {
  const { lower, upper } = randomStack(random);
  const top = { mode: random.pick(dirModes), uid: random.pick(owners), gid: random.pick(groups) };
  const each = (layer: Readonly<Record<string, Entry>>): Record<string, Entry> => ({
    '': dir(top),
    ...Object.fromEntries(Object.entries(layer).map(([name, entry]) => [name, owned(random, entry)])),
  });
  return upper ? { lower: lower.map(each), upper: each(upper) } : { lower: lower.map(each) };
}

export function processStart(random: Random): Op[] {
  return [fork(0, 1, random.pick(identities)), fork(0, 2, random.pick(identities)), inProcess(1, umask(random.pick([0, 0o22])))];
}

/** Some walk out of their directory and in again. */
const whence = (r: Random): string => (r.chance(0.2) ? `../${path(r)}` : path(r));

const own: readonly Maker[] = [
  [5, (r) => inProcess(1 + r.below(2), chdir(r.pick([path(r), whence(r), '..', '.'])))],
  [2, (r) => inProcess(number(r), getcwd())],
  [2, (r) => inProcess(number(r), umask(r.pick([0, 0o22, 0o77, 0o27, 0o777])))],
  [4, (r) => pass(number(r), r.pick(['f', 'g']), number(r), r.pick(['f', 'g']))],
  [2, (r) => pass(number(r), 'r', number(r), r.pick(['r', 's']))],
  [1, (r) => fork(0, 1 + r.below(2), r.pick(identities))],
  [1, (r) => (r.chance(0.5) ? fork(1, 2, r.pick(identities)) : fork(2, 1, r.pick(identities)))],
];

/** The operations of `makers` by whichever process, and what processes do to each other. */
export const processMakers = (makers: readonly Maker[]): readonly Maker[] => [
  ...makers.map(([weight, make]): Maker => [weight, (r) => inProcess(number(r), make(r))]),
  ...own,
];
