// The last step of a rename, after all that must be true of both names is: the object leaves the old name, where a
// whiteout stays if a lower layer would shine through, and takes the new one. Called by rename.ts.

import { errno } from '../abi/errno.js';
import { makeWhiteout } from '../layer/format.js';
import { sys } from '../native/load.js';
import { Rename, STAT_WORDS } from '../native/syscalls.js';
import { openSource } from './copy-source.js';
import { type Entry, entryPlace, isDirectory } from './directory.js';
import { buildEmpty } from './remove.js';
import type { Plan } from './rename.js';
import type { Union } from './union.js';
import type { WorkDirectory } from './work.js';

/** `hide`: the old name becomes a whiteout. `overWhiteout`: upper has one at the new name. 0 or -errno. */
export function moveOver(union: Union, plan: Plan, hide: boolean, overWhiteout: boolean): number {
  const { from, to } = plan;
  if (overWhiteout && isDirectory(from.entry)) {
    // A directory cannot replace the whiteout device; it changes places with it, which also hides the old name.
    const error = sys.renameat2(from.at.fd, from.name, to.at.fd, to.name, Rename.EXCHANGE);
    return error || (hide ? 0 : sys.unlinkat(from.at.fd, from.name, 0));
  }
  if (!hide) return sys.renameat2(from.at.fd, from.name, to.at.fd, to.name, 0);
  const error = sys.renameat2(from.at.fd, from.name, to.at.fd, to.name, Rename.WHITEOUT);
  return error === -errno.EINVAL ? moveInSteps(union, plan) : error;
}

const stat = new BigInt64Array(STAT_WORDS);

/**
 * No RENAME_WHITEOUT on this filesystem. Where nothing is at the new name, a whiteout that nobody notices goes there and
 * changes places with the object: still one step. Over something else, a crash leaves both names, never none.
 */
function moveInSteps(union: Union, { from, to, target }: Plan): number {
  const { work } = union;
  if (!work) return -errno.EROFS;
  const empty = sys.statx(to.at.fd, to.name, stat) !== 0;
  if (!target) {
    const error = (empty ? makeWhiteout(to.at.fd, to.name) : 0) || swap(from, to);
    if (error && empty) sys.unlinkat(to.at.fd, to.name, 0);
    return error;
  }
  const [whiteout, other] = [work.freshName(), work.freshName()];
  const error =
    makeWhiteout(work.fd, whiteout) ||
    (isDirectory(from.entry)
      ? (empty ? standIn(union, work, target) : 0) || moveDirectoryOver(work, from, to, whiteout)
      : moveFileOver(work, from, to, whiteout, other, empty));
  work.discard(whiteout);
  work.discard(other);
  return error;
}

type Name = Plan['to'];

function swap(a: Name, b: Name): number {
  return sys.renameat2(a.at.fd, a.name, b.at.fd, b.name, Rename.EXCHANGE);
}

/** An empty directory of a lower layer gets an opaque one on upper that looks the same. */
function standIn(union: Union, work: WorkDirectory, { at, name, entry }: Name & { entry: Entry }): number {
  const source = openSource(union.native.placeFd(at.dir.place(entryPlace(entry))), name);
  if (typeof source === 'number') return source;
  const temporary = work.freshName();
  const error = buildEmpty(work.fd, temporary, source, union.stack.scheme) || sys.renameat2(work.fd, temporary, at.fd, name, 0);
  if (error) work.discard(temporary);
  return error;
}

function moveDirectoryOver(work: WorkDirectory, from: Name, to: Name, whiteout: string): number {
  const error = swap(from, to);
  if (error) return error;
  const hidden = sys.renameat2(work.fd, whiteout, from.at.fd, from.name, Rename.EXCHANGE);
  if (hidden) swap(from, to);
  return hidden;
}

/** The file gets the new name as a further link, then loses the old one. */
function moveFileOver(work: WorkDirectory, from: Name, to: Name, whiteout: string, other: string, empty: boolean): number {
  const exchange = empty ? 0 : Rename.EXCHANGE;
  const error = sys.linkat(from.at.fd, from.name, work.fd, other) || sys.renameat2(work.fd, other, to.at.fd, to.name, exchange);
  if (error) return error;
  const hidden = sys.renameat2(work.fd, whiteout, from.at.fd, from.name, 0);
  if (hidden && empty) sys.unlinkat(to.at.fd, to.name, 0);
  else if (hidden) sys.renameat2(work.fd, other, to.at.fd, to.name, exchange);
  return hidden;
}
