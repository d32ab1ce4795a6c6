// Taking names away from union directories. What a lower layer still has is hidden by a whiteout; what only upper has
// is removed. The replacement of an upper object by its whiteout is one rename.

import { errno } from '../abi/errno.js';
import { makeWhiteout } from '../layer/format.js';
import { sys } from '../native/load.js';
import { NodeFlag, type NodeId, type PlaceId } from '../native/mount.js';
import { Open, Rename } from '../native/syscalls.js';
import { type Entry, UPPER, type UnionDirectory, entryPlace, isDirectory, isWhiteout } from './directory.js';
import { buildIndex, dropFound, findDirectory, shownByLower, toDirectory } from './lookup.js';
import type { Answer } from './stack.js';
import type { Union } from './union.js';

type Writable = Exclude<ReturnType<Union['writableDirectory']>, number>;

/** Marks the node of a lower object whose name went: its layer keeps it, the union does not. */
export function forgetLower(union: Union, dir: UnionDirectory, place: PlaceId, name: string): void {
  const known = union.native.nodeAt(dir.id, place, name);
  if (known > 0) union.native.setNodeFlags(known as NodeId, NodeFlag.removed, 0);
}

/** Records in the index what hides or no longer holds a name. */
export function noteRemoved(at: Writable, name: string, hidden: boolean): void {
  if (hidden) {
    at.index.setWhiteout(name, UPPER);
  } else {
    at.index.delete(name);
  }
}

export function unlink(union: Union, parent: NodeId, name: string): Answer {
  const at = union.writableDirectory(parent);
  if (typeof at === 'number') return at;
  const entry = at.index.get(name);
  if (entry === undefined) return -errno.ENOENT;
  if (isDirectory(entry)) return -errno.EISDIR;
  const hide = shownByLower(union.native, at.dir, name);
  const error = entryPlace(entry) === UPPER ? removeUpper(union, at, name, hide) : hideLower(union, at, name, entry);
  if (!error) noteRemoved(at, name, hide);
  return error;
}

function hideLower(union: Union, at: Writable, name: string, entry: Entry): number {
  const error = makeWhiteout(at.fd, name);
  if (!error) forgetLower(union, at.dir, at.dir.place(entryPlace(entry)), name);
  return error;
}

function removeUpper(union: Union, at: Writable, name: string, hide: boolean): number {
  const { native, work } = union;
  if (!work) return -errno.EROFS;
  const node = native.keepBeforeUnlink(at.upper, name);
  let error: number;
  if (!hide) {
    error = sys.unlinkat(at.fd, name, 0);
  } else {
    const temporary = work.freshName();
    error = makeWhiteout(work.fd, temporary) || sys.renameat2(work.fd, temporary, at.fd, name, 0);
    if (error) work.discard(temporary);
  }
  if (!error && node > 0) native.afterUnlink(node as NodeId, at.upper, name);
  return error;
}

/** Whether a directory shows no names; -errno when a layer cannot be read. */
export function isEmpty(union: Union, dir: UnionDirectory, name: string, entry: Entry): boolean | number {
  const found = findDirectory(union.native, union.stack, dir, name, entry);
  const child = toDirectory(0 as NodeId, found);
  const index = buildIndex(union.native, child);
  dropFound(union.native, found);
  if (typeof index === 'number') return index;
  for (const each of index.entries.values()) if (!isWhiteout(each)) return false;
  return true;
}

/** Takes an upper directory that shows nothing out of the way, with the whiteouts in it. */
function removeUpperDirectory(union: Union, at: Writable, name: string, hide: boolean): number {
  const { native, work } = union;
  if (!work) return -errno.EROFS;
  const node = native.keepBeforeUnlink(at.upper, name);
  const temporary = work.freshName();
  let error = hide ? makeWhiteout(work.fd, temporary) : 0;
  error ||= sys.renameat2(at.fd, name, work.fd, temporary, hide ? Rename.EXCHANGE : 0);
  work.discard(temporary);
  if (!error && node > 0) native.afterUnlink(node as NodeId, at.upper, name);
  return error;
}

/** The union's own view of a child directory ends with it. */
export function retire(union: Union, parent: UnionDirectory, place: PlaceId, name: string): void {
  const known = union.native.nodeAt(parent.id, place, name);
  if (known <= 0 || !union.isRegistered(known as NodeId)) return;
  const dir = union.directory(known as NodeId);
  if (typeof dir !== 'number') dir.removed = true;
}

export function rmdir(union: Union, parent: NodeId, name: string): Answer {
  const at = union.writableDirectory(parent);
  if (typeof at === 'number') return at;
  const entry = at.index.get(name);
  if (entry === undefined) return -errno.ENOENT;
  if (!isDirectory(entry)) return -errno.ENOTDIR;
  const empty = isEmpty(union, at.dir, name, entry);
  if (empty !== true) return empty === false ? -errno.ENOTEMPTY : empty;
  const hide = shownByLower(union.native, at.dir, name);
  const inUpper = entryPlace(entry) === UPPER;
  retire(union, at.dir, at.dir.place(entryPlace(entry)), name);
  const error = inUpper ? removeUpperDirectory(union, at, name, hide) : hideLower(union, at, name, entry);
  if (!error) noteRemoved(at, name, hide);
  return error;
}

/** Deletes the whiteouts in an upper directory that shows nothing, so that a rename can replace it. */
export function clearWhiteouts(dirfd: number, name: string): number {
  const fd = sys.openat2(dirfd, name, Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
  if (fd < 0) return fd;
  const listing = sys.readdir(fd);
  let error = typeof listing === 'number' ? listing : 0;
  if (typeof listing !== 'number') {
    for (const each of listing.names) error ||= sys.unlinkat(fd, each, 0);
  }
  sys.close(fd);
  return error;
}
