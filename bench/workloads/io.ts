// Reads and writes of a file that is already open: in the union (a file of upper, a file of a lower layer) and on a
// volume by tier. Warm page cache, buffered writes; every target stays mounted throughout.

import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Case, Workload } from '../bench.js';
import { emptyStack, freshUpper } from '../fixtures.js';
import { settle } from '../host.js';
import { load } from '../load.js';
import { run } from '../process.js';
import { mount, volumeOf, type Target } from '../targets.js';

type Kind = 'seqread' | 'seqwrite' | 'randread' | 'randwrite';
type Place = 'upper' | 'lower' | 'volume';

const kinds: Record<Kind, { title: string; unit: string; block: number }> = {
  seqread: { title: 'Sequential reads, 128 KiB', unit: 'MiB/s', block: 131072 },
  seqwrite: { title: 'Sequential writes, 128 KiB', unit: 'MiB/s', block: 131072 },
  randread: { title: 'Random reads, 4 KiB', unit: 'thousand/s', block: 4096 },
  randwrite: { title: 'Random writes, 4 KiB', unit: 'thousand/s', block: 4096 },
};

const places: Record<Place, { title: string; versus: string[]; kinds: Kind[] }> = {
  upper: {
    title: 'union, upper file',
    versus: ['overlay', 'fuse-overlayfs'],
    kinds: ['seqread', 'seqwrite', 'randread', 'randwrite'],
  },
  lower: { title: 'union, lower file', versus: ['overlay', 'fuse-overlayfs'], kinds: ['seqread', 'randread'] },
  volume: { title: 'volume', versus: ['bind'], kinds: ['seqread', 'seqwrite', 'randread', 'randwrite'] },
};

function caseOf(place: Place, kind: Kind): Case {
  const { title, unit } = kinds[kind];
  return {
    id: `${place}-${kind}`,
    title: `${title}, ${places[place].title}`,
    unit,
    better: 'higher',
    cache: 'warm',
    versus: places[place].versus,
  };
}

/** A file of one target, as the load sees it and where its bytes must end up. */
interface Subject {
  target: Target;
  place: Place;
  file: string;
  backing: string;
}

const size = (bench: Bench): number => bench.size(256, 64) * 2 ** 20;
const lowerSeed = '7';

/** Fills, overwrites parts, and compares every byte through the mount and on the backing file. */
async function check(bench: Bench, subject: Subject): Promise<void> {
  const bytes = String(size(bench));
  if (subject.place === 'lower') {
    await load(['verify', subject.file, bytes, lowerSeed]);
    return;
  }
  const blocks = ['4096', '500'];
  await load(['fill', subject.file, bytes, '1']);
  await load(['scribble', subject.file, bytes, '2', ...blocks]);
  await load(['verify', subject.file, bytes, '1', '2', ...blocks]);
  await load(['verify', subject.backing, bytes, '1', '2', ...blocks]);
}

async function unionSubjects(bench: Bench, template: string): Promise<Subject[]> {
  const pristine = emptyStack(bench, 3);
  copyFileSync(template, join(pristine.lowers[2] ?? '', 'low'));
  const chosen = bench.select(['plain', 'overlay', 'fuse-overlayfs', 'unionfs-fuse', 'lamina']);
  const subjects = await bench.each(chosen, async (target): Promise<Subject[]> => {
    const stack = freshUpper(bench, pristine);
    const mounted = await mount(bench.undo, target, stack, join(bench.directory(), 'm'));
    bench.commands.set(target.name, mounted.command);
    const own = target.command ? stack.upper : mounted.path;
    if (!target.command) copyFileSync(template, join(mounted.path, 'low'));
    const [up, low] = [join(mounted.path, 'up'), join(mounted.path, 'low')];
    return [
      { target, place: 'upper', file: up, backing: join(own, 'up') },
      { target, place: 'lower', file: low, backing: low },
    ];
  });
  return subjects.flat();
}

async function volumeSubject(bench: Bench, target: Target): Promise<Subject> {
  const base = bench.directory();
  const at = join(base, 'm');
  const volume = target.command ? join(base, 'v') : at;
  mkdirSync(volume);
  const mounted = await mount(bench.undo, target, { ...emptyStack(bench, 3), volume }, at);
  bench.commands.set(target.name, mounted.command);
  return { target, place: 'volume', file: join(volumeOf(mounted), 'data'), backing: join(volume, 'data') };
}

async function sample(bench: Bench, { target, place, file }: Subject, kind: Kind): Promise<void> {
  const { unit, block } = kinds[kind];
  await settle();
  const { n, ns } = await load([kind, file, String(size(bench)), String(block), String(bench.size(600, 150))]);
  const perSecond = n / (ns / 1e9);
  bench.record(caseOf(place, kind), target.name, unit === 'MiB/s' ? (perSecond * block) / 2 ** 20 : perSecond / 1000);
}

export const io: Workload = {
  name: 'io',
  title: 'io: an open file, in the union and on a volume',
  async run(bench) {
    const template = join(bench.directory(), 'template');
    await load(['fill', template, String(size(bench)), lowerSeed]);
    const volumes = bench.select(['plain', 'bind', 'lamina-bind', 'lamina-passthrough', 'lamina-relay']);
    const made = [
      ...(await unionSubjects(bench, template)),
      ...(await bench.each(volumes, (target) => volumeSubject(bench, target))),
    ];
    await run(['rm', template]);
    const subjects = await bench.checked(made, (subject) => check(bench, subject));
    const work = (['upper', 'lower', 'volume'] as const).flatMap((place) =>
      places[place].kinds.flatMap((kind) =>
        subjects.filter((subject) => subject.place === place).map((subject) => ({ ...subject, kind })),
      ),
    );
    await bench.interleave(bench.size(7, 2), work, (subject) => sample(bench, subject, subject.kind));
  },
};
