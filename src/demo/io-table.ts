// The demo's short I/O table: a plain directory, a volume in each tier, and the union, mounted side by side. A taste,
// not a bench: short rounds in the page cache. Called by main.ts.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { table } from '../cli/table.js';
import type { Stage } from './stage.js';

const TIERS = ['bind', 'passthrough', 'relay'] as const;
type Tier = (typeof TIERS)[number];

/** Mounts a root with a volume at /srv/site in `tier`. Why not, when it cannot be mounted. */
async function mountTier(stage: Stage, tier: Tier): Promise<string | undefined> {
  const at = (name: string): string => `${tier}/${name}`;
  for (const name of ['root', 'upper', 'work', 'site']) mkdirSync(stage.path(at(name)), { recursive: true });
  const layers = ['--upper', at('upper'), '--work', at('work'), '--bypass', tier];
  const volume = ['-v', `./${at('site')}:/srv/site`];
  const done = await stage.run(['lamina', 'mount', ...layers, ...volume, 'lamina-demo', at('root')]);
  return done.code === 0 ? undefined : done.output.trim();
}

const cell = (value: number | undefined, plain: number | undefined): string =>
  value === undefined || plain === undefined ? '-' : `${value.toFixed(0).padStart(7)}  ${(value / plain).toFixed(2).padStart(6)}`;

/** Measures and prints, each figure with its ratio to the plain directory. */
export async function compareTiers(stage: Stage): Promise<void> {
  const places: [label: string, directory: string][] = [['plain directory', 'plain']];
  const missing: string[] = [];
  mkdirSync(stage.path('plain'));
  for (const tier of TIERS) {
    const reason = await mountTier(stage, tier);
    if (reason === undefined) places.push([`volume, ${tier}`, `${tier}/root/srv/site`]);
    else missing.push(`  volume, ${tier}: not here: ${reason}`);
  }
  const union = TIERS.find((tier) => places.some(([label]) => label === `volume, ${tier}`));
  if (union === undefined) throw new Error(missing.join('\n'));
  places.push(['union', `${union}/root/tmp`]);

  const load = ['node', join(__dirname, 'io-load.js'), ...places.map(([, directory]) => directory)];
  const measured = JSON.parse(await stage.must(load)) as number[][];
  const rows = measured.map((values, i) => [
    places[i]?.[0] ?? '',
    ...values.map((value, kind) => cell(value, measured[0]?.[kind])),
  ]);
  const text = table(['', 'RANDOM WRITE MB/s', 'SEQUENTIAL READ MB/s', 'FILES MADE AND REMOVED /s'], rows);
  stage.say(text.trimEnd().replace(/^/gm, '  '));
  for (const line of missing) stage.say(line);
  stage.say('  Second figures: to the plain directory. 4 KiB blocks of a 32 MiB file, in the page cache; medians of 3');
  stage.say('  rounds of 0.15 s. `npm run bench` measures properly, beside fuse-overlayfs and kernel overlayfs.');

  for (const tier of TIERS) {
    if (places.some(([label]) => label === `volume, ${tier}`)) await stage.must(['lamina', 'umount', `${tier}/root`]);
  }
}
