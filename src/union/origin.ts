// The number that stat shows for a copied-up file outlives the mount: it is kept on the copy, and the directory that
// holds such a copy says so ("impure", as kernel overlayfs calls it), so that no other directory has to be asked.

import { overlayXattr, readMarks, type XattrScheme } from '../layer/format.js';
import { sys } from '../native/load.js';
import type { NativeMount } from '../native/mount.js';
import { UPPER, type UnionDirectory } from './directory.js';

/** Notes the shown number of a lower file on its copy. 0 or -errno; a filesystem without such attributes is no error. */
export function recordIno(dirfd: number, name: string, scheme: XattrScheme, ino: bigint): void {
  sys.setxattr(dirfd, name, overlayXattr(scheme, 'ino'), Buffer.from(ino.toString()), 0);
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

/** Says of a directory on upper that it holds copies. */
export function markImpure(native: NativeMount, dir: UnionDirectory, scheme: XattrScheme): void {
  if (isImpure(native, dir, scheme)) return;
  const error = sys.setxattr(native.placeFd(dir.place(UPPER)), '', overlayXattr(scheme, 'impure'), Buffer.from('y'), 0);
  if (!error) dir.impure = true;
}

/** A file got a name in `dir`: if it is a copy, the directory holds one from now on. */
export function noteCopy(native: NativeMount, dir: UnionDirectory, name: string, scheme: XattrScheme): void {
  if (readIno(native.placeFd(dir.place(UPPER)), name, scheme) !== 0n) markImpure(native, dir, scheme);
}

/** The number to show for an upper file of `dir`; 0n for its own. */
export function inoOf(native: NativeMount, dir: UnionDirectory, name: string, scheme: XattrScheme): bigint {
  return isImpure(native, dir, scheme) ? readIno(native.placeFd(dir.place(UPPER)), name, scheme) : 0n;
}

/** A file moved: where it is now is impure if where it was is. */
export function carryImpurity(native: NativeMount, from: UnionDirectory, to: UnionDirectory, scheme: XattrScheme): void {
  if (from !== to && isImpure(native, from, scheme)) markImpure(native, to, scheme);
}
