// Lookups in a directory that exists in every layer: names that are nowhere (a new one each time, so nothing is ever
// cached, as when a program searches a path), and cold stats of names that are there.

import { join } from 'node:path';
import type { Bench, Case, Workload } from '../bench.js';
import { lookupStack, flatten, freshUpper } from '../fixtures.js';
import { dropCaches } from '../host.js';
import { load } from '../load.js';
import { run } from '../process.js';
import { mount, type Mounted, type Stack } from '../targets.js';

const depths = [1, 20, 50] as const;
/** Divisible by every depth. */
const files = 400;
const versus = ['overlay', 'fuse-overlayfs'];

const miss = (layers: number): Case => ({
  id: `miss-${layers}`,
  title: `Lookup of a name that is nowhere, ${layers} layer${layers === 1 ? '' : 's'}`,
  unit: 'µs per lookup',
  better: 'lower',
  cache: 'never cached',
  versus,
});

const hit = (layers: number): Case => ({
  id: `hit-${layers}`,
  title: `First stat of a file, ${layers} layer${layers === 1 ? '' : 's'}`,
  unit: 'µs per stat',
  better: 'lower',
  cache: 'cold',
  versus,
});

async function mountAll(bench: Bench, stack: Stack): Promise<Mounted[]> {
  return bench.each(
    bench.select(['plain', 'overlay', 'fuse-overlayfs', 'unionfs-fuse', 'fuse-native', 'lamina']),
    async (target) => {
      const own = await mount(bench.undo, target, freshUpper(bench, stack), join(bench.directory(), 'm'));
      if (own.command.length === 0) flatten(stack, own.path);
      bench.commands.set(target.name, own.command);
      return own;
    },
  );
}

async function expectMerged(mounted: Mounted): Promise<void> {
  const listed = (await run(['ls', join(mounted.path, 'd')])).trim().split('\n');
  const wanted = Array.from({ length: files }, (_, i) => `f${i}`);
  if (listed.sort().join() !== wanted.sort().join()) throw new Error('wrong merged listing');
}

async function measureDepth(bench: Bench, layers: number): Promise<void> {
  bench.progress(`${layers} layers`);
  const all = await bench.checked(await mountAll(bench, lookupStack(bench, layers, files / layers)), expectMerged);
  let series = 0;
  await bench.interleave(bench.size(15, 3), all, async ({ target, path }) => {
    const directory = join(path, 'd');
    const prefix = `absent${series++}-`;
    const missed = await load(['miss', directory, prefix, String(bench.size(250, 150))]);
    bench.record(miss(layers), target.name, missed.ns / missed.n / 1000);
    await dropCaches('inodes');
    const found = await load(['hit', directory, String(files), 'f']);
    bench.record(hit(layers), target.name, found.ns / found.n / 1000);
  });
  for (const mounted of all) await mounted.unmount();
}

export const lookup: Workload = {
  name: 'lookup',
  title: 'lookup: names in a directory that every layer has',
  async run(bench) {
    for (const layers of depths) await measureDepth(bench, layers);
  },
};
