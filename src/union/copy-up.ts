// Copy-up: an object of a lower layer comes to exist on upper with its content and metadata, before its first change.
// Built in work/, published by one rename; a reader of upper never sees half of it.

import { errno } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { NodeFlag, type NodeId, type PlaceId } from '../native/mount.js';
import { Mode, Open, STAT_WORDS, Stat, exactTime } from '../native/syscalls.js';
import { copyFlags, copyMetadata, openSource, type Source, typeOf } from './copy-source.js';
import { UPPER, type UnionDirectory, entryPlace } from './directory.js';
import { type Marks, UNMARKED, setMarks } from './file-copies.js';
import { markImpure } from './origin.js';
import { APPEND, unprotected } from './protection.js';
import type { Union } from './union.js';

/** A directory in work/ that has the inode flags of its source. */
function makeDirectory(source: Source, workFd: number, name: string): number {
  const error = sys.mkdirat(workFd, name, 0o700);
  const fd = error || sys.openat2(workFd, name, Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
  if (fd < 0) return fd;
  copyFlags(source, fd);
  sys.close(fd);
  return 0;
}

/** Builds what is not a regular file in work/. */
function build(union: Union, source: Source, workFd: number, name: string, marks: Marks): number {
  const mode = Number(source.stat[Stat.mode]);
  let error: number;
  switch (mode & Mode.FMT) {
    case Mode.DIR:
      error = makeDirectory(source, workFd, name);
      break;
    case Mode.LNK: {
      const target = sys.readlinkat(source.dirfd, source.name);
      error = typeof target === 'number' ? target : sys.symlinkat(target, workFd, name);
      break;
    }
    default:
      error = sys.mknodat(workFd, name, mode, source.stat[Stat.rdev] ?? 0n);
  }
  return error || copyMetadata(source, workFd, name) || setMarks(union, marks, workFd, name);
}

/** A copy of `source` in work/: its name, PARKED, or -errno and nothing is left. */
function makeCopy(union: Union, source: Source, length: bigint, marks: Marks): string | number {
  const { work, copies } = union;
  if (!work || !copies) return -errno.EROFS;
  if (typeOf(source) === Mode.REG) return copies.make(source, length, marks);
  const name = work.freshName();
  const error = build(union, source, work.fd, name, marks);
  if (error) work.discard(name);
  return error || name;
}

const parentTimes = new BigInt64Array(STAT_WORDS);

/** Publishes `work` as `name` in the upper directory and leaves that directory's own times as they were. */
function publish(workFd: number, work: string, upperFd: number, name: string): number {
  const timed = sys.statx(upperFd, '', parentTimes) === 0;
  const error = sys.renameat2(workFd, work, upperFd, name, 0);
  if (!error && timed) sys.utimensat(upperFd, '', exactTime(parentTimes, 'atime'), exactTime(parentTimes, 'mtime'));
  return error;
}

/** Where a copy is published: a directory on upper. */
interface Target {
  dir: UnionDirectory;
  fd: number;
  name: string;
}

/** Copies one object to a name on upper; it keeps the number `ino`. 0 or -errno, and then nothing is left. */
function copyObject(union: Union, source: Source, { dir, fd, name }: Target, length: bigint, ino: bigint): number {
  const { work, links } = union;
  if (!work) return -errno.EROFS;
  const link = links?.keyFor(source.dirfd, source.name);
  const temporary = makeCopy(union, source, length, { ino, link });
  if (typeof temporary === 'number') return temporary;
  const workFd = work.fd;
  const error =
    (link && links ? links.add(workFd, temporary, link) : 0) ||
    // Before the name: a new mount asks a copy for its number only in a directory that says so.
    unprotected(
      fd,
      () => (ino === 0n ? 0 : markImpure(union.native, dir, union.stack.scheme)) || publish(workFd, temporary, fd, name),
    );
  if (link && links) links.settleCopy(link, error === 0);
  if (error) work.discard(temporary);
  return error;
}

/**
 * Makes a directory exist on upper, its ancestors first.
 * Errors: EROFS no upper; ENOSPC, EDQUOT of upper; ENOENT its name is gone.
 */
export function copyUpDirectory(union: Union, dir: UnionDirectory): number {
  if (dir.upper !== undefined) return 0;
  const { native } = union;
  const parentId = native.nodeParent(dir.id);
  const name = native.nodeName(dir.id);
  if (dir.removed || parentId === 0 || name === undefined) return -errno.ENOENT;
  const parent = union.writableDirectory(parentId);
  if (typeof parent === 'number') return parent;
  const lowerFd = native.placeFd(dir.lowers[0] as PlaceId);
  if (lowerFd < 0) return lowerFd;
  const source = openSource(lowerFd, '');
  if (typeof source === 'number') return source;
  const error = copyObject(union, source, { dir: parent.dir, fd: parent.fd, name }, -1n, 0n);
  if (error) return error;
  const settled = native.settleOnUpper(dir.id, parent.upper, name, NodeFlag.union | NodeFlag.merged | NodeFlag.writable, 0);
  if (settled < 0) return settled;
  dir.upper = native.placeOfNode(dir.id);
  union.register(dir);
  const entry = parent.index.get(name);
  if (entry !== undefined) parent.index.set(name, UPPER, Mode.DIR >> 12);
  return 0;
}

/** A lower file whose name is gone but which is still open: its copy has no name either. */
function copyUpUnnamed(union: Union, id: NodeId, source: Source, length: bigint): number {
  const work = union.work;
  if (!work) return -errno.EROFS;
  if (typeOf(source) !== Mode.REG) return -errno.ESTALE;
  const temporary = makeCopy(union, source, length, UNMARKED);
  if (typeof temporary === 'number') return temporary;
  const fd = sys.openat2(work.fd, temporary, Open.RDONLY | Open.NOFOLLOW, 0, 0);
  const error = fd < 0 ? fd : Math.min(union.native.settleUnnamed(id, fd), 0);
  if (fd >= 0) sys.close(fd);
  work.discard(temporary);
  return error;
}

/** After its name: an append-only file can be given none. */
function keepAppendOnly(source: Source, upperFd: number, name: string): void {
  const fd = sys.openat2(upperFd, name, Open.RDONLY | Open.NOFOLLOW, 0, 0);
  if (fd < 0) return;
  copyFlags(source, fd, true);
  sys.close(fd);
}

/**
 * Makes the object behind a node exist on upper, with its first `length` bytes (all when negative).
 * `as` is the name that its copy gets, its node's own when absent. nodeid and ino stay, unless a reader holds the lower file open: the native side then gives a new node.
 * Errors: as copyUpDirectory.
 */
export function copyUpNode(union: Union, id: NodeId, length: bigint, as?: { parent: NodeId; name: string }): number {
  const { native } = union;
  const flags = native.nodeFlags(id);
  if (flags < 0) return flags;
  if (flags & NodeFlag.writable) return 0;
  if (flags & NodeFlag.dir) {
    const dir = union.directory(id);
    return typeof dir === 'number' ? dir : copyUpDirectory(union, dir);
  }
  const lowerFd = native.nodeFd(id);
  if (lowerFd < 0) return lowerFd;
  const source = openSource(lowerFd, '');
  if (typeof source === 'number') return source;
  if (flags & NodeFlag.removed) return copyUpUnnamed(union, id, source, length);
  const parent = union.writableDirectory(as?.parent ?? native.nodeParent(id));
  if (typeof parent === 'number') return parent;
  const name = as?.name ?? native.nodeName(id);
  if (name === undefined) return -errno.ESTALE;
  const place = native.placeOfNode(id);
  const target = { dir: parent.dir, fd: parent.fd, name };
  const error = copyObject(union, source, target, length, native.shownIno(place, ''));
  native.placeDrop(place);
  if (error) return error;
  if ((source.stat[Stat.attributes] ?? 0n) & APPEND) keepAppendOnly(source, parent.fd, name);
  parent.index.set(name, UPPER, typeOf(source) >> 12);
  const settled = native.settleOnUpper(id, parent.upper, name, NodeFlag.writable, 0);
  if (settled > 0 && as) native.moveNode(settled as NodeId, as.parent, parent.upper, name);
  if (settled > 0) native.setNlinkDelta(settled as NodeId, union.links?.delta(parent.fd, name) ?? 0);
  return settled < 0 ? settled : 0;
}

/** Copies up `name` of `dir`, which may have no node: what rename and link need of a lower source. */
export function copyUpEntry(union: Union, dir: UnionDirectory, upperFd: number, name: string, place: PlaceId): number {
  const copy = union.links?.find(union.native.placeFd(place), name);
  if (copy) {
    const linked = unprotected(
      upperFd,
      () => markImpure(union.native, dir, union.stack.scheme) || (union.links?.linkUp(copy.key, name, upperFd) ?? 0),
    );
    if (!linked) dir.index?.set(name, UPPER, Mode.REG >> 12);
    return linked;
  }
  const known = union.native.nodeAt(place, name);
  if (known > 0) {
    // Under this name, though the node may be known by another one.
    const error = copyUpNode(union, known as NodeId, -1n, { parent: dir.id, name });
    const entry = dir.index?.get(name);
    if (error || (entry !== undefined && entryPlace(entry) === UPPER)) return error;
    return copyUpEntry(union, dir, upperFd, name, place);
  }
  const source = openSource(union.native.placeFd(place), name);
  if (typeof source === 'number') return source;
  const error = copyObject(union, source, { dir, fd: upperFd, name }, -1n, union.native.shownIno(place, name));
  if (!error) dir.index?.set(name, UPPER, typeOf(source) >> 12);
  return error;
}
