// A directory with very many names: all is found, time for each stays near that of kernel overlayfs, and memory comes back
// when the kernel forgets. LAMINA_HUGE_NAMES=1000000 is the long form; its figures are in docs/conformance.md.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { command, mustCommand, waitFor } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

const NAMES = Number(process.env['LAMINA_HUGE_NAMES'] ?? 3_000);
const LIMIT_MS = 120_000 + NAMES * 2;
const MIB = 1024;
// AddressSanitizer keeps what is freed for a while, and what surrounds it for ever.
const ROOM = (process.env['LAMINA_SANITIZED'] === '1' ? 400 : 100) * MIB;

type Steps = Record<string, number>;

async function work(directory: string): Promise<Steps> {
  const program = join(checkout, 'test', 'support', 'huge_directory.py');
  return JSON.parse(await mustCommand(['python3', program, directory, String(NAMES)], { limitMs: LIMIT_MS })) as Steps;
}

/** Resident KiB of a process, now and at most. */
function memory(pid: number): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]);
  return { now: field('VmRSS'), most: field('VmHWM') };
}

async function fill(root: Root): Promise<void> {
  mkdirSync(root.path('lower', 'big'));
  const make = `import sys\nfor i in range(${NAMES}): open(f"{sys.argv[1]}/f{i}", "x").close()`;
  await mustCommand(['python3', '-c', make, root.path('lower', 'big')], { limitMs: LIMIT_MS });
}

async function onOverlay(root: Root): Promise<Steps> {
  for (const name of ['ou', 'ow', 'om']) mkdirSync(root.path(name));
  const options = `lowerdir=${root.path('lower')},upperdir=${root.path('ou')},workdir=${root.path('ow')}`;
  await mustCommand(['mount', '-t', 'overlay', 'overlay', '-o', options, root.path('om')]);
  const steps = await work(root.path('om', 'big'));
  await mustCommand(['umount', root.path('om')]);
  return steps;
}

void t.test('a huge directory', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  const root = new Root();
  t.teardown(() => root.dispose());
  await fill(root);
  const overlay = await onOverlay(root);
  await root.mount();
  const [pid = 0] = root.servers();
  const before = memory(pid).now;
  const lamina = await work(join(root.target, 'big'));
  for (const [step, time] of Object.entries(lamina)) t.comment(`${step}: ${time} us, kernel overlayfs ${overlay[step] ?? 0} us`);
  t.ok((lamina['list'] ?? 0) < 1000 && (lamina['create'] ?? 0) < 5000, 'no step takes longer the more there is');

  const nodes = async (): Promise<number> =>
    (JSON.parse((await root.lamina('stats', '--json', root.target)).stdout) as { nodes: number }).nodes;
  await waitFor('the nodes to go', async () => {
    await command(['sh', '-c', 'echo 2 > /proc/sys/vm/drop_caches']);
    return (await nodes()) < 12;
  });
  const { now, most } = memory(pid);
  t.comment(`server: ${before} KiB at first, ${most} at most, ${now} after the kernel forgot`);
  t.ok(most - before < ROOM + NAMES * 1.2, `${most - before} KiB more at most`);
  t.ok(now - before < ROOM + NAMES * 0.1, `${now - before} KiB are kept`);
  await root.umount();
  return undefined;
});
