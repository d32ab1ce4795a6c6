// Following an absolute redirect through the layers below the one that has it. A redirect of any directory on the way speaks
// of the layers below that one (Linux: ovl_lookup_layer, ovl_check_redirect). Called by union/ and volume/, which know how
// to look into a layer.

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

/** The names of a path; a path from the root has at least '.'. */
export function namesOf(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '');
  return names.length === 0 ? ['.'] : names;
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
