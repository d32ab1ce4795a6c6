// A route as a mount of its own: its root is the backing directory or file, and the native side answers everything below
// it. What a session would decide for a union never comes up here.

import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { type NativeMount, NodeFlag } from '../native/mount.js';
import { AT_FDCWD, Open } from '../native/syscalls.js';
import type { Filesystem } from '../session/filesystem.js';
import { MountError } from './layers.js';
import type { RoutePlan } from './plan.js';

const never = (): number => -errno.EIO;

export const SERVED_ROUTE: Filesystem = {
  lookup: never,
  make: never,
  create: never,
  tmpfile: never,
  link: never,
  unlink: never,
  rmdir: never,
  rename: never,
  readdir: never,
  copyUp: () => -errno.EROFS,
  dropUntaken: () => undefined,
  forget: () => undefined,
};

/** Makes nodeid 1 of a route's mount. Errors: MountError. */
export function makeRouteRoot(native: NativeMount, route: RoutePlan): void {
  const fd = sys.openat2(AT_FDCWD, Buffer.from(route.source).toString('latin1'), Open.PATH, 0, 0);
  if (fd < 0) throw new MountError(`volume source ${route.source}: ${errnoText(fd)}`);
  const mode = route.readOnly ? NodeFlag.readOnly : NodeFlag.writable;
  const place = native.addRoot(fd, NodeFlag.route | mode | (route.tier === 'relay' ? NodeFlag.relay : 0));
  native.makeRootNode(place, 0);
}
