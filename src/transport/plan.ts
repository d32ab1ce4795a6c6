// What a mount is made of, checked and resolved: the message from the process that mounts to the worker that serves.

import type { XattrScheme } from '../layer/format.js';

/** How a route's bytes travel. `auto` picks the best that is allowed. */
export type Bypass = 'auto' | 'bind' | 'passthrough' | 'relay';

export interface RoutePlan {
  /** Backing directory or file on the host. */
  source: string;
  /** Absolute path in the root; symlinks are resolved inside it. */
  destination: string;
  readOnly: boolean;
  tier: Exclude<Bypass, 'auto'>;
}

/** How owners on disk are shown; see the native MountOptions. */
export interface IdMapping {
  uidMap: number[];
  gidMap: number[];
  squashUid?: number;
  squashGid?: number;
}

export interface MountPlan {
  /** Mountpoint, absolute and free of symlinks. */
  target: string;
  /** What the mount table and df name as its source. */
  source: string;
  /** Options of the mount that the kernel keeps by itself: `nosuid`, `noexec`, ... */
  flags: string[];
  /** Topmost first, absolute. */
  lowers: string[];
  upper: string | undefined;
  work: string | undefined;
  /** Shallow first. */
  routes: RoutePlan[];
  /**
   * Each route is a mount of its own. Not without root: fusermount3 runs with root's effective uid and so cannot walk into
   * a user's mount (Linux: fuse_permissible_uidgid), and the union's mount serves the routes too.
   */
  mountRoutes: boolean;
  /** The union refuses every write, though mountpoints may have been made in upper before. */
  readOnly: boolean;
  scheme: XattrScheme;
  volatile: boolean;
  /** Data of union files in the kernel; false relays it. */
  passthrough: boolean;
  /** Seconds the kernel may trust names and attributes of the union. */
  timeout: number;
  posixAcl: boolean;
  ids: IdMapping;
}
