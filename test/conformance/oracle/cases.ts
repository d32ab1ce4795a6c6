// The oracle: random operation sequences on random stacks, whose outcomes and trees must be the same on lamina, on
// kernel overlayfs and on a plain directory. A difference is shrunk to few operations, to be made a named case.
// Called by oracle.test.ts.

import type { Kind } from '../../support/mounts.js';
import { differencesOf } from '../run.js';
import type { Case } from '../run.js';
import { MIXES, randomOps, type Mix } from './mixes.js';
import { Random } from './random.js';
import { PROTECTED, type Target } from './targets.js';

const mixNames = Object.keys(MIXES);

/** Which mix a seed stands for, where none is asked for. */
const mixOf = (seed: number): string => mixNames[seed % mixNames.length] ?? '';

/** The case of a seed. */
export function randomCase(target: Target, seed: number, count: number, wanted?: string): Case {
  const name = wanted ?? mixOf(seed);
  const mix: Mix | undefined = MIXES[name];
  if (!mix) throw new RangeError(`no mix ${name}: ${mixNames.join(', ')}`);
  const random = new Random(seed);
  const stack = mix.stack(random);
  // Once in some 10,000 operations the kernel changes the mtime of a directory by an operation that failed.
  const linked = [...stack.lower, stack.upper ?? {}].some((layer) => Object.values(layer).some(({ type }) => type === 'link'));
  return {
    name: `seed ${seed} ${name}`,
    stack,
    ops: randomOps(random, mix, count).map(target.adapt ?? ((op) => op)),
    either: true,
    allows: [...PROTECTED, ...target.allows],
    ...(linked ? { kernelTree: 'the kernel does not read what keeps links of lower files together (DESIGN.md)' } : {}),
  };
}

/**
 * Removes operations as long as the case still differs, halves first, for at most `tries` runs.
 * Gives the smaller case and its differences.
 */
export async function shrink(item: Case, kinds: readonly Kind[], tries: number): Promise<{ item: Case; differences: string[] }> {
  const differ = async (candidate: Case): Promise<string[]> => (await differencesOf(kinds, [candidate])).get(candidate) ?? [];
  let best = { item, differences: await differ(item) };
  let left = tries;
  for (let size = Math.ceil(item.ops.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.item.ops.length && left > 0; left--) {
      const ops = best.item.ops.filter((_, i) => i < at || i >= at + size);
      const candidate = { ...item, ops };
      const differences = await differ(candidate);
      if (differences.length > 0) best = { item: candidate, differences };
      else at += size;
    }
    if (size === 1) break;
  }
  return best;
}
