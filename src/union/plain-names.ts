// Names that begin with `.wh.`, which in a layer of AUFS or fuse-overlayfs are whiteouts: a directory on upper says that its are not
// before it gets the first one. Called before a name is made, and before upper gets what a lower has.

import { NO_NAME_MARKS, WHITEOUT_PREFIX, setPlainNames } from '../layer/format.js';
import { UPPER, type UnionDirectory } from './directory.js';
import { markImpure } from './origin.js';
import { asNewName } from './protection.js';
import type { Union } from './union.js';

interface OnUpper {
  readonly dir: UnionDirectory;
  /** Of its place on upper. */
  readonly fd: number;
}

/** Whether a layer's directory says that its names are plain. */
export function hasPlainNames(dir: UnionDirectory): boolean {
  for (const { plainNames } of dir.marks.values()) if (plainNames) return true;
  return false;
}

/** 0 or -errno: EPERM where no name can be made; EINVAL where names of upper that begin with `.wh.` are whiteouts, or it takes no attributes. */
export function allowPlainNames({ native, stack }: Union, { dir, fd }: OnUpper): number {
  const marks = dir.marks.get(UPPER) ?? NO_NAME_MARKS;
  if (marks.plainNames) return 0;
  // The native side asks for that mark only before it serves a directory alone.
  const error = asNewName(fd, () => setPlainNames(fd, stack.scheme) || markImpure(native, dir, stack.scheme));
  if (!error) dir.marks.set(UPPER, { ...marks, plainNames: true });
  return error;
}

/** Makes way for `name` in a directory on upper. 0 or -errno. */
export function allowName(union: Union, at: OnUpper, name: string): number {
  return name.startsWith(WHITEOUT_PREFIX) ? allowPlainNames(union, at) : 0;
}
