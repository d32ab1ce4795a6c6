// Single metadata operations, many times over: open and close of a cached file, create, unlink, a listing of a merged
// directory; in a union of 20 layers and on a volume by tier. The caches are warm, every target stays mounted.

import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import type { Bench, Case, Workload } from '../bench.js';
import { flatten, freshUpper, lookupStack } from '../fixtures.js';
import { settle } from '../host.js';
import { load } from '../load.js';
import { run } from '../process.js';
import { mount, volumeOf, type Stack, type Target } from '../targets.js';

type Place = 'union' | 'volume';

const layers = 20;
/** Files in the directory `d` of the union and of the volume. */
const files = 400;
const union = ['plain', 'overlay', 'fuse-overlayfs', 'unionfs-fuse', 'lamina'];
const volume = ['plain', 'bind', 'lamina-bind', 'lamina-passthrough', 'lamina-relay'];

interface Subject {
  target: Target;
  place: Place;
  directory: string;
}

function caseOf(place: Place, id: string, title: string, unit: string): Case {
  const versus = place === 'union' ? ['overlay', 'fuse-overlayfs'] : ['bind'];
  return { id: `${place}-${id}`, title: `${title}, ${place}`, unit, better: 'lower', cache: 'warm', versus };
}

async function mountAt(bench: Bench, target: Target, stack: Stack, place: Place): Promise<Subject> {
  const base = bench.directory();
  const at = join(base, 'm');
  const backing = target.command ? join(base, 'v') : at;
  mkdirSync(backing);
  if (place === 'volume' || !target.command) flatten(stack, backing);
  const mounted = await mount(bench.undo, target, { ...freshUpper(bench, stack), volume: backing }, at);
  bench.commands.set(target.name, mounted.command);
  return { target, place, directory: join(place === 'union' ? at : volumeOf(mounted), 'd') };
}

/** Creates, lists and unlinks once, comparing what a listing shows. */
async function check({ directory }: Subject): Promise<void> {
  const count = async (): Promise<number> => Number(await run(['sh', '-ec', 'ls -A | wc -l'], { cwd: directory }));
  const expect = async (step: string, wanted: number): Promise<void> => {
    const seen = await count();
    if (seen !== wanted) throw new Error(`${step}: ${seen} entries listed instead of ${wanted}`);
  };
  await expect('mounted', files);
  await load(['create', directory, '50', 'check']);
  await expect('create', files + 50);
  await load(['unlink', directory, '50', 'check']);
  await expect('unlink', files);
}

async function sample(bench: Bench, { target, place, directory }: Subject, series: number): Promise<void> {
  const count = String(bench.size(2000, 400));
  const record = (id: string, title: string, unit: string, microseconds: number): void =>
    bench.record(caseOf(place, id, title, unit), target.name, microseconds);
  await settle();
  const opened = await load(['openclose', join(directory, 'f7'), count]);
  record('open', 'open and close of a file', 'µs', opened.ns / opened.n / 1000);
  const created = await load(['create', directory, count, `new${series}-`]);
  record('create', 'create and close of an empty file', 'µs', created.ns / created.n / 1000);
  const unlinked = await load(['unlink', directory, count, `new${series}-`]);
  record('unlink', 'unlink', 'µs', unlinked.ns / unlinked.n / 1000);
  await load(['readdir', directory]);
  const listed = await load(['readdir', directory]);
  record('readdir', `listing of ${files} names`, 'µs', listed.ns / 1000);
}

export const ops: Workload = {
  name: 'ops',
  title: 'ops: single operations in a union of 20 layers and on a volume',
  async run(bench) {
    const stack = lookupStack(bench, layers, files / layers);
    const inUnion = await bench.each(bench.select(union), (target) => mountAt(bench, target, stack, 'union'));
    const onVolume = await bench.each(bench.select(volume), (target) => mountAt(bench, target, stack, 'volume'));
    const sound = await bench.checked([...inUnion, ...onVolume], check);
    let series = 0;
    await bench.interleave(bench.size(9, 3), sound, (subject) => sample(bench, subject, series++));
  },
};
