// The machine under the bench: quiet or busy, cold or warm, and its description for the result files.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { program, root } from './load.js';
import { killGroup, pause, run, start, until } from './process.js';
import type { Action, Undo } from './undo.js';

export type Host = 'quiet' | 'busy';
export const hosts: readonly Host[] = ['quiet', 'busy'];

const autogroup = '/proc/sys/kernel/sched_autogroup_enabled';

/**
 * Calls `startAll` with the scheduler's autogroups off. Within an autogroup (a session of its own) SCHED_IDLE is idle only
 * towards its own group, and the group takes half the core; a process forked with autogroups off stays outside of them.
 */
function outsideAutogroups<T>(startAll: () => T): T {
  if (!existsSync(autogroup)) return startAll();
  const before = readFileSync(autogroup, 'latin1');
  writeFileSync(autogroup, '0');
  try {
    return startAll();
  } finally {
    writeFileSync(autogroup, before);
  }
}

/** Keeps every core busy with one idle-priority (SCHED_IDLE) loop each; the returned action ends them. */
export async function makeBusy(undo: Undo): Promise<Action> {
  const loops = outsideAutogroups(() => cpus().map((_, cpu) => start([program, 'spin', String(cpu)])));
  const stop = undo.push(async () => {
    for (const loop of loops) killGroup(loop);
    await until('idle-priority loops end', () => loops.every((loop) => loop.exitCode !== null || loop.signalCode !== null));
  });
  await Promise.all(
    loops.map(
      (loop) =>
        new Promise<void>((resolve, reject) => {
          loop.stdout?.once('data', () => resolve());
          loop.once('exit', () => reject(new Error('an idle-priority loop ended early: SCHED_IDLE or pinning refused')));
        }),
    ),
  );
  return stop;
}

function cpuTicks(): { idle: number; all: number } {
  const ticks = (readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '').trim().split(/\s+/).slice(1, 9).map(Number);
  return { idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), all: ticks.reduce((sum, value) => sum + value, 0) };
}

/** The share of processor time that was idle over one second: near 1 on a quiet host. */
export async function idleShare(): Promise<number> {
  const before = cpuTicks();
  await pause(1000);
  const after = cpuTicks();
  return (after.idle - before.idle) / (after.all - before.all);
}

/** Writes dirty data out, so that one sample does not pay for the previous one. */
export async function settle(): Promise<void> {
  await run(['sync']);
}

/** Writes dirty data out and drops caches: 'all' page cache, dentries and inodes; 'inodes' only the latter two. */
export async function dropCaches(what: 'all' | 'inodes'): Promise<void> {
  await run(['sh', '-ec', `sync; echo ${what === 'all' ? 3 : 2} >/proc/sys/vm/drop_caches`]);
}

/** File system type and mount options of the one that holds `path`. */
export function describeFilesystem(path: string): Promise<string> {
  return tryRun(['findmnt', '-no', 'FSTYPE,OPTIONS', '--target', path]);
}

async function tryRun(command: readonly string[]): Promise<string> {
  return run(command).then(
    (out) => out.trim().split('\n')[0] ?? '',
    () => '',
  );
}

export interface Machine {
  commit: string;
  dirty: boolean;
  date: string;
  kernel: string;
  node: string;
  cpus: number;
  cpu: string;
  memoryGiB: number;
  filesystem: string;
  loadAverage: string;
  versions: Record<string, string>;
}

/** What a reader needs to judge or repeat the figures. `scratch` is where layers and uppers lie. */
export async function describeMachine(scratch: string): Promise<Machine> {
  return {
    commit: await tryRun(['git', '-C', root, 'rev-parse', 'HEAD']),
    dirty:
      (await tryRun(['git', '-C', root, 'status', '--porcelain', '--', 'native', 'src', 'bench/*.ts', 'bench/load.cc'])) !== '',
    date: new Date().toISOString(),
    kernel: release(),
    node: process.version,
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? '',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    filesystem: await describeFilesystem(scratch),
    loadAverage: readFileSync('/proc/loadavg', 'latin1').trim(),
    versions: {
      'fuse-overlayfs': await tryRun(['sh', '-c', 'fuse-overlayfs --version | grep ^fuse-overlayfs']),
      'unionfs-fuse': await tryRun(['sh', '-c', 'unionfs --version 2>&1 | grep ^unionfs-fuse']),
      tar: await tryRun(['tar', '--version']),
      git: await tryRun(['git', '--version']),
    },
  };
}
