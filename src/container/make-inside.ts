// Directories made in a container's root, as a path of the container names them: no symlink leads out of it. Runs in the process
// that reads and writes roots (archive-child.ts).

import { errno } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { Mode, Open, Resolve, STAT_WORDS, Stat } from '../native/syscalls.js';
import { type ScopedTree, type Step, resolveDestination } from '../volume/destination.js';

const stat = new BigInt64Array(STAT_WORDS);

const enter = (directory: number, name: string): number =>
  sys.openat2(directory, name, Open.PATH | Open.DIRECTORY | Open.NOFOLLOW, 0, Resolve.BENEATH);

/** The fds are left to the end of the process. */
function stepIn(directory: number, name: string): Step<number> {
  if (sys.statx(directory, name, stat) !== 0) return { kind: 'missing' };
  const type = Number(stat[Stat.mode]) & Mode.FMT;
  if (type === Mode.LNK) {
    const target = sys.readlinkat(directory, name);
    return typeof target === 'number' ? { kind: 'missing' } : { kind: 'symlink', target };
  }
  const fd = type === Mode.DIR ? enter(directory, name) : -errno.ENOTDIR;
  return fd < 0 ? { kind: 'file' } : { kind: 'directory', directory: fd };
}

/** Makes the directory `path` (bytes) below `root` and what is missing on the way: root's, 0755. 0 or -errno. */
export function makeInside(root: number, path: string): number {
  const tree: ScopedTree<number> = { root, step: stepIn };
  const found = resolveDestination(tree, path);
  if (typeof found === 'string' || found.found === 'file') return -errno.ENOTDIR;
  if (found.found === 'directory') return 0;
  const umask = sys.umask(0);
  try {
    let at = found.parent;
    for (const name of found.names) {
      const error = sys.mkdirat(at, name, 0o755);
      if (error) return error;
      at = enter(at, name);
      if (at < 0) return at;
    }
    return 0;
  } finally {
    sys.umask(umask);
  }
}
