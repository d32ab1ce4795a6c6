// What is mounted, for other processes: a record per mount in the run directory, written when it is usable, removed when
// it ends. A record whose process is gone is dropped by whoever reads it.

import { readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeChosenDirectory } from '../native/make-directories.js';
import { procStat } from '../native/proc-stat.js';
import { runDirectory } from '../process/run-directory.js';
import type { RoutePlan } from './plan.js';
import type { ServedMount } from './server.js';

export interface MountRecord {
  target: string;
  pid: number;
  /** Start time of the process in clock ticks since boot: a pid alone may be someone else's by now. */
  started: string;
  image: string | undefined;
  lowers: string[];
  upper: string | undefined;
  work: string | undefined;
  routes: RoutePlan[];
  /** ISO 8601. */
  mountedAt: string;
  /** Control socket of the server. */
  socket: string;
}

/** Undefined when there is no such process, or it only waits to be asked how it ended. */
function startTime(pid: number): string | undefined {
  const stat = procStat(pid);
  return stat?.state === 'Z' ? undefined : stat?.started;
}

/** Publishes a live mount; returns the record and its path. */
export function writeRecord(mount: ServedMount, image: string | undefined): { record: MountRecord; path: string } {
  const directory = runDirectory();
  makeChosenDirectory(directory, 0o700, 'LAMINA_RUN');
  const base = join(directory, `${process.pid}-${Buffer.from(mount.plan.target).toString('hex').slice(-40)}`);
  const { target, lowers, upper, work, routes } = mount.plan;
  const record: MountRecord = {
    target,
    lowers,
    upper,
    work,
    routes,
    image,
    pid: process.pid,
    started: startTime(process.pid) ?? '',
    mountedAt: new Date().toISOString(),
    socket: `${base}.sock`,
  };
  writeFileSync(`${base}.tmp`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${base}.tmp`, `${base}.json`);
  return { record, path: `${base}.json` };
}

/** Whether the server of a record still runs. */
export function isAlive(record: MountRecord): boolean {
  return startTime(record.pid) === record.started;
}

export function removeRecord(path: string): void {
  rmSync(path, { force: true });
  rmSync(path.replace(/json$/, 'sock'), { force: true });
}

/** Records of mounts whose server lives; others are dropped from disk. */
export function readRecords(): MountRecord[] {
  let names: string[];
  try {
    names = readdirSync(runDirectory());
  } catch {
    return [];
  }
  const records: MountRecord[] = [];
  // What a server that was killed had not yet, or no longer, a record of.
  for (const name of names) {
    const pid = /^(\d+)-[0-9a-f]*\.(?:sock|tmp)$/.exec(name)?.[1];
    if (pid !== undefined && startTime(Number(pid)) === undefined) rmSync(join(runDirectory(), name), { force: true });
  }
  for (const name of names.filter((each) => each.endsWith('.json')).sort()) {
    const path = join(runDirectory(), name);
    try {
      const record = JSON.parse(readFileSync(path, 'utf8')) as MountRecord;
      if (isAlive(record)) records.push(record);
      else removeRecord(path);
    } catch {
      // Removed by its server between our listing and reading it.
    }
  }
  return records;
}
