// Paths that must stay below a directory, and may go up on the way.

import { errno } from '../abi/errno.js';
import { sys } from './load.js';

/** More than any rename of others takes: at a busy time one in a thousand tries fails. */
const MOST_TRIES = 10_000;

/**
 * openat2(2) below or in the directory `dirfd`. When a path, or a symlink on its way, goes up while anybody on the machine renames
 * something, the kernel cannot tell whether it has stayed inside, and says EAGAIN: it is tried again.
 * @param resolve a mask of `Resolve` with BENEATH or IN_ROOT
 * Returns an fd or -errno. Owns: the caller closes the fd.
 */
export function openInside(dirfd: number, path: string, flags: number, mode: number, resolve: number): number {
  let fd = -errno.EAGAIN;
  for (let tries = 0; fd === -errno.EAGAIN && tries < MOST_TRIES; tries++) fd = sys.openat2(dirfd, path, flags, mode, resolve);
  return fd;
}
