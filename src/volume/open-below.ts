// Opening and removing below a directory fd, at any depth, never through a symlink. Used by the copying of trees.

import { randomBytes } from 'node:crypto';
import { errno } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { AT_REMOVEDIR, DirentType, Open, Rename, Resolve } from '../native/syscalls.js';

const INSIDE = Resolve.BENEATH | Resolve.NO_SYMLINKS;
/** Bytes of a path that one call can take (PATH_MAX is 4096 with the end). */
const LONGEST = 4000;

/** Opens `path` below `dirfd` ('' is the directory itself) without following a symlink anywhere. An fd or -errno. */
export function openBelow(dirfd: number, path: string, flags: number): number {
  let at = dirfd;
  let rest = path;
  while (rest.length > LONGEST) {
    const cut = rest.lastIndexOf('/', LONGEST);
    if (cut <= 0) return -errno.ENAMETOOLONG;
    const next = sys.openat2(at, rest.slice(0, cut), Open.PATH | Open.DIRECTORY, 0, INSIDE);
    if (at !== dirfd) sys.close(at);
    if (next < 0) return next;
    at = next;
    rest = rest.slice(cut + 1);
  }
  const fd = sys.openat2(at, rest || '.', flags | Open.NOFOLLOW, 0, INSIDE);
  if (at !== dirfd) sys.close(at);
  return fd;
}

/** Empties one directory: files are removed, subdirectories moved up to `top` and listed in `moved`, so that depth is no matter. */
function emptyInto(top: number, dir: number, moved: string[]): number {
  const listing = sys.readdir(dir);
  if (typeof listing === 'number') return listing;
  for (const [i, name] of listing.names.entries()) {
    let error = listing.types[i] === DirentType.DIR ? -errno.EISDIR : sys.unlinkat(dir, name, 0);
    if (error === -errno.EISDIR) {
      const target = `.removed.${randomBytes(8).toString('hex')}`;
      sys.fchmodat(dir, name, 0o700);
      error = sys.renameat2(dir, name, top, target, Rename.NOREPLACE);
      if (!error) moved.push(target);
    }
    if (error && error !== -errno.ENOENT) return error;
  }
  return 0;
}

/** Removes the directory `name` of `dirfd` with all below it; an absent one is fine. 0 or -errno. */
export function removeBelow(dirfd: number, name: string): number {
  sys.fchmodat(dirfd, name, 0o700);
  const top = openBelow(dirfd, name, Open.RDONLY | Open.DIRECTORY);
  if (top < 0) return top === -errno.ENOENT ? 0 : top;
  const moved: string[] = [];
  let error = emptyInto(top, top, moved);
  for (let child = moved.pop(); !error && child !== undefined; child = moved.pop()) {
    const fd = openBelow(top, child, Open.RDONLY | Open.DIRECTORY);
    error = fd < 0 ? fd : emptyInto(top, fd, moved);
    if (fd >= 0) sys.close(fd);
    error ||= sys.unlinkat(top, child, AT_REMOVEDIR);
  }
  sys.close(top);
  return error || sys.unlinkat(dirfd, name, AT_REMOVEDIR);
}
