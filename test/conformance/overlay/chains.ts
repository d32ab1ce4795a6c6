// Long lives of a few objects: renamed again and again, linked, removed and made anew, directories moved into each other,
// each step in a stage of its own, so that a remount or a new upper may come between. Called by overlay.test.ts.

import {
  any,
  append,
  cat,
  drain,
  ino,
  link,
  lstat,
  mkdir,
  put,
  readdir,
  rename,
  rmdir,
  symlink,
  unlink,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { dir, file, link as hard, symlink as sym } from '../../support/tree.js';
import type { Layer } from '../../support/tree.js';
import type { StagedCase } from './staged.js';

const populated = (at: string): Layer => ({
  [`${at}/a`]: file(''),
  [`${at}/pop/b`]: file(':aaa:bbb:ccc'),
  [`${at}/pop/c`]: dir(),
});

const base: Layer = {
  ...populated('dir'),
  ...populated('dir2'),
  empty: dir(),
  empty2: dir(),
  foo: file(':xxx:yyy:zzz'),
  sym: sym('foo'),
  'l/one': file('linked'),
  'l/two': hard('l/one'),
  'm/three': hard('l/one'),
};

/** Paths of base that any step may have moved. */
const steps = (name: string, ...stages: readonly (readonly Op[])[]): StagedCase => ({
  name,
  stack: { lower: [base] },
  stages: stages.map((ops) => ops.map(any)),
});

/** Moves, and then fails to move again; the number goes along. */
const move = (from: string, to: string): Op[] => [
  ino(from),
  rename(from, to),
  ino(to),
  rename(from, to),
  lstat(from),
  readdir(to),
];

const moves: readonly StagedCase[] = [
  steps('an empty directory moves into another', move('empty', 'dir/empty'), [readdir('dir'), mkdir('empty'), readdir('empty')]),
  steps('a full directory moves into another', move('dir', 'empty/dir'), [cat('empty/dir/pop/b'), mkdir('dir'), readdir('dir')]),
  steps('a full directory is renamed and moves', move('dir', 'dirx'), move('dirx', 'empty/dir'), [cat('empty/dir/pop/b')]),
  steps('a full directory moves and is renamed there', move('dir', 'empty/dir'), move('empty/dir', 'empty/dirx'), [
    readdir('empty'),
  ]),
  steps('a directory moves and its child moves on', move('dir', 'empty/dir'), move('empty/dir/pop', 'empty2/pop'), [
    cat('empty2/pop/b'),
    readdir('empty/dir'),
    mkdir('empty/dir/pop'),
    readdir('empty/dir/pop'),
  ]),
  steps(
    'a child is renamed, then its directory, twice',
    move('dir/pop', 'dir/popx'),
    move('dir', 'dirx'),
    move('dirx', 'empty/dir'),
    [cat('empty/dir/popx/b'), readdir('empty/dir')],
  ),
  steps(
    'a child moves out of a renamed directory',
    move('dir/pop', 'dir/popx'),
    move('dir', 'dirx'),
    move('dirx/popx', 'empty/popx'),
    [cat('empty/popx/b'), readdir('dirx')],
  ),
  steps(
    'a new directory moves into a lower one and back',
    [mkdir('new'), put('new/f', 'f')],
    move('new', 'empty/new'),
    move('empty/new', 'no'),
    [cat('no/f')],
  ),
  steps(
    'a new tree moves by its middle',
    [mkdir('new'), mkdir('new/p'), mkdir('new/p/q'), put('new/p/q/f', 'f')],
    move('new/p', 'dir/p'),
    [cat('dir/p/q/f'), readdir('new')],
  ),
  steps(
    'two directories change places, again and again',
    ...Array.from({ length: 5 }, () => [
      rename('dir', 'empty', 'EXCHANGE'),
      readdir('dir'),
      readdir('empty'),
      ino('dir'),
      ino('empty'),
    ]),
  ),
  steps('a directory takes the name of a removed one', [drain('dir2/pop'), drain('dir2'), rmdir('dir2')], move('dir', 'dir2'), [
    mkdir('dir'),
    readdir('dir'),
    cat('dir2/pop/b'),
  ]),
  steps('a lower directory over an emptied lower one', [drain('dir2/pop'), drain('dir2')], move('dir', 'dir2'), [
    readdir('dir2'),
    cat('dir2/pop/b'),
    mkdir('dir'),
  ]),
];

const lives: readonly StagedCase[] = [
  steps(
    'a file goes and comes, as this and that',
    [unlink('foo'), mkdir('foo'), put('foo/x', 'x')],
    [drain('foo'), rmdir('foo'), symlink('dir', 'foo')],
    [unlink('foo'), put('foo', 'new')],
    [append('foo', '+'), rename('foo', 'bar')],
    [put('foo', 'other'), rename('bar', 'foo'), cat('foo')],
  ),
  steps(
    'a tree is removed and made again',
    [drain('dir/pop'), drain('dir'), rmdir('dir')],
    [mkdir('dir'), mkdir('dir/pop'), readdir('dir/pop')],
    [put('dir/pop/n', 'n'), drain('dir/pop'), drain('dir'), rmdir('dir')],
    [mkdir('dir'), readdir('dir')],
  ),
  steps(
    'a file is written in every life',
    ...Array.from({ length: 5 }, (_, i) => [append('foo', `${i}`), ino('foo'), cat('sym'), append('dir/pop/b', `${i}`)]),
  ),
];

const linkLives: readonly StagedCase[] = [
  steps(
    'a lower file gets names',
    [ino('foo'), link('foo', 'foo2'), ino('foo2')],
    [link('foo2', 'dir/foo3'), ino('foo'), ino('dir/foo3')],
    [rename('foo', 'moved'), ino('moved')],
    [unlink('foo2'), append('moved', '!'), cat('dir/foo3')],
    [unlink('moved'), lstat('dir/foo3')],
  ),
  steps(
    'a lower file gets names in new directories',
    [mkdir('n'), mkdir('n/m'), ino('foo'), link('foo', 'n/foo'), rename('n/foo', 'n/m/foo'), ino('n/m/foo')],
    [link('n/m/foo', 'n/foo2'), unlink('foo'), ino('n/foo2')],
    [lstat('n/foo2'), rename('n', 'dir/n')],
    [lstat('dir/n/m/foo')],
  ),
  steps(
    'a symlink gets names',
    [link('sym', 'sym2'), lstat('sym2')],
    [rename('sym', 'sym3'), unlink('sym2')],
    [cat('sym3'), link('sym3', 'dir/sym')],
    [lstat('dir/sym')],
  ),
  steps(
    'lower names of one file part one by one',
    [append('l/one', '!'), cat('m/three')],
    [unlink('l/two'), lstat('l/one')],
    [rename('m/three', 'three'), lstat('three')],
    [unlink('l/one'), lstat('three'), cat('three')],
  ),
  steps(
    'a lower name of one file is renamed first',
    [rename('l/two', 'm/two'), lstat('m/two'), lstat('l/one')],
    [append('m/two', '!'), cat('l/one'), cat('m/three')],
    [link('m/three', 'four'), lstat('four')],
    [unlink('m/two'), unlink('m/three'), unlink('l/one'), lstat('four')],
  ),
];

const SIZE = 7;
const at = (name: string, i: number): string => `r/${name}${100 + (i % SIZE)}`;
const ring: Layer = Object.fromEntries(
  Array.from({ length: SIZE - 1 }, (_, i) => [
    [at('foo', i), file(`foo ${i}`)] as const,
    [at('sym', i), sym(`foo${100 + i}`)] as const,
    [`${at('dir', i)}/f`, file(`dir ${i}`)] as const,
  ]).flat(),
);

/** Names turn in a ring with one gap, backwards or forwards. */
function turning(name: string, direction: 1 | -1): Op[][] {
  const stages: Op[][] = [[], [], [], []];
  let gap = SIZE - 1;
  for (let i = 0; i < 4 * SIZE; i++) {
    const next = (gap + direction + SIZE) % SIZE;
    stages[Math.floor(i / SIZE)]?.push(rename(at(name, next), at(name, gap)), ino(at(name, gap)));
    gap = next;
  }
  return [...stages, [readdir('r'), unlink(at(name, 0)), unlink(at(name, 3)), readdir('r')]];
}

const rings: readonly StagedCase[] = ['foo', 'sym', 'dir'].flatMap((name) =>
  ([1, -1] as const).map((direction): StagedCase => ({
    name: `names of ${name} turn ${direction === 1 ? 'forwards' : 'backwards'}`,
    stack: { lower: [ring] },
    stages: turning(name, direction).map((ops) => ops.map(any)),
  })),
);

/** All names are linked first, then both rings turn. */
const linkedRing: StagedCase = {
  name: 'names of linked files turn',
  stack: { lower: [ring] },
  stages: [
    Array.from({ length: SIZE }, (_, i) => any(link(at('foo', i), at('no', i)))),
    ...turning('no', -1).map((ops) => ops.map(any)),
    ...turning('foo', 1).map((ops) => ops.map(any)),
  ],
};

export const chainCases: readonly StagedCase[] = [...moves, ...lives, ...rings];

/** Files of several names; the index that keeps them one goes with the upper it belongs to, on the kernel too. */
export const linkCases: readonly StagedCase[] = [...linkLives, linkedRing];
