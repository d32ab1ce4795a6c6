// kill -9 of the process that does long work for the daemon, and of the daemon while it does: volumes and images have all of
// their new content or what they had before, nothing is left, and the work can be done again.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { procStat } from '../../src/native/proc-stat.js';
import { signal, waitFor } from '../support/command.js';
import { makeDataImage } from '../support/data-image.js';
import { EngineAudit } from '../support/engine-audit.js';
import { call, mustCall } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';

const FILES = 3000;
const rig = new EngineRig();
const audit = new EngineAudit(rig);
let tar: Buffer;
let other: Buffer;
let seed: readonly string[] = [];

const must = (method: string, path: string, body?: unknown): Promise<unknown> => mustCall(rig.socket, method, path, body);
const may = (method: string, path: string): Promise<unknown> => call(rig.socket, method, path);

t.setTimeout(900_000);
t.teardown(() => rig.end());
t.before(async () => {
  const image = makeDataImage('large', FILES, (i) => [String(i), `${i}\n`]);
  tar = image.data;
  await rig.start();
  await must('POST', '/images/load', image.archive);
  seed = readdirSync(rig.path('data', 'layers'));
  other = makeDataImage('other', FILES, (i) => [String(i), `other ${i}\n`]).archive;
});

const filesIn = (path: string): number | undefined =>
  existsSync(path) ? readdirSync(path, { recursive: true }).length : undefined;
const volumeFiles = (volume: string) => (): number | undefined => filesIn(rig.path('data', 'volumes', volume, '_data'));
const [vol, twin] = [volumeFiles('vol'), volumeFiles('twin')];
/** In layers that are not the image's that everything begins from. */
const layerFiles = (): number | undefined => {
  const layers = rig.path('data', 'layers');
  return readdirSync(layers)
    .filter((key) => !seed.includes(key))
    .map((key) => filesIn(join(layers, key, 'diff')) ?? 0)
    .reduce<number | undefined>((sum, count) => (sum ?? 0) + count, undefined);
};
const container = { Image: 'large', Cmd: ['true'], HostConfig: { NetworkMode: 'none', Binds: ['vol:/data'] } };
const small = (): Promise<unknown> => must('POST', '/volumes/create', { Name: 'vol' });
const imported = (): Promise<unknown> => must('POST', '/volumes/vol/import', tar);

async function written(): Promise<void> {
  await must('POST', '/containers/create?name=cc', { ...container, HostConfig: { NetworkMode: 'none' } });
  await must('PUT', '/containers/cc/archive?path=/data', tar);
}

interface Work {
  readonly name: string;
  readonly before?: () => Promise<unknown>;
  readonly act: () => Promise<unknown>;
  /** Files of what the work is about, before and after it. */
  readonly count: () => number | undefined;
  readonly files: readonly [before: number | undefined, after: number | undefined];
  /** When the process is killed that does it, another does the rest. */
  readonly goesOn?: boolean;
}

const works: readonly Work[] = [
  {
    name: 'the fill of a new volume',
    act: () => must('POST', '/containers/create?name=cc', container),
    count: vol,
    files: [undefined, FILES],
  },
  {
    name: 'the fill of one that was empty',
    before: small,
    act: () => must('POST', '/containers/create?name=cc', container),
    count: vol,
    files: [0, FILES],
  },
  { name: 'import of a new one', act: imported, count: vol, files: [undefined, FILES] },
  { name: 'import over another', before: small, act: imported, count: vol, files: [0, FILES] },
  {
    name: 'clone',
    before: imported,
    act: () => must('POST', '/volumes/vol/clone', { Name: 'twin' }),
    count: twin,
    files: [undefined, FILES],
  },
  { name: 'load', act: () => must('POST', '/images/load', other), count: layerFiles, files: [undefined, FILES + 1] },
  {
    name: 'import of an image',
    act: () => must('POST', '/images/create?fromSrc=-&repo=other', tar),
    count: layerFiles,
    files: [undefined, FILES],
  },
  {
    name: 'commit',
    before: written,
    act: () => must('POST', '/commit?container=cc&repo=other'),
    count: layerFiles,
    files: [undefined, FILES + 1],
  },
  {
    name: 'removal of a volume',
    before: imported,
    act: () => must('DELETE', '/volumes/vol?force=1'),
    count: vol,
    files: [FILES, undefined],
    goesOn: true,
  },
  {
    name: 'removal of a container that has written much',
    before: written,
    act: () => must('DELETE', '/containers/cc?force=1'),
    count: vol,
    files: [undefined, undefined],
    goesOn: true,
  },
];

/** The process that works for the daemon, stopped after so many ticks of the processor. */
async function stopped(ticks: number): Promise<number> {
  const isWorking = (pid: number): boolean => {
    try {
      return /\/\w+-child\.js\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
    } catch {
      return false;
    }
  };
  let found = -1;
  await waitFor('a process to do it', () => (found = rig.processes().find(isWorking) ?? -1) > 0);
  await waitFor('it to be in the middle', () => (procStat(found)?.spent ?? 0) >= ticks);
  process.kill(found, 'SIGSTOP');
  return found;
}

const isGone = (pid: number): boolean => /^[ZX]/.test(procStat(String(pid))?.state ?? 'X');

async function cut(t: Test, { name, before, act, count, files, goesOn }: Work, victim: string, ticks: number): Promise<void> {
  const what = `${victim}, ${name}, after ${ticks} ticks`;
  await before?.();
  t.equal(count(), files[0], what);
  const outcome = act().then(
    () => 'done',
    () => 'failed',
  );
  const child = await stopped(ticks);
  process.kill(victim === 'daemon' ? (rig.pid('daemon') ?? 0) : child, 'SIGKILL');
  // It dies without going on; unless it was stopped before the kernel knew whom it ends with.
  if (ticks === 0) signal(child, 'SIGCONT');
  await waitFor('the process to end', () => isGone(child));
  if (victim === 'daemon') {
    await rig.kill();
    await rig.start();
  }
  t.equal(await outcome, goesOn && victim !== 'daemon' ? 'done' : 'failed', what);
  t.same(await audit.run(), [], `${what}: nothing is left`);
  if (!goesOn) {
    // A named volume that was made for a container stays when the daemon dies.
    t.equal(count() ?? 0, files[0] ?? 0, `${what}: nothing of it is there`);
    await act();
  }
  t.equal(count(), files[1], `${what}: done in the end`);
  for (const path of ['containers/cc', 'volumes/vol', 'volumes/twin', 'images/other']) await may('DELETE', `/${path}?force=1`);
  t.same(await audit.run(), [], what);
}

for (const victim of ['the process', 'daemon']) {
  for (const work of works) {
    void t.test(`killed: ${victim}, in ${work.name}`, { timeout: 300_000 }, async (t) => {
      // A removal may take less than 90 ms of the processor, of which 40 are Node's start.
      const middle = work.goesOn ? 6 : 9;
      for (const ticks of work.count === twin ? [0, middle] : [middle]) await cut(t, work, victim, ticks);
    });
  }
}
