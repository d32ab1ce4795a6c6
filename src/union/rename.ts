// rename in the union: source and both directories come to upper, a directory with a lower part gets a redirect, the
// old name a whiteout if a lower still has it. The rename itself is one system call.

import { errno } from '../abi/errno.js';
import type { Renaming } from '../abi/requests.js';
import { isWhiteoutDevice, overlayXattr, setOpaque, setRedirect } from '../layer/format.js';
import { sys } from '../native/load.js';
import type { NodeId } from '../native/mount.js';
import { Rename } from '../native/syscalls.js';
import { copyUpDirectory, copyUpEntry } from './copy-up.js';
import { type Entry, UPPER, type UnionDirectory, entryPlace, entryType, isDirectory } from './directory.js';
import { dropFound, findDirectory } from './lookup.js';
import { carryImpurity } from './origin.js';
import { allowName } from './plain-names.js';
import { asNewName, refuseGoing, refuseNew, refusedByUpper } from './protection.js';
import { clearDirectory, countLinks, forgetLower, isEmpty, noteRemoved, refuseFull, viewOf } from './remove.js';
import { moveOver } from './move.js';
import type { Answer } from './stack.js';
import type { Union, WritableDirectory } from './union.js';

/** The longest redirect that kernel overlayfs writes (Linux: OVL_REDIRECT_MAX); it reads longer ones. */
const KERNEL_REDIRECT = 256;

/** One end of a rename. */
export interface End {
  at: WritableDirectory;
  name: string;
  entry: Entry;
}

/** Brings an existing name to upper; its entry afterwards, or -errno. */
function bringToUpper(union: Union, end: End): Entry | number {
  if (entryPlace(end.entry) === UPPER) return end.entry;
  const { dir } = end.at;
  let error: number;
  if (isDirectory(end.entry)) {
    const child = enterDirectory(union, end);
    error = typeof child === 'number' ? child : copyUpDirectory(union, child);
  } else {
    error = copyUpEntry(union, dir, end.at.fd, end.name, dir.place(entryPlace(end.entry)));
  }
  return error ? error : (end.at.index.get(end.name) ?? -errno.ENOENT);
}

/** The union's view of a child directory; entered if the kernel does not know it (its count is undone by the loop). */
function enterDirectory(union: Union, end: End): UnionDirectory | number {
  const place = end.at.dir.place(entryPlace(end.entry));
  const known = union.native.nodeAt(place, end.name);
  return known > 0 ? union.directory(known as NodeId) : -errno.ESTALE;
}

/**
 * Path of the lower part of an upper directory, from its layer's root: the names in the union, except where an
 * ancestor was itself moved and says so.
 */
function lowerPath(union: Union, end: End): string {
  const { native, stack } = union;
  let path = '';
  let { name } = end;
  for (let id = end.at.dir.id, fd = end.at.fd; ;) {
    const redirect = sys.getxattr(fd, name, overlayXattr(stack.scheme, 'redirect'));
    const part = typeof redirect === 'number' ? name : redirect.toString('latin1');
    if (part.startsWith('/')) return part + path;
    path = `/${part}${path}`;
    const parent = native.nodeParent(id);
    if (parent === 0) return path;
    name = native.nodeName(id) ?? '';
    const dir = union.directory(parent);
    fd = typeof dir === 'number' || dir.upper === undefined ? -1 : native.placeFd(dir.upper);
    id = parent;
  }
}

/**
 * Tells an upper directory, which is about to move to `to`, where its lower part is: by the old name alone where the
 * parent stays, by the path elsewhere (Linux: ovl_set_redirect). 0 or -errno; EXDEV for a path that the filesystem cannot
 * keep, as in the kernel for one above 256 bytes: mv(1) then copies.
 */
function redirect(union: Union, from: End, to: UnionDirectory): number {
  const { scheme } = union.stack;
  const known = sys.getxattr(from.at.fd, from.name, overlayXattr(scheme, 'redirect'));
  const stays = from.at.dir === to;
  if (typeof known !== 'number' && (stays || known.toString('latin1').startsWith('/'))) return 0;
  const path = stays ? from.name : lowerPath(union, from);
  const error = setRedirect(from.at.fd, from.name, scheme, path);
  const tooLong = error === -errno.ENOSPC || error === -errno.ERANGE || error === -errno.E2BIG;
  return tooLong && path.length > KERNEL_REDIRECT ? -errno.EXDEV : error;
}

/**
 * Prepares an upper directory for its new name: its lower part is redirected to, and a lower that the new name would
 * meet is shut out. Both before the rename, so that no crash shows a wrong merge.
 */
function settleDirectory(union: Union, from: End, to: { at: WritableDirectory; name: string }): number {
  const found = findDirectory(union.native, union.stack, from.at.dir, from.name, from.entry);
  const hasLower = found.lowers.length > 0;
  dropFound(union.native, found);
  const { scheme } = union.stack;
  if (hasLower) return redirect(union, from, to.at.dir);
  return to.at.index.shownByLower(to.name) ? setOpaque(from.at.fd, from.name, scheme) : 0;
}

/** Makes way at the target: an empty directory loses what whiteouts it has. 0 or -errno. */
function prepareTarget(union: Union, target: End): number {
  if (!isDirectory(target.entry)) return 0;
  const empty = isEmpty(union, target.at.dir, target.name, target.entry);
  if (empty !== true) return empty === false ? -errno.ENOTEMPTY : empty;
  return entryPlace(target.entry) === UPPER ? clearDirectory(union, target.at, target.name) : 0;
}

export interface Plan {
  from: End;
  to: { at: WritableDirectory; name: string };
  target: End | undefined;
  flags: number;
}

/** EPERM when what is at the new name may not go; a directory that only grows may still get a new name. */
function refuseReplaced(union: Union, parent: NodeId, { newName }: Renaming): number {
  const dir = union.directory(parent);
  const index = typeof dir === 'number' ? dir : union.index(dir);
  return typeof index !== 'number' && index.get(newName) !== undefined ? refuseGoing(union, parent, newName) : 0;
}

function plan(union: Union, oldParent: NodeId, args: Renaming): Plan | number {
  const newParent = args.newParent as NodeId;
  const refused =
    refuseGoing(union, oldParent, args.oldName) || refuseNew(union, newParent) || refuseReplaced(union, newParent, args);
  if (refused) return refused;
  // Before anything is copied up for a rename that cannot be (Linux: ovl_rename).
  const full = args.flags & Rename.EXCHANGE ? 0 : refuseFull(union, newParent, args.newName);
  if (full) return refusedByUpper(union, oldParent, args.oldName, full);
  const from = union.writableDirectory(oldParent);
  if (typeof from === 'number') return from;
  const to = union.writableDirectory(newParent);
  if (typeof to === 'number') return to;
  const entry = from.index.get(args.oldName);
  if (entry === undefined) return -errno.ENOENT;
  const targetEntry = to.index.get(args.newName);
  if (targetEntry !== undefined && args.flags & Rename.NOREPLACE) return -errno.EEXIST;
  if (targetEntry === undefined && args.flags & Rename.EXCHANGE) return -errno.ENOENT;
  const refusedName = allowName(union, to, args.newName);
  if (refusedName) return refusedName;
  const target = targetEntry === undefined ? undefined : { at: to, name: args.newName, entry: targetEntry };
  return { from: { at: from, name: args.oldName, entry }, to: { at: to, name: args.newName }, target, flags: args.flags };
}

export function rename(union: Union, oldParent: NodeId, args: Renaming): Answer {
  const made = plan(union, oldParent, args);
  if (typeof made === 'number') return made;
  const entry = bringToUpper(union, made.from);
  if (entry < 0) return entry;
  made.from.entry = entry as Entry;
  return args.flags & Rename.EXCHANGE ? exchange(union, made) : replace(union, made);
}

function exchange(union: Union, { from, to, target }: Plan): Answer {
  if (!target) return -errno.ENOENT;
  const entry = bringToUpper(union, target);
  if (entry < 0) return entry;
  target.entry = entry as Entry;
  const { native, stack } = union;
  const error =
    (isDirectory(from.entry) ? settleDirectory(union, from, to) : 0) ||
    (isDirectory(target.entry) ? settleDirectory(union, target, from) : 0) ||
    carryImpurity(native, from.at.dir, to.at.dir, stack.scheme) ||
    carryImpurity(native, to.at.dir, from.at.dir, stack.scheme);
  if (error) return error;
  const a = native.nodeAt(from.at.upper, from.name);
  const b = native.nodeAt(to.at.upper, to.name);
  const done = sys.renameat2(from.at.fd, from.name, to.at.fd, to.name, Rename.EXCHANGE);
  if (done) return done;
  if (a > 0) native.moveNode(a as NodeId, to.at.dir.id, to.at.upper, to.name);
  if (b > 0) native.moveNode(b as NodeId, from.at.dir.id, from.at.upper, from.name);
  from.at.index.set(from.name, UPPER, entryType(target.entry));
  to.at.index.set(to.name, UPPER, entryType(from.entry));
  return 0;
}

function replace(union: Union, made: Plan): Answer {
  const { from, to, target } = made;
  const { native } = union;
  const directory = isDirectory(from.entry);
  if (target && !isDirectory(target.entry) && entryPlace(target.entry) !== UPPER) {
    const counted = countLinks(union, to.at, to.name, to.at.dir.place(entryPlace(target.entry)));
    if (counted) return counted;
    target.entry = to.at.index.get(to.name) ?? target.entry;
  }
  let error = target ? prepareTarget(union, target) : 0;
  if (!error && directory) error = settleDirectory(union, from, to);
  error ||= carryImpurity(native, from.at.dir, to.at.dir, union.stack.scheme);
  if (error) return error;
  const hide = from.at.index.shownByLower(from.name) || (made.flags & Rename.WHITEOUT) !== 0;
  const overWhiteout = !target && isWhiteoutDevice(to.at.fd, to.name);
  const moved = native.nodeAt(from.at.upper, from.name);
  const replaced = target && entryPlace(target.entry) === UPPER ? native.keepBeforeUnlink(to.at.upper, to.name) : 0;
  if (replaced < 0) return replaced;
  const indexed = target && entryPlace(target.entry) === UPPER ? union.links?.keyOfUpper(to.at.fd, to.name) : undefined;
  const view =
    target && isDirectory(target.entry) ? viewOf(union, to.at.dir.place(entryPlace(target.entry)), to.name) : undefined;
  const move = (): number => moveOver(union, made, hide, overWhiteout);
  error = overWhiteout ? asNewName(to.at.fd, move) : move();
  if (error) return error;
  if (view) view.removed = true;
  if (replaced > 0 && replaced !== moved) native.afterUnlink(replaced as NodeId, to.at.upper, to.name);
  union.links?.settle(indexed);
  if (target && entryPlace(target.entry) !== UPPER) forgetLower(union, to.at.dir.place(entryPlace(target.entry)), to.name);
  if (moved > 0) native.moveNode(moved as NodeId, to.at.dir.id, to.at.upper, to.name);
  noteRemoved(from.at, from.name, hide);
  to.at.index.set(to.name, UPPER, entryType(from.entry));
  return 0;
}
