// Random sequences against the oracle. LAMINA_ORACLE_SEED and LAMINA_ORACLE_OPS run one seed again, LAMINA_ORACLE_SEEDS
// sets how many run, LAMINA_ORACLE_MIX takes one mix of operations for all, LAMINA_ORACLE_TARGET one of targets.ts (the union
// where seeds are given, each its share otherwise), LAMINA_ORACLE_SHRINK=1 reduces what differs to few operations.

import t, { type Test } from 'tap';
import type { Kind } from '../../support/mounts.js';
import { leaks } from '../../support/mounts.js';
import { randomCase, shrink } from './cases.js';
import { type Case, differencesOf, usableKinds } from '../run.js';
import { TARGETS, type Target } from './targets.js';

const setting = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const count = setting('LAMINA_ORACLE_OPS', 200);
const mix = process.env['LAMINA_ORACLE_MIX'];
const shown = 6;
const only = process.env['LAMINA_ORACLE_SEED'];
const many = process.env['LAMINA_ORACLE_SEEDS'];
const wanted = process.env['LAMINA_ORACLE_TARGET'] ?? (only === undefined && many === undefined ? undefined : 'union');

/** Half of the seeds are always the same, half are new in each run. */
function seeds(share: number): number[] {
  if (only !== undefined) return only.split(',').map(Number);
  const length = Number(many ?? (wanted === undefined ? share : 24));
  const fresh = Date.now() % 1_000_000_000;
  return Array.from({ length }, (_, i) => (i < length / 2 ? i + 1 : fresh + i));
}

const seedOf = (item: Case): string => item.name.split(' ')[1] ?? '';

async function judge(t: Test, usable: readonly Kind[], item: Case, again: string, differences: readonly string[]): Promise<void> {
  if (differences.length === 0) t.pass(item.name);
  else if (process.env['LAMINA_ORACLE_SHRINK'] !== '1') t.fail(`${again}: ${differences.slice(0, shown).join('; ')}`);
  else {
    const small = await shrink(item, usable, 150);
    t.fail(`${again}: ${small.differences.slice(0, shown).join('; ')}`);
    t.comment(JSON.stringify({ stack: small.item.stack, ops: small.item.ops }));
  }
}

async function agree(t: Test, name: string, target: Target): Promise<void> {
  const usable = await usableKinds(t, target.kinds);
  if (usable.length < 2) {
    t.comment('skipped: fewer than two kinds of mount to compare');
    return;
  }
  const cases = seeds(target.share).map((seed) => randomCase(target, seed, count, mix));
  t.comment(`seeds ${cases.map(seedOf).join(',')}, ${count} operations each, on ${usable.join(', ')}`);
  const settings = `LAMINA_ORACLE_TARGET=${name}${mix === undefined ? '' : ` LAMINA_ORACLE_MIX=${mix}`} LAMINA_ORACLE_OPS=${count}`;
  for (const [item, differences] of await differencesOf(usable, cases)) {
    await judge(t, usable, item, `${settings} LAMINA_ORACLE_SEED=${seedOf(item)}`, differences);
  }
  t.same(leaks(), [], 'no mount and no directory is left');
}

// A hang is found by the limits of the single operations; this one is for all of them together.
t.setTimeout(setting('TAP_TIMEOUT', 300) * 1000);

for (const [name, target] of Object.entries(TARGETS)) {
  if (wanted === undefined || wanted === name)
    void t.test(`random operations on ${name} agree with the oracle`, (sub) => agree(sub, name, target));
}
if (wanted !== undefined && !(wanted in TARGETS)) t.fail(`LAMINA_ORACLE_TARGET is one of ${Object.keys(TARGETS).join(', ')}`);
