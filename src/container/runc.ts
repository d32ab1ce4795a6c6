// The OCI runtime's command line: global arguments, and the short calls on a container that exists. Its state is kept
// beside the bundles of one data root, so that several engines live side by side.

import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { aloneProgram } from '../native/load.js';
import { procStat } from '../native/proc-stat.js';
import type { ContainerRecord, HostConfig } from '../store/index.js';
import { conflict } from './errors.js';

/** Milliseconds for a call that should take a few dozen. */
const LIMIT = 30_000;

/** Where runc keeps its state; `bundle` is <run>/<container>. */
export function runcArguments(bundle: string): string[] {
  return ['--root', join(dirname(bundle), 'runc')];
}

/** A call of runc that failed; its words. */
export class RuncError extends Error {
  override readonly name = 'RuncError';
}

/** Whether a process is no more, or waits only to be asked how it ended. */
function hasEnded(pid: number): boolean {
  return /^[ZX]/.test(procStat(pid)?.state ?? 'X');
}

/** Errors: 409 when the container has ended, which is not on record yet, and RuncError. */
export async function whileItRuns(record: ContainerRecord, work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (error instanceof RuncError && hasEnded(record.state.pid)) throw conflict(`container ${record.id} is not running`);
    throw error;
  });
}

/** Runs `runc ARGS` for the container of a bundle, with its stdio alone of what is open here. Errors: RuncError. */
export function runc(bundle: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      aloneProgram(),
      ['3', '0', 'runc', ...runcArguments(bundle), ...args],
      { timeout: LIMIT, killSignal: 'SIGKILL', maxBuffer: 16 << 20, cwd: dirname(bundle) },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        const text = /msg="?(.*?)"?$/m.exec(stderr.trim())?.[1] ?? (stderr.trim() || error.message);
        reject(new RuncError(text));
      },
    );
  });
}

/** Ends whatever runs in the container and takes away its cgroups; one that is unknown is no error. */
export async function deleteContainer(bundle: string, id: string): Promise<void> {
  await runc(bundle, ['delete', '--force', id]);
}

/** Applies new limits to a running container. Errors: RuncError. */
export async function updateLimits(bundle: string, id: string, change: HostConfig): Promise<void> {
  const limits: Readonly<Record<string, number | string | null | undefined>> = {
    memory: change.Memory,
    'memory-swap': change.MemorySwap,
    'memory-reservation': change.MemoryReservation,
    'cpu-share': change.CpuShares,
    'cpu-period': change.CpuPeriod ?? (change.NanoCpus ? 100_000 : undefined),
    'cpu-quota': change.CpuQuota ?? (change.NanoCpus ? Math.round(change.NanoCpus / 1e4) : undefined),
    'cpuset-cpus': change.CpusetCpus,
    'cpuset-mems': change.CpusetMems,
    // runc's word for no limit; nothing is what it would leave as it is.
    'pids-limit': change.PidsLimit === 0 ? -1 : change.PidsLimit,
    'blkio-weight': change.BlkioWeight,
    'cpu-rt-period': change.CpuRealtimePeriod,
    'cpu-rt-runtime': change.CpuRealtimeRuntime,
  };
  const args = Object.entries(limits).flatMap(([name, value]) => (value ? [`--${name}`, String(value)] : []));
  if (args.length > 0) await runc(bundle, ['update', ...args, id]);
}
