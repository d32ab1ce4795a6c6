// laminafs as a library: mount a container root from a Node program.

import { planMount, type MountRequest, type RouteRequest } from './transport/check.js';
import { MountServer, type ServedMount } from './transport/server.js';

export type { MountRequest, RouteRequest, ServedMount };
export type { MountStats } from './native/mount.js';
export type { Bypass, MountPlan, RoutePlan } from './transport/plan.js';
export { MountError } from './transport/layers.js';

/** A mounted root. The program that holds it serves it: never touch the mountpoint with synchronous calls from here. */
export interface Mount extends ServedMount {
  /** Unmounts and ends the serving worker. `lazy` detaches a busy mount. */
  unmount(lazy?: boolean): Promise<void>;
}

/**
 * Mounts a union of layers, with routes that bypass it, and serves it from a worker thread of this process.
 * @param request target, lowers (topmost first), upper and work for a writable root, routes
 * Errors: MountError that names the thing, the cause and the next step; nothing stays mounted then.
 */
export async function mount(request: MountRequest): Promise<Mount> {
  const server = new MountServer((message) => process.emitWarning(message, 'lamina'));
  try {
    const served = await server.mount(planMount(request));
    void served.ended.then(() => server.close());
    return served;
  } catch (error) {
    await server.close();
    throw error;
  }
}
