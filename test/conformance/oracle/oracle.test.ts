// Random sequences against the oracle. LAMINA_ORACLE_SEED and LAMINA_ORACLE_OPS run one seed again, LAMINA_ORACLE_SEEDS
// sets how many run, LAMINA_ORACLE_MIX takes one mix of operations for all, LAMINA_ORACLE_SHRINK=1 reduces what differs to
// few operations.

import t from 'tap';
import { leaks } from '../../support/mounts.js';
import { randomCase, shrink } from './cases.js';
import { differencesOf, usableKinds } from '../run.js';

const setting = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const count = setting('LAMINA_ORACLE_OPS', 200);
const mix = process.env['LAMINA_ORACLE_MIX'];
const shown = 6;

/** Half of the seeds are always the same, half are new in each run. */
function seeds(): number[] {
  const only = process.env['LAMINA_ORACLE_SEED'];
  if (only !== undefined) return only.split(',').map(Number);
  const many = setting('LAMINA_ORACLE_SEEDS', 24);
  const fresh = Date.now() % 1_000_000_000;
  return Array.from({ length: many }, (_, i) => (i < many / 2 ? i + 1 : fresh + i));
}

// A hang is found by the limits of the single operations; this one is for all of them together.
t.setTimeout(300_000);

void t.test('random operations agree with the oracle', async (sub) => {
  const usable = await usableKinds(sub);
  if (usable.length < 2) {
    sub.comment('skipped: fewer than two kinds of mount to compare');
    return;
  }
  const cases = seeds().map((seed) => randomCase(seed, count, mix));
  sub.comment(
    `seeds ${cases.map((item) => item.name.split(' ')[1]).join(',')}, ${count} operations each, on ${usable.join(', ')}`,
  );
  for (const [item, differences] of await differencesOf(usable, cases)) {
    const again = `LAMINA_ORACLE_SEED=${item.name.split(' ')[1]}${mix === undefined ? '' : ` LAMINA_ORACLE_MIX=${mix}`} LAMINA_ORACLE_OPS=${count}`;
    if (differences.length === 0) sub.pass(item.name);
    else if (process.env['LAMINA_ORACLE_SHRINK'] !== '1') sub.fail(`${again}: ${differences.slice(0, shown).join('; ')}`);
    else {
      const small = await shrink(item, usable, 150);
      sub.fail(`${again}: ${small.differences.slice(0, shown).join('; ')}`);
      sub.comment(JSON.stringify({ stack: small.item.stack, ops: small.item.ops }));
    }
  }
  sub.same(leaks(), [], 'no mount and no directory is left');
});
