// Puts each route on its mountpoint in a mounted root and takes them off again: the bind tier by the kernel, the others as
// FUSE mounts of their own, so that the kernel keeps a route's cache, locks and boundary apart from the union's, and a
// backing that hangs stalls nobody else.

import { stat, statfs } from 'node:fs/promises';
import { bindRoute } from './bind.js';
import { mountpointsBelow } from './check.js';
import { mountFuseBelow } from './fuse-device.js';
import { MountError } from './layers.js';
import { unmountWithin } from './mount-command.js';
import type { MountPlan, RoutePlan } from './plan.js';
import type { Serving, ServingWorker } from './serving-worker.js';

/** Filesystems that wait for another machine or another process (statfs(2), linux/magic.h and their own headers). */
const MAY_HANG = new Set([
  0x65735546, // FUSE
  0x6969, // NFS
  0xff534d42, // CIFS
  0xfe534d42, // SMB2
  0x517b, // SMB
  0x00c36400, // Ceph
  0x01021997, // 9P
  0x5346414f, // AFS
  0x73757245, // Coda
  0x0bd00bd0, // Lustre
  0x7461636f, // OCFS2
  0x01161970, // GFS2
]);

/** Whether calls on the backing may wait without end. */
async function mayHang(source: string): Promise<boolean> {
  return MAY_HANG.has((await statfs(source)).type >>> 0);
}

/** Gives the worker that serves a route: everybody's, or one of its own. */
export type WorkerFor = (ownThread: boolean) => ServingWorker;

async function serveRoute(plan: MountPlan, route: RoutePlan, path: string, workerFor: WorkerFor): Promise<Serving> {
  const directory = (await stat(route.source)).isDirectory();
  const ownThread = await mayHang(route.source);
  const { source, readOnly } = route;
  const options = { source, allowOther: true, readOnly, suidDev: true, flags: plan.flags, directory };
  // A thread only for what is mounted: it ends with its last mount.
  const fuseFd = await mountFuseBelow(plan.target, path, options);
  const serving = workerFor(ownThread).serve(fuseFd, { route, posixAcl: plan.posixAcl });
  try {
    await serving.ready;
  } catch (error) {
    serving.drop();
    throw error;
  }
  return serving;
}

/**
 * Mounts the routes of `plan` at `paths` in its root, in order.
 * Returns those that we serve. Errors: MountError, and then some may be mounted: unmountBelow takes them off.
 */
export async function mountRoutes(plan: MountPlan, paths: readonly string[], workerFor: WorkerFor): Promise<Serving[]> {
  const served: Serving[] = [];
  if (!plan.mountRoutes) return served;
  for (const [i, route] of plan.routes.entries()) {
    const path = paths[i] ?? '';
    if (route.tier === 'bind') await bindRoute(route, plan.target, path);
    else served.push(await serveRoute(plan, route, path, workerFor));
  }
  return served;
}

/** Takes off whatever is mounted below `target`, newest first. Errors: MountError when something is busy. */
export async function unmountBelow(target: string): Promise<void> {
  for (const path of mountpointsBelow(target)) {
    const complaint = await unmountWithin(target, path.slice(target.length));
    if (complaint !== undefined) throw new MountError(`${target}: ${complaint}`);
  }
}
