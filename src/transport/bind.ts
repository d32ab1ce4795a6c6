// The bind tier: kernel bind mounts over the mountpoints that the union holds for them. Done by mount(8) in child
// processes, since the process that serves a mount must not walk into it.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { readMountinfo } from './check.js';
import { MountError } from './layers.js';
import type { RoutePlan } from './plan.js';

/** Milliseconds after which a mount command is taken for hung. */
const LIMIT = 20_000;

/** Runs a mount command; its complaint, or undefined on success. */
function run(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: LIMIT });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) => resolve(code === 0 ? undefined : complaint.trim() || `${command} failed`));
  });
}

async function bindOne(route: RoutePlan, target: string): Promise<void> {
  const bound = await run('mount', ['--rbind', '--make-rprivate', '--', route.source, target]);
  if (bound !== undefined) throw new MountError(`cannot bind ${route.source} on ${target}: ${bound}`);
  if (!route.readOnly) return;
  // A read-only bind covers the mounts below its source too (Docker since 25).
  const below = readMountinfo()
    .map((mount) => mount.mountpoint)
    .filter((path) => path === target || path.startsWith(`${target}/`));
  for (const path of below) {
    const sealed = await run('mount', ['-o', 'remount,bind,ro', '--', path]);
    if (sealed !== undefined) throw new MountError(`cannot make ${path} read-only: ${sealed}`);
  }
}

/**
 * Binds what is at `source`, taken as it is: a link of /proc that names an open file is not looked through. Resolves with
 * the complaint.
 */
export function bindPath(source: string, target: string): Promise<string | undefined> {
  return run('mount', ['--no-canonicalize', '--rbind', '--make-rprivate', '--', source, target]);
}

/** Binds every bind-tier route at its path in the mounted root, in order. Undoes all of them on failure. */
export async function bindRoutes(target: string, routes: readonly RoutePlan[], paths: readonly string[]): Promise<void> {
  const done: string[] = [];
  try {
    for (const [i, route] of routes.entries()) {
      if (route.tier !== 'bind') continue;
      const path = join(target, paths[i] ?? '');
      done.push(path);
      await bindOne(route, path);
    }
  } catch (error) {
    for (const path of done.reverse()) await run('umount', ['-R', '--', path]);
    throw error;
  }
}

/** Takes off whatever is mounted below `target`, newest first. Errors: MountError when something is busy. */
export async function unbindBelow(target: string): Promise<void> {
  const below = readMountinfo()
    .map((mount) => mount.mountpoint)
    .filter((path) => path.startsWith(`${target}/`));
  for (const path of below.reverse()) {
    const complaint = await run('umount', ['--', path]);
    if (complaint !== undefined) throw new MountError(complaint);
  }
}
