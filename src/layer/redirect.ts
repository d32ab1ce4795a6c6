// Following an absolute redirect through the layers below the one that has it. A redirect of any directory on the way speaks
// of the layers below that one (Linux: ovl_lookup_layer, ovl_check_redirect). Called by union/ and volume/, which know how
// to look into a layer.

import { errno } from '../abi/errno.js';
import type { DirectoryMarks } from './format.js';

/** What a layer has under a name: a directory and its marks, something else, or nothing. */
export type Found = DirectoryMarks | 'other' | 'nothing';

/** What a path is in one layer. */
export interface Walked {
  /** A directory, all of whose parents are. */
  found: boolean;
  /** The layers below do not count. */
  last: boolean;
  /** The path for the layers below. */
  next: string[];
}

/**
 * Why a redirect leads nowhere, or 0. Who wrote the layer must not send us out of it: EACCES for dots, EINVAL for what is
 * neither a name nor names behind slashes (Linux: ovl_check_redirect, lookup_one_len).
 */
export function redirectError(redirect: string): number {
  const names = redirect.startsWith('/') ? redirect.slice(1).split('/') : [redirect];
  const isName = (name: string): boolean => name !== '' && !/[/\0]/.test(name);
  if (!names.every(isName)) return -errno.EINVAL;
  return names.some((name) => name === '.' || name === '..') ? -errno.EACCES : 0;
}

/** The names of a path from the root. */
export function namesOf(path: string): string[] {
  return path.slice(1).split('/');
}

/** Walks `names` in one layer. `look` is asked for one name after the other, each below the one before. */
export function walkLayer(names: readonly string[], look: (name: string) => Found): Walked {
  let next: string[] = [];
  let last = false;
  for (const [depth, name] of names.entries()) {
    const marks = look(name);
    if (marks === 'other' || marks === 'nothing') {
      return { found: false, last: last || marks === 'other', next: [...next, ...names.slice(depth)] };
    }
    last ||= marks.opaque && marks.redirect === undefined;
    if (marks.redirect?.startsWith('/')) next = namesOf(marks.redirect);
    else next.push(marks.redirect ?? name);
  }
  return { found: true, last, next };
}
