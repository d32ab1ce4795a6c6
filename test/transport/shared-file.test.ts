// One file of a volume in two roots and on the host, exercised at random by all three in turns: each read, by read(2), by
// O_DIRECT and through maps, gives what a model in memory says. LAMINA_SHARED_STEPS=100000 is the long form,
// LAMINA_SHARED_SEED repeats a seed.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mustCommand } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

const STEPS = Number(process.env['LAMINA_SHARED_STEPS'] ?? 800);
const SEED = Number(process.env['LAMINA_SHARED_SEED'] ?? Date.now() % 1_000_000_000);

/** Whether maps in all places are one memory; relay has a page cache for each mount (README). */
const TIERS = { bind: true, passthrough: true, relay: false };

interface Report {
  readonly wrong?: string;
  readonly before?: readonly string[];
  readonly steps?: number;
  readonly done?: Readonly<Record<string, number>>;
}

void t.test('a file shared by two roots and the host', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  t.comment(`LAMINA_SHARED_SEED=${SEED} LAMINA_SHARED_STEPS=${STEPS}`);
  for (const [tier, coherent] of Object.entries(TIERS)) {
    await t.test(`${tier}: what one does all see, ${STEPS} times`, async (t) => {
      const [one, two] = [new Root(), new Root()];
      t.teardown(() => Promise.all([one.dispose(), two.dispose()]));
      mkdirSync(one.path('vol'));
      for (const root of [one, two]) await root.mount('--bypass', tier, '-v', `${one.path('vol')}:/data`);
      const places = { one: join(one.target, 'data/f'), two: join(two.target, 'data/f'), host: one.path('vol/f') };
      const program = join(checkout, 'test', 'support', 'shared_file.py');
      const work = JSON.stringify({ places, seed: SEED, steps: STEPS, coherent });
      const out = await mustCommand(['python3', '-B', program, work], { limitMs: 20_000 + STEPS * 20 });
      const report = JSON.parse(out) as Report;
      t.equal(report.wrong, undefined, `seed ${SEED}: ${(report.before ?? []).join('; ')}`);
      t.equal(report.steps, STEPS, JSON.stringify(report.done));
      await one.umount();
      await two.umount();
    });
  }
  return undefined;
});
