// Whether the kernel killed something in a container for want of memory: read from its cgroup before that goes.

import { readFileSync } from 'node:fs';
import type { ContainerRecord } from '../store/index.js';
import { cgroupPath } from './cgroup.js';

export function wasKilledForMemory(record: ContainerRecord): boolean {
  const path = cgroupPath(record);
  const counters = [`/sys/fs/cgroup/memory${path}/memory.oom_control`, `/sys/fs/cgroup${path}/memory.events`];
  return counters.some((counter) => {
    try {
      return /^oom_kill [1-9]/m.test(readFileSync(counter, 'latin1'));
    } catch {
      return false;
    }
  });
}
