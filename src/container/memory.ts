// Whether the kernel killed something in a container for want of memory: read from its cgroup before that goes.

import { readFileSync } from 'node:fs';

const COUNTERS: readonly string[] = [
  '/sys/fs/cgroup/memory/lamina/ID/memory.oom_control',
  '/sys/fs/cgroup/lamina/ID/memory.events',
];

export function wasKilledForMemory(id: string): boolean {
  return COUNTERS.some((path) => {
    try {
      return /^oom_kill [1-9]/m.test(readFileSync(path.replace('ID', id), 'latin1'));
    } catch {
      return false;
    }
  });
}
