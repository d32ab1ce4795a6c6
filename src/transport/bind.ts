// The bind tier: kernel bind mounts over the mountpoints that the root holds for them.

import { join } from 'node:path';
import { MountError } from './layers.js';
import { runMount, runMountWithin, sealWithin } from './mount-command.js';
import type { RoutePlan } from './plan.js';

/**
 * Binds a route at `place` in `root`; a read-only one with all that is mounted below its source (Docker since 25).
 * Errors: MountError; what was bound by then stays for the caller to take off.
 */
export async function bindRoute(route: RoutePlan, root: string, place: string): Promise<void> {
  const complaint =
    (await runMountWithin(root, place, 'mount', ['--no-canonicalize', '--rbind', '--', route.source, '{}'])) ??
    (await sealWithin(root, place, route.readOnly));
  if (complaint !== undefined) throw new MountError(`cannot bind ${route.source} on ${join(root, place)}: ${complaint}`);
}

/**
 * Binds what is at `source`, taken as it is: a link of /proc that names an open file is not looked through. Resolves with
 * the complaint.
 */
export function bindPath(source: string, target: string): Promise<string | undefined> {
  return runMount('mount', ['--no-canonicalize', '--rbind', '--make-rprivate', '--', source, target]);
}
