// The price of having a mount: the time until it is usable, its server's idle processor time, and its memory while
// the kernel knows many files and after it forgot them.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Case, Workload } from '../bench.js';
import { emptyStack, freshUpper } from '../fixtures.js';
import { dropCaches } from '../host.js';
import { load } from '../load.js';
import { killGroup, pause, run, start, until } from '../process.js';
import { cpuTime, residentBytes } from '../server.js';
import { adopt, logOf, mount, type Mounted, type Stack, type Target } from '../targets.js';

const layers = 50;
const lower = { better: 'lower', cache: 'warm' } as const;
const absent = { better: 'lower', cache: 'not applicable' } as const;

const cases = {
  usable: {
    id: 'mount-usable',
    title: `Mount of ${layers} layers: start of the command to the first stat in the target`,
    unit: 'ms',
    ...lower,
    versus: ['node', 'fuse-overlayfs'],
  },
  returned: {
    id: 'mount-returned',
    title: `Mount of ${layers} layers: start of the command to its exit`,
    unit: 'ms',
    ...lower,
    versus: ['node', 'fuse-overlayfs'],
  },
  idle: {
    id: 'idle-cpu',
    title: 'Processor time of an idle server, after work',
    unit: 'ms per s',
    ...absent,
    versus: [],
  },
  fresh: { id: 'rss-mounted', title: 'Memory of the server just mounted', unit: 'MB', ...absent, versus: [] },
  perNode: {
    id: 'rss-per-node',
    title: 'Memory of the server per file the kernel knows',
    unit: 'bytes',
    ...absent,
    versus: [],
  },
  forgotten: {
    id: 'rss-forgotten',
    title: 'Memory of the server after the kernel forgot the files',
    unit: 'MB',
    ...absent,
    versus: [],
  },
} satisfies Record<string, Case>;

/** The yardstick of starting: `node -e 0`. */
const node: Target = { name: 'node', needs: [] };

/** The yardstick of memory. */
const bare: Target = { name: 'node+worker', needs: [] };

/** One way to start: a target's mount command, or `node -e 0` as the yardstick. */
async function timeMount(bench: Bench, target: Target, stack: Stack, record: boolean): Promise<void> {
  if (target === node) {
    const { ns } = await load(['run', process.execPath, '-e', '0']);
    if (!record) return;
    bench.record(cases.usable, 'node', ns / 1e6);
    bench.record(cases.returned, 'node', ns / 1e6);
    return;
  }
  const own = freshUpper(bench, stack);
  const at = join(bench.directory(), 'm');
  mkdirSync(at);
  const unmount = adopt(bench.undo, at);
  const command = target.command?.(own, at) ?? [];
  const { ns, exit_ns: exit } = await load(['mounttime', join(at, 'bottom'), ...command], { log: logOf(at) });
  bench.commands.set(target.name, command);
  await unmount();
  if (!record) return;
  bench.record(cases.usable, target.name, ns / 1e6);
  bench.record(cases.returned, target.name, (exit ?? ns) / 1e6);
}

async function measureMounting(bench: Bench): Promise<void> {
  const stack = emptyStack(bench, layers);
  writeFileSync(join(stack.lowers[layers - 1] ?? '', 'bottom'), 'x');
  const subjects: Target[] = [node, ...bench.select(['overlay', 'fuse-overlayfs', 'unionfs-fuse', 'lamina'])];
  const sound = await bench.checked(subjects, (subject) => timeMount(bench, subject, stack, false));
  await bench.interleave(bench.size(9, 3), sound, (subject) => timeMount(bench, subject, stack, true));
}

/** Resident bytes once they have stopped changing: two equal readings (within 64 KiB) 250 ms apart. */
async function settledRss(pid: number): Promise<number> {
  let last = -1;
  await until(
    `memory of process ${pid} settles`,
    () => {
      const steady = Math.abs(residentBytes(pid) - last) < 65536;
      last = residentBytes(pid);
      return steady;
    },
    15_000,
    250,
  );
  return last;
}

/** Resident bytes of a Node process that has one idle worker and nothing else: what lamina stands on. */
async function bareNode(): Promise<number> {
  const script = `const w=new (require('worker_threads').Worker)("setInterval(()=>{},1e8);require('worker_threads').parentPort.postMessage(0)",{eval:true});w.on('message',()=>console.log('up'))`;
  const child = start([process.execPath, '-e', script]);
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('exit', () => reject(new Error('the bare node process ended early')));
    });
    return await settledRss(child.pid ?? 0);
  } finally {
    killGroup(child);
  }
}

interface Crowd {
  stack: Stack;
  /** Files and directories that a find meets. */
  nodes: number;
}

async function crowd(bench: Bench): Promise<Crowd> {
  const [directories, files] = bench.size([1000, 100], [200, 50]);
  bench.progress(`making ${directories * files} files`);
  const stack = emptyStack(bench, 2);
  await load(['mkfiles', stack.lowers[1] ?? '', String(directories), String(files)]);
  return { stack, nodes: directories * (files + 1) };
}

async function expectCount(mounted: Mounted, nodes: number): Promise<void> {
  const seen = Number(await run(['sh', '-ec', 'find . -mindepth 1 -printf "%s %i\\n" | wc -l'], { cwd: mounted.path }));
  if (seen !== nodes) throw new Error(`${mounted.target.name}: find met ${seen} entries instead of ${nodes}`);
}

/** V8 gives memory back once, some 8 s after work, in some tens of ms (--gc-memory-reducer-start-delay-ms). */
const V8_TIDIES = 12_000;

async function idleShare(bench: Bench, pid: number): Promise<number> {
  const window = bench.size(5000, 2000);
  await pause(V8_TIDIES);
  const before = cpuTime(pid);
  await pause(window);
  return (cpuTime(pid) - before) / 1e6 / (window / 1000);
}

async function measureServer(bench: Bench, target: Target, { stack, nodes }: Crowd): Promise<void> {
  if (target === bare) {
    const bytes = await bareNode();
    bench.record(cases.fresh, target.name, bytes / 1e6);
    bench.record(cases.forgotten, target.name, bytes / 1e6);
    return;
  }
  await dropCaches('inodes');
  const mounted = await mount(bench.undo, target, freshUpper(bench, stack), join(bench.directory(), 'm'));
  const { server } = mounted;
  if (server === undefined) throw new Error(`${target.name}: no process found that serves ${mounted.path}`);
  await run(['stat', mounted.path]);
  const fresh = await settledRss(server);
  await expectCount(mounted, nodes);
  const full = await settledRss(server);
  bench.record(cases.idle, target.name, await idleShare(bench, server));
  await dropCaches('inodes');
  const forgotten = await settledRss(server);
  bench.record(cases.fresh, target.name, fresh / 1e6);
  bench.record(cases.perNode, target.name, (full - fresh) / nodes);
  bench.record(cases.forgotten, target.name, forgotten / 1e6);
  await mounted.unmount();
}

export const mounting: Workload = {
  name: 'mount',
  title: 'mount: time to mount, idle server, memory',
  async run(bench) {
    await measureMounting(bench);
    const served = bench.select(['fuse-overlayfs', 'unionfs-fuse', 'lamina']);
    if (served.length === 0) return;
    const many = await crowd(bench);
    await bench.interleave(bench.size(5, 1), [bare, ...served], (target) => measureServer(bench, target, many));
  },
};
