// The overlay suite: what overlay filesystems are tested for elsewhere, with kernel overlayfs as the reference. A run
// takes one row in SLICES of each big table, another one each time; LAMINA_OVERLAY_SLICE=N chooses it, and
// LAMINA_OVERLAY_SLICE=all takes every row.

import t from 'tap';
import { chainCases, linkCases } from './chains.js';
import { oneNameCases, opaqueCases, twoNameCases } from './names.js';
import { openCases } from './opens.js';
import { conformInStages } from './staged.js';
import type { Between, StagedCase } from './staged.js';

const SLICES = 40;
const wanted = process.env['LAMINA_OVERLAY_SLICE'] ?? String(Math.floor(Date.now() / 1000) % SLICES);
const some = (cases: readonly StagedCase[]): StagedCase[] =>
  cases.filter((_, i) => wanted === 'all' || i % SLICES === Number(wanted) % SLICES);
// A hang is found by the limits of the single operations; this one is for all of them together.
t.setTimeout(1_800_000);
t.comment(`LAMINA_OVERLAY_SLICE=${wanted}`);

const same = { between: 'remount', medium: 'tmpfs' } as const;
void t.test('open', (sub) => conformInStages(sub, some(openCases), same));
void t.test('one name', (sub) => conformInStages(sub, some(oneNameCases), same));
void t.test('two names', (sub) => conformInStages(sub, some(twoNameCases), same));
for (const between of ['nothing', 'remount', 'rotate'] satisfies Between[]) {
  for (const medium of ['tmpfs', 'apart'] as const) {
    if (wanted !== 'all' && (between === 'rotate') !== (medium === 'apart')) continue;
    const name = `long lives, ${between} between stages, layers on ${medium}`;
    void t.test(name, (sub) =>
      conformInStages(sub, [...opaqueCases, ...chainCases, ...(between === 'rotate' ? [] : linkCases)], { between, medium }),
    );
  }
}
