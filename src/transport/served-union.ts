// The union as a session's Filesystem: one place that knows both.

import type { Creation, Renaming } from '../abi/requests.js';
import type { NodeId } from '../native/mount.js';
import type { Filesystem, Owner } from '../session/filesystem.js';
import { create, link, make, tmpfile } from '../union/create.js';
import { readdir } from '../union/readdir.js';
import { rmdir, unlink } from '../union/remove.js';
import { rename } from '../union/rename.js';
import type { Union } from '../union/union.js';

export class ServedUnion implements Filesystem {
  constructor(private readonly union: Union) {}

  lookup(parent: NodeId, name: string): number {
    return this.union.lookup(parent, name);
  }
  make(parent: NodeId, what: Creation, owner: Owner): number {
    return make(this.union, parent, what, owner);
  }
  create(parent: NodeId, what: Creation, owner: Owner): number {
    return create(this.union, parent, what, owner);
  }
  tmpfile(parent: NodeId, what: Creation, owner: Owner): number {
    return tmpfile(this.union, parent, what, owner);
  }
  link(node: NodeId, parent: NodeId, name: string): number {
    return link(this.union, node, parent, name);
  }
  unlink(parent: NodeId, name: string): number {
    return unlink(this.union, parent, name);
  }
  rmdir(parent: NodeId, name: string): number {
    return rmdir(this.union, parent, name);
  }
  rename(parent: NodeId, args: Renaming): number {
    return rename(this.union, parent, args);
  }
  readdir(directory: NodeId, offset: bigint, size: number, plus: boolean): number {
    return readdir(this.union, directory, offset, size, plus);
  }
  copyUp(node: NodeId, length: bigint): number {
    return this.union.copyUp(node, length);
  }
  dropUntaken(): void {
    this.union.copies?.dropUntaken();
  }
  forget(directories: readonly NodeId[]): void {
    this.union.forget(directories);
  }
}
