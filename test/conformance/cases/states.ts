// The states an object can be in, each with the layers and the steps that bring it there, at a fixed path.
// The tables in the other files apply every operation to every state.

import { append, mkdir, put, rename, rmdir, unlink, chmod } from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { dir, file, opaque, whiteout } from '../../support/tree.js';
import type { Layer, Stack } from '../../support/tree.js';

export interface State {
  readonly name: string;
  readonly stack: Stack;
  /** Run first, through the mount. */
  readonly steps: readonly Op[];
}

const state = (name: string, lower: readonly Layer[], upper?: Layer, steps: readonly Op[] = []): State => ({
  name,
  stack: { lower, upper },
  steps,
});

const rich = { mode: 0o640, uid: 10, gid: 20, xattrs: { 'user.colour': 'red' } } as const;

/** `f` is a regular file in `d`. */
export const fileStates: readonly State[] = [
  state('a lower file', [{ 'd/f': file('lower', rich) }]),
  state('a file of the second lower', [{ 'd/g': file() }, { 'd/f': file('second', rich) }]),
  state('a file that hides a lower one', [{ 'd/f': file('first', rich) }, { 'd/f': file('second') }]),
  state('an upper file', [{ 'd/g': file() }], { 'd/f': file('upper', rich) }),
  state('an upper file over a lower one', [{ 'd/f': file('lower') }], { 'd/f': file('upper', rich) }),
  state('a file in an upper-only directory', [{}], { 'd/f': file('upper', rich) }),
  state('a file in an opaque directory', [{ 'd/f': file('hidden'), 'd/h': file() }], { d: opaque(), 'd/f': file('upper', rich) }),
  state('a file over a lower directory', [{ 'd/f/x': file() }], { 'd/f': file('upper', rich) }),
  state('a copied-up file', [{ 'd/f': file('lower', rich) }], undefined, [append('d/f', ' more')]),
  state('a new file', [{ 'd/g': file() }], undefined, [put('d/f', 'new')]),
  state('a file made where a lower one was removed', [{ 'd/f': file('lower') }], undefined, [unlink('d/f'), put('d/f', 'again')]),
  state('a lower file that was renamed here', [{ 'd/e': file('lower', rich) }], undefined, [rename('d/e', 'd/f')]),
];

/** `s` is a directory in `d`, with a file `x` where it can have one. */
export const dirStates: readonly State[] = [
  state('a lower directory', [{ 'd/s/x': file('x') }]),
  state('an empty lower directory', [{ 'd/s': dir() }]),
  state('a directory merged of two lowers', [{ 'd/s/x': file('x') }, { 'd/s/y': file('y'), 'd/s/z/a': file() }]),
  state('a merged directory', [{ 'd/s/x': file('x') }], { 'd/s': dir({ mode: 0o700 }), 'd/s/y': file('y') }),
  state('an upper directory', [{ 'd/g': file() }], { 'd/s/x': file('x') }),
  state('an empty upper directory', [{ 'd/g': file() }], { 'd/s': dir() }),
  state('an opaque directory', [{ 'd/s/x': file('hidden') }], { 'd/s': opaque(), 'd/s/y': file('y') }),
  state('an opaque middle layer', [{ 'd/s/x': file('x') }, { 'd/s': opaque(), 'd/s/y': file() }, { 'd/s/z': file() }]),
  state('a directory over a lower file', [{ 'd/s': file('was a file') }], { 'd/s/x': file('x') }),
  state('a directory emptied by whiteouts', [{ 'd/s/x': file('x') }], { 'd/s/x': whiteout() }),
  state('a directory emptied by us', [{ 'd/s/x': file('x'), 'd/s/y': file() }], undefined, [unlink('d/s/x'), unlink('d/s/y')]),
  state('a new directory', [{ 'd/g': file() }], undefined, [mkdir('d/s'), put('d/s/x', 'x')]),
  state('a directory made where a lower one was removed', [{ 'd/s': dir() }], undefined, [rmdir('d/s'), mkdir('d/s')]),
  state('a directory made where a lower file was removed', [{ 'd/s': file() }], undefined, [unlink('d/s'), mkdir('d/s')]),
  state('a lower directory with changed mode', [{ 'd/s/x': file('x') }], undefined, [chmod('d/s', 0o711)]),
  state('a renamed lower directory', [{ 'd/r/x': file('x'), 'd/r/y/z': file('z') }], undefined, [rename('d/r', 'd/s')]),
];

/** Nothing is at `n` in `d`, for different reasons. */
export const absentStates: readonly State[] = [
  state('a name that never was', [{ 'd/g': file() }]),
  state('a whiteout over a file', [{ 'd/n': file('gone') }], { 'd/n': whiteout() }),
  state('a whiteout over a directory', [{ 'd/n/x': file('gone') }], { 'd/n': whiteout() }),
  state('a whiteout in a lower', [{ 'd/n': whiteout() }, { 'd/n': file('gone') }]),
  state('a whiteout over nothing', [{ 'd/g': file() }], { 'd/n': whiteout() }),
  state('a name hidden by an opaque parent', [{ 'd/n': file('gone') }], { d: opaque() }),
  state('a lower file we unlinked', [{ 'd/n': file('gone') }], undefined, [unlink('d/n')]),
  state('a lower directory we removed', [{ 'd/n': dir() }], undefined, [rmdir('d/n')]),
  state('a lower file we renamed away', [{ 'd/n': file('gone') }], undefined, [rename('d/n', 'd/away')]),
  state('a new file we unlinked', [{ 'd/g': file() }], undefined, [put('d/n', ''), unlink('d/n')]),
];
