// What a session serves: the namespace decisions of one mount. The union implements it; nothing here knows how.
// Every op answers with the length of the payload it wrote at the start of the reply buffer, or -errno, and raises the
// lookup count of each node it enters by one. PARKED instead: it is called again when what it waits for has ended.

import type { Creation, Renaming } from '../abi/requests.js';
import type { NodeId } from '../native/mount.js';

/** Identity for a creation. */
export interface Owner {
  uid: number;
  gid: number;
  /** A further group of the caller's that owns the directory, or gid. */
  group: number;
  umask: number;
}

export interface Filesystem {
  /** An entry, or the cacheable absence of one. */
  lookup(parent: NodeId, name: string): number;
  /** MKDIR, MKNOD, SYMLINK. Errors: EEXIST, EROFS, EINVAL for names of the layer format, what upper says. */
  make(parent: NodeId, what: Creation, owner: Owner): number;
  /** CREATE: entry and open answer. */
  create(parent: NodeId, what: Creation, owner: Owner): number;
  /** TMPFILE: entry and open answer. */
  tmpfile(parent: NodeId, what: Creation, owner: Owner): number;
  link(node: NodeId, parent: NodeId, name: string): number;
  unlink(parent: NodeId, name: string): number;
  rmdir(parent: NodeId, name: string): number;
  rename(parent: NodeId, args: Renaming): number;
  readdir(directory: NodeId, offset: bigint, size: number, plus: boolean): number;
  /** Makes a node writable. `length` < 0: with all its data. */
  copyUp(node: NodeId, length: bigint): number;
  /** Requests that waited for work beside the loop have been answered: what none of them took is dropped. */
  dropUntaken(): void;
  /** The kernel no longer knows these directories. */
  forget(directories: readonly NodeId[]): void;
}
