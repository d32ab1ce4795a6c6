// Whether this process is root where it counts: root of a user namespace (rootless podman's, `unshare -r`) may mount, but owns
// neither /run nor /var, and is refused trusted attributes, device nodes and files of others.

import { readFileSync } from 'node:fs';

/** Who root of this user namespace is outside of it; 0 in the first one, and where /proc does not say. */
export function uidOutside(): number {
  try {
    const [, outside] = /^\s*0\s+(\d+)\s/m.exec(readFileSync('/proc/self/uid_map', 'latin1')) ?? [];
    return Number(outside ?? 0);
  } catch {
    return 0;
  }
}

/** Root of the first user namespace. */
export function isHostRoot(): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
  } catch {
    return true;
  }
}
