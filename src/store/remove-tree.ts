// Removes a directory tree of any depth, with names that are not UTF-8 and directories without permissions.
// Used for unpacked layers and unfinished work.

import { chmodSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';

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

function list(dir: Buffer): { name: Buffer; directory: boolean }[] {
  try {
    return readdirSync(dir, { withFileTypes: true, encoding: 'buffer' }).map((entry) => ({
      // With encoding 'buffer' the name is a Buffer, which the types of Dirent do not say.
      name: entry.name,
      directory: entry.isDirectory(),
    }));
  } catch (error) {
    if (code(error) === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Removes `top` and all below it; nothing happens when it is absent. Subdirectories are first moved to just below
 * `top`, so no path outgrows PATH_MAX and no depth exhausts stack or descriptors. Another process may do the same at once.
 */
export function removeTree(top: string): void {
  const base = Buffer.from(`${top}/`);
  const queue: Buffer[] = [Buffer.from(top)];
  let moved = 0;
  for (let dir = queue.pop(); dir; dir = queue.pop()) {
    const here = dir;
    unless(['ENOENT', 'EPERM', 'ENOTDIR'], () => chmodSync(here, 0o700));
    for (const { name, directory } of list(here)) {
      const path = Buffer.concat([here, Buffer.from('/'), name]);
      if (!directory) {
        unless(['ENOENT'], () => unlinkSync(path));
        continue;
      }
      const target = Buffer.concat([base, Buffer.from(`.removed-${process.pid}-${moved++}`)]);
      unless(['ENOENT', 'EPERM'], () => chmodSync(path, 0o700));
      unless(['ENOENT'], () => renameSync(path, target));
      queue.push(target);
    }
    if (here.length >= base.length) unless(['ENOENT', 'ENOTEMPTY'], () => rmdirSync(here));
  }
  unless(['ENOENT'], () => rmdirSync(top));
}
