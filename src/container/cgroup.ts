// Where a container's processes are in the cgroup tree. Used by oci-spec.ts and memory.ts.

import { posix } from 'node:path';
import type { ContainerRecord } from '../store/index.js';

const PARENT = '/lamina';

/** `--cgroup-parent` is taken from the tree's root, whether it begins with a slash or not. */
export function cgroupPath(record: ContainerRecord): string {
  return posix.join('/', record.hostConfig.CgroupParent || PARENT, record.id);
}
