// Removes a directory tree of any depth, with names that are not UTF-8 and directories without permissions: a small one here and
// now, a large one in a process of its own. Used for whatever the data root no longer needs.

import { randomBytes } from 'node:crypto';
import { type Dir, chmodSync, lstatSync, opendirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ApartDied, runApart } from './apart.js';
import { FEW, weight } from './few.js';

/** Of disk that are given back in the time of a file's removal: a filesystem takes its time over large ones. */
const BYTES = 1 << 20;

function code(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function unless(allowed: readonly string[], run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!allowed.includes(code(error) ?? '')) throw error;
  }
}

interface Entry {
  name: Buffer;
  directory: boolean;
}

/** At most one entry more than `most`. */
function list(dir: Buffer, most: number): Entry[] {
  const entries: Entry[] = [];
  let opened: Dir;
  try {
    // With encoding 'buffer' names are Buffers, which the types do not say.
    opened = opendirSync(dir, { encoding: 'buffer' as BufferEncoding });
  } catch (error) {
    if (code(error) === 'ENOENT') return entries;
    throw error;
  }
  try {
    for (let entry = opened.readSync(); entry && entries.length <= most; entry = opened.readSync())
      entries.push({ name: entry.name as unknown as Buffer, directory: entry.isDirectory() });
  } finally {
    opened.closeSync();
  }
  return entries;
}

/** How much of what may be removed in place a file takes. */
function weightOf(path: Buffer): number {
  return weight(lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0, BYTES);
}

/**
 * Removes `top` and all below it; nothing happens when it is absent. Subdirectories are first moved to just below
 * `top`, so no path outgrows PATH_MAX and no depth exhausts stack or descriptors. Another process may do the same at once.
 * Stops after `most` entries or so. Returns whether all of it is gone.
 */
export function removeNow(top: string, most = Infinity): boolean {
  const base = Buffer.from(`${top}/`);
  const queue: Buffer[] = [Buffer.from(top)];
  // What an earlier try has left has other names.
  const mark = randomBytes(4).toString('hex');
  let moved = 0;
  let left = most;
  for (let dir = queue.pop(); dir; dir = queue.pop()) {
    const here = dir;
    unless(['ENOENT', 'EPERM', 'ENOTDIR'], () => chmodSync(here, 0o700));
    const entries = list(here, left);
    if (entries.length > left) return false;
    for (const { name, directory } of entries) {
      const path = Buffer.concat([here, Buffer.from('/'), name]);
      left -= directory || most === Infinity ? 1 : weightOf(path);
      if (left < 0) return false;
      if (!directory) {
        unless(['ENOENT'], () => unlinkSync(path));
        continue;
      }
      const target = Buffer.concat([base, Buffer.from(`.removed-${mark}-${moved++}`)]);
      unless(['ENOENT', 'EPERM'], () => chmodSync(path, 0o700));
      unless(['ENOENT'], () => renameSync(path, target));
      queue.push(target);
    }
    if (here.length >= base.length) unless(['ENOENT', 'ENOTEMPTY'], () => rmdirSync(here));
  }
  unless(['ENOENT'], () => rmdirSync(top));
  return true;
}

/** Removes `top` and all below it without keeping others waiting; an absent one is fine. */
export async function removeTree(top: string): Promise<void> {
  if (removeNow(top, FEW)) return;
  const remove = (): Promise<void> => runApart(join(__dirname, 'remove-child.js'), top);
  // One that was killed has not failed: there is less to do for the next.
  await remove().catch((error: unknown) => (error instanceof ApartDied ? remove() : Promise.reject(error as Error)));
}
