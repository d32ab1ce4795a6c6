// Which children of this process Node waits for. The supervisor also reaps what came to it from others: it must leave these
// alone, for who finds its child reaped by somebody else waits for its end for ever. Used by transport/ and container/.

import type { ChildProcess } from 'node:child_process';

export const ownChildren = new Set<number>();

/** Notes a child that has just been spawned, until Node has heard of its end. */
export function own<T extends ChildProcess>(child: T): T {
  const { pid } = child;
  if (pid !== undefined) {
    ownChildren.add(pid);
    child.once('exit', () => ownChildren.delete(pid));
  }
  return child;
}
