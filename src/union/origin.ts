// The number that stat shows for a copied-up file outlives the mount: it is kept on the copy, and the directory that
// holds such a copy says so ("impure", as kernel overlayfs calls it), so that no other directory has to be asked.

import { errno } from '../abi/errno.js';
import { overlayXattr, readMarks, type XattrScheme } from '../layer/format.js';
import { sys } from '../native/load.js';
import type { NativeMount } from '../native/mount.js';
import { UPPER, type UnionDirectory } from './directory.js';

/** Sets a mark. 0 or -errno; where there are no such attributes, or they are not ours to set, it is left out. */
function mark(dirfd: number, name: string, attribute: string, value: string): number {
  const error = sys.setxattr(dirfd, name, attribute, Buffer.from(value), 0);
  return error === -errno.EOPNOTSUPP || error === -errno.EPERM || error === -errno.EACCES ? 0 : error;
}

/** Notes the shown number of a lower file on its copy. 0 or -errno. */
export function recordIno(dirfd: number, name: string, scheme: XattrScheme, ino: bigint): number {
  return mark(dirfd, name, overlayXattr(scheme, 'ino'), ino.toString());
}

/** The number that a copy keeps; 0n for anything else. */
function readIno(dirfd: number, name: string, scheme: XattrScheme): bigint {
  const value = sys.getxattr(dirfd, name, overlayXattr(scheme, 'ino'));
  const text = typeof value === 'number' ? '' : value.toString('latin1');
  return /^\d{1,20}$/.test(text) ? BigInt.asUintN(64, BigInt(text)) : 0n;
}

function isImpure(native: NativeMount, dir: UnionDirectory, scheme: XattrScheme): boolean {
  if (dir.upper === undefined) return false;
  dir.impure ??= readMarks(native.placeFd(dir.upper), '', scheme).impure;
  return dir.impure;
}

/** Says of a directory on upper that it holds copies, or is about to. 0 or -errno. */
export function markImpure(native: NativeMount, dir: UnionDirectory, scheme: XattrScheme): number {
  if (isImpure(native, dir, scheme)) return 0;
  const error = mark(native.placeFd(dir.place(UPPER)), '', overlayXattr(scheme, 'impure'), 'y');
  if (!error) dir.impure = true;
  return error;
}

/** Before the open file gets a name in `dir`: if it is a copy, the directory holds one from now on. 0 or -errno. */
export function noteCopy(native: NativeMount, dir: UnionDirectory, fd: number, scheme: XattrScheme): number {
  return readIno(fd, '', scheme) === 0n ? 0 : markImpure(native, dir, scheme);
}

/** The number to show for an upper file of `dir`; 0n for its own. */
export function inoOf(native: NativeMount, dir: UnionDirectory, name: string, scheme: XattrScheme): bigint {
  return isImpure(native, dir, scheme) ? readIno(native.placeFd(dir.place(UPPER)), name, scheme) : 0n;
}

/** Before something moves: where it will be is impure if where it was is. 0 or -errno. */
export function carryImpurity(native: NativeMount, from: UnionDirectory, to: UnionDirectory, scheme: XattrScheme): number {
  return from !== to && isImpure(native, from, scheme) ? markImpure(native, to, scheme) : 0;
}
