// The bind tier: kernel bind mounts over the mountpoints that the root holds for them.

import { readMountinfo } from './check.js';
import { MountError } from './layers.js';
import { runMount } from './mount-command.js';
import type { RoutePlan } from './plan.js';

/** Binds a route at `target`. Errors: MountError; what was bound by then stays for the caller to take off. */
export async function bindRoute(route: RoutePlan, target: string): Promise<void> {
  const bound = await runMount('mount', ['--rbind', '--make-rprivate', '--', route.source, target]);
  if (bound !== undefined) throw new MountError(`cannot bind ${route.source} on ${target}: ${bound}`);
  if (!route.readOnly) return;
  // A read-only bind covers the mounts below its source too (Docker since 25).
  const below = readMountinfo()
    .map((mount) => mount.mountpoint)
    .filter((path) => path === target || path.startsWith(`${target}/`));
  for (const path of below) {
    const sealed = await runMount('mount', ['-o', 'remount,bind,ro', '--', path]);
    if (sealed !== undefined) throw new MountError(`cannot make ${path} read-only: ${sealed}`);
  }
}

/**
 * Binds what is at `source`, taken as it is: a link of /proc that names an open file is not looked through. Resolves with
 * the complaint.
 */
export function bindPath(source: string, target: string): Promise<string | undefined> {
  return runMount('mount', ['--no-canonicalize', '--rbind', '--make-rprivate', '--', source, target]);
}
