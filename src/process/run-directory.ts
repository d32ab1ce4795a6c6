// Where lamina keeps what does not outlive the machine's run: records of mounts, sockets, copies in memory. Used by transport/,
// store/, engine/ and cli/.

import { join } from 'node:path';
import { isHostRoot, uidOutside } from '../native/host-root.js';

/** `LAMINA_RUN`, /run/lamina for root, else a directory of the user's own, also where he is root of a user namespace. */
export function runDirectory(): string {
  const { LAMINA_RUN: chosen, XDG_RUNTIME_DIR: runtime } = process.env;
  if (chosen) return chosen;
  if (isHostRoot()) return '/run/lamina';
  return runtime ? join(runtime, 'lamina') : `/tmp/lamina-${process.geteuid?.() || uidOutside()}`;
}
