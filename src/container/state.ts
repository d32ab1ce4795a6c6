// What a container's record says of its state. Used by all that do something only to those that run, or only to others.

import type { ContainerRecord } from '../store/index.js';

/** Whether it has processes. */
export function isUp(record: ContainerRecord): boolean {
  return record.state.status === 'running' || record.state.status === 'paused';
}
