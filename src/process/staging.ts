// Unfinished work on disk: directories <owner>.<random> in a place for such. The name tells who owns it, so that whoever
// comes next can remove what a dead process left. Used by the store, by downloads and by volumes.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { procStat } from '../native/proc-stat.js';
import { removeNow } from './remove-tree.js';

interface Owner {
  /** First eight digits of the boot id: pids and start times repeat after a boot. */
  readonly boot: string;
  /** Inode of the pid namespace: a pid of another one says nothing here. */
  readonly namespace: string;
  readonly pid: string;
  /** Clock ticks since boot, field 22 of /proc/pid/stat. */
  readonly started: string;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
}

function self(): Owner {
  const pid = String(process.pid);
  return { boot: bootId(), namespace: pidNamespace(), pid, started: procStat(pid)?.started ?? '0' };
}

function isGone(name: string, here: Owner): boolean {
  const [boot, namespace, pid, started] = name.split('.');
  if (!boot || !namespace || !pid || !started) return true;
  if (boot !== here.boot) return true;
  return namespace === here.namespace && procStat(pid)?.started !== started;
}

/** Makes a private directory under `tmp` in this process's name. Owns: the caller removes it with `removeTree`. */
export function makeStaging(tmp: string): string {
  const { boot, namespace, pid, started } = self();
  const path = join(tmp, [boot, namespace, pid, started, randomBytes(6).toString('hex')].join('.'));
  mkdirSync(path, { mode: 0o700 });
  return path;
}

/** Names of the directories under `tmp` whose owner no longer runs, and of whatever else is there. */
export function abandonedStaging(tmp: string): string[] {
  const here = self();
  return readdirSync(tmp).filter((name) => isGone(name, here));
}

/** Removes, here and now, every directory under `tmp` whose owner no longer runs. */
export function sweepStaging(tmp: string): void {
  for (const name of abandonedStaging(tmp)) removeNow(join(tmp, name));
}
