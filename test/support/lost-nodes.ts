// What a mount's server still knows once the kernel has forgotten all that it may: a node, an open file or an owner of
// locks that nobody will ever give back. Looked at before each unmount of Rig and Root, when nothing uses the mount.

import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { askStats } from '../../src/transport/control.js';
import { type MountRecord, isAlive } from '../../src/transport/registry.js';
import type { MountStats } from '../../src/native/mount.js';
import { type MountEntry, command, mountTable } from './command.js';
import { patient } from './patience.js';

/** FORGET is sent without waiting for its end. */
const LIMIT_MS = patient(5000);

function socketOf(run: string, target: string): string | undefined {
  for (const name of readdirSync(run)) {
    if (!name.endsWith('.json')) continue;
    try {
      const record = JSON.parse(readFileSync(join(run, name), 'utf8')) as MountRecord;
      if (record.target === target && isAlive(record)) return record.socket;
    } catch {
      // Its server has ended.
    }
  }
  return undefined;
}

/**
 * Nodes that stay: roots of mounts, and what mountpoints are made of. The union holds all of these for its routes; where one
 * lies in another route, the kernel holds that one's too.
 */
function nodesDue(mounts: readonly MountEntry[]): number {
  const ours = mounts.filter(({ type }) => type === 'fuse.lamina').map(({ point }) => point);
  const [target = ''] = ours;
  const steps = new Set<string>(ours);
  for (const { point } of mounts) {
    const around = ours.filter((each) => point.startsWith(`${each}/`)).at(-1) ?? target;
    for (const from of new Set([target, around])) {
      const words = relative(from, point).split('/').filter(Boolean);
      words.forEach((_, i) => steps.add(`${from}: ${words.slice(0, i + 1).join('/')}`));
    }
  }
  return steps.size;
}

function surplus({ nodes, handles, locks }: MountStats, due: number): string | undefined {
  const held = `${nodes} nodes instead of ${due}, ${handles} open files, ${locks} owners of locks`;
  return nodes > due || handles > 0 || locks > 0 ? held : undefined;
}

/**
 * What the server of the mount at `target` holds too much, after the last request; undefined when nothing, or when it
 * cannot be asked. `run`: its run directory. A remount is what makes the kernel drop the names of one filesystem.
 */
export async function lostNodes(run: string, target: string): Promise<string | undefined> {
  const mounts = mountTable().filter(({ point }) => point === target || point.startsWith(`${target}/`));
  const socket = mounts.length === 0 ? undefined : socketOf(run, target);
  if (socket === undefined) return undefined;
  const due = nodesDue(mounts);
  for (const end = Date.now() + LIMIT_MS; ;) {
    for (const { point, type, options } of mounts) {
      if (type === 'fuse.lamina') await command(['mount', '-i', '-o', `remount,${options}`, point], { limitMs: 5000 });
    }
    const stats = await askStats(socket).catch(() => undefined);
    const held = stats && surplus(stats, due);
    if (held === undefined || Date.now() > end) return held;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
