// Taking names away from union directories. What a lower layer still has is hidden by a whiteout; what only upper has
// is removed. The replacement of an upper object by its whiteout is one rename.

import { errno } from '../abi/errno.js';
import { makeWhiteout, setOpaque, type XattrScheme } from '../layer/format.js';
import { sys } from '../native/load.js';
import { NodeFlag, type NodeId, type PlaceId } from '../native/mount.js';
import { Rename } from '../native/syscalls.js';
import { copyMetadata, openSource, type Source } from './copy-source.js';
import { copyUpEntry } from './copy-up.js';
import { type Entry, UPPER, type UnionDirectory, entryPlace, isDirectory, isWhiteout } from './directory.js';
import { buildIndex, dropFound, findDirectory, toDirectory } from './lookup.js';
import { refuseGoing, refusedByUpper } from './protection.js';
import type { Answer } from './stack.js';
import type { Union, WritableDirectory } from './union.js';

/** Marks the node of a lower object whose name went: its layer keeps it, the union does not. */
export function forgetLower(union: Union, place: PlaceId, name: string): void {
  const known = union.native.nodeAt(place, name);
  if (known > 0) union.native.setNodeFlags(known as NodeId, NodeFlag.removed, 0);
}

/** Records in the index what hides or no longer holds a name. */
export function noteRemoved(at: WritableDirectory, name: string, hidden: boolean): void {
  if (hidden) {
    at.index.setWhiteout(name, UPPER);
  } else {
    at.index.delete(name);
  }
}

export function unlink(union: Union, parent: NodeId, name: string): Answer {
  const refused = refuseGoing(union, parent, name);
  if (refused) return refused;
  const at = union.writableDirectory(parent);
  if (typeof at === 'number') return at;
  const entry = at.index.get(name);
  if (entry === undefined) return -errno.ENOENT;
  if (isDirectory(entry)) return -errno.EISDIR;
  const hide = at.index.shownByLower(name);
  const counted = entryPlace(entry) === UPPER ? 0 : countLinks(union, at, name, at.dir.place(entryPlace(entry)));
  if (counted) return counted;
  const current = at.index.get(name) ?? entry; // counting may have brought it to upper
  const error = entryPlace(current) === UPPER ? removeUpper(union, at, name, hide) : hideLower(union, at, name, current);
  if (!error) noteRemoved(at, name, hide);
  return error;
}

function hideLower(union: Union, at: WritableDirectory, name: string, entry: Entry): number {
  const place = at.dir.place(entryPlace(entry));
  const error = makeWhiteout(at.fd, name);
  if (!error) forgetLower(union, place, name);
  return error;
}

/**
 * One of several names of a lower file is about to go: it comes to upper, so that name and link go in one step.
 * 0 or -errno.
 */
export function countLinks(union: Union, at: WritableDirectory, name: string, place: PlaceId): number {
  const { links, native } = union;
  return links?.keyFor(native.placeFd(place), name) ? copyUpEntry(union, at.dir, at.fd, name, place) : 0;
}

function removeUpper(union: Union, at: WritableDirectory, name: string, hide: boolean): number {
  const { native, work } = union;
  if (!work) return -errno.EROFS;
  const node = native.keepBeforeUnlink(at.upper, name);
  if (node < 0) return node;
  const indexed = union.links?.keyOfUpper(at.fd, name);
  let error: number;
  if (!hide) {
    error = sys.unlinkat(at.fd, name, 0);
  } else {
    const temporary = work.freshName();
    error = makeWhiteout(work.fd, temporary) || sys.renameat2(work.fd, temporary, at.fd, name, 0);
    if (error) work.discard(temporary);
  }
  if (!error && node > 0) native.afterUnlink(node as NodeId, at.upper, name);
  if (!error) union.links?.settle(indexed);
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
function removeUpperDirectory(union: Union, at: WritableDirectory, name: string, hide: boolean): number {
  const { native, work } = union;
  if (!work) return -errno.EROFS;
  const node = native.keepBeforeUnlink(at.upper, name);
  if (node < 0) return node;
  const temporary = work.freshName();
  let error = hide ? makeWhiteout(work.fd, temporary) : 0;
  error ||= sys.renameat2(at.fd, name, work.fd, temporary, hide ? Rename.EXCHANGE : 0);
  work.discard(temporary);
  if (!error && node > 0) native.afterUnlink(node as NodeId, at.upper, name);
  return error;
}

/** The union's own view of a child directory, which ends when the name goes. */
export function viewOf(union: Union, place: PlaceId, name: string): UnionDirectory | undefined {
  const known = union.native.nodeAt(place, name);
  if (known <= 0 || !union.isRegistered(known as NodeId)) return undefined;
  const dir = union.directory(known as NodeId);
  return typeof dir === 'number' ? undefined : dir;
}

/** ENOTEMPTY for a directory with names in it, 0 for anything else; nothing is copied up to find out. */
export function refuseFull(union: Union, parent: NodeId, name: string): number {
  if (!union.writable) return -errno.EROFS;
  const dir = union.directory(parent);
  const index = typeof dir === 'number' ? dir : union.index(dir);
  if (typeof dir === 'number' || typeof index === 'number') return 0;
  const entry = index.get(name);
  if (entry === undefined || !isDirectory(entry)) return 0;
  const empty = isEmpty(union, dir, name, entry);
  return empty === true ? 0 : empty === false ? refusedByUpper(union, parent, name, -errno.ENOTEMPTY) : empty;
}

export function rmdir(union: Union, parent: NodeId, name: string): Answer {
  const refused = refuseGoing(union, parent, name) || refuseFull(union, parent, name);
  if (refused) return refused;
  const at = union.writableDirectory(parent);
  if (typeof at === 'number') return at;
  const entry = at.index.get(name);
  if (entry === undefined) return -errno.ENOENT;
  if (!isDirectory(entry)) return -errno.ENOTDIR;
  const hide = at.index.shownByLower(name);
  const inUpper = entryPlace(entry) === UPPER;
  const view = viewOf(union, at.dir.place(entryPlace(entry)), name);
  const error = inUpper ? removeUpperDirectory(union, at, name, hide) : hideLower(union, at, name, entry);
  if (error) return error;
  if (view) view.removed = true;
  noteRemoved(at, name, hide);
  return error;
}

/** Makes an empty opaque directory that looks like `source`. */
export function buildEmpty(workFd: number, temporary: string, source: Source, scheme: XattrScheme): number {
  return sys.mkdirat(workFd, temporary, 0o700) || copyMetadata(source, workFd, temporary) || setOpaque(workFd, temporary, scheme);
}

/**
 * Puts an empty directory of the same kind, opaque, in the place of an upper one that shows nothing, so that a rename
 * can replace it. In one step: whiteouts in an opaque directory would be names to kernel overlayfs. 0 or -errno.
 */
export function clearDirectory(union: Union, at: WritableDirectory, name: string): number {
  const { native, work } = union;
  if (!work) return -errno.EROFS;
  const source = openSource(at.fd, name);
  if (typeof source === 'number') return source;
  const view = viewOf(union, at.upper, name);
  const temporary = work.freshName();
  const error =
    buildEmpty(work.fd, temporary, source, union.stack.scheme) || sys.renameat2(work.fd, temporary, at.fd, name, Rename.EXCHANGE);
  const node = error ? 0 : native.nodeAt(work.place, temporary);
  work.discard(temporary);
  if (node > 0) native.settleOnUpper(node as NodeId, at.upper, name, NodeFlag.writable, NodeFlag.merged);
  if (view && !error) view.becomeEmpty(native, native.placeOfNode(view.id));
  return error;
}
