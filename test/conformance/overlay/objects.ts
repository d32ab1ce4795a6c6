// What the operations of the overlay suite meet: each kind of object, in each place where a layer can have it.
// A table is built by giving every combination a directory of its own. Called by opens.ts and names.ts.

import { any } from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { dir, file, link, opaque, symlink, whiteout } from '../../support/tree.js';
import type { Entry, Layer, Stack } from '../../support/tree.js';
import type { StagedCase } from './staged.js';

/** Makes the entries of one object under a prefix that ends in the object's name. `age` tells layers apart. */
type Make = (at: string, age: string) => Layer;

const bin = { uid: 1, gid: 1 } as const;
const beside = (at: string): string => at.slice(at.lastIndexOf('/') + 1);

export const objects: Readonly<Record<string, Make>> = {
  'a file': (at, age) => ({ [at]: file(`:xxx:yyy:${age}`, bin) }),
  'a file of root': (at, age) => ({ [at]: file(`:xxx:yyy:${age}`) }),
  'an empty file': (at) => ({ [at]: file('', bin) }),
  'a symlink to a file': (at, age) => ({ [`${at}-t`]: file(`:xxx:yyy:${age}`), [at]: symlink(`${beside(at)}-t`, bin) }),
  'a symlink to a symlink to a file': (at, age) => ({
    [`${at}-t`]: file(`:xxx:yyy:${age}`),
    [`${at}-s`]: symlink(`./${beside(at)}-t`, bin),
    [at]: symlink(`${beside(at)}-s`, bin),
  }),
  'a symlink to nothing': (at) => ({ [at]: symlink(`${beside(at)}-t`, bin) }),
  'a directory': (at, age) => ({
    [at]: dir(),
    [`${at}/a`]: file(''),
    [`${at}/pop/b`]: file(`:aaa:${age}`),
    [`${at}/pop/c`]: dir(),
  }),
  'an empty directory': (at) => ({ [at]: dir() }),
  'a symlink to a directory': (at, age) => ({ [`${at}-t/a`]: file(age), [at]: symlink(`${beside(at)}-t`, bin) }),
  'a symlink to a symlink to a directory': (at, age) => ({
    [`${at}-t/a`]: file(age),
    [`${at}-s`]: symlink(`${beside(at)}-t`),
    [at]: symlink(`../${at.split('/').at(-2) ?? ''}/${beside(at)}-s`),
  }),
  'a file with another name': (at, age) => ({ [at]: file(`:lll:${age}`), [`${at}-l`]: link(at) }),
};

type Sides = { readonly lower: Layer; readonly upper: Layer };

/** Where the object is; `gone` is an object that upper has whited out, `never` no object at all. */
export const places: Readonly<Record<string, (make: Make, at: string) => Sides>> = {
  'in lower': (make, at) => ({ lower: make(at, 'zzz'), upper: {} }),
  'in upper': (make, at) => ({ lower: {}, upper: make(at, 'new') }),
  'in both': (make, at) => ({ lower: make(at, 'old'), upper: make(at, 'new') }),
  'in upper over another type': (make, at) => ({
    lower: isDirectory(make(at, '')[at]) ? { [at]: file('other') } : { [`${at}/other`]: file('other') },
    upper: make(at, 'new'),
  }),
  'whited out': (make, at) => ({ lower: make(at, 'old'), upper: { [at]: whiteout() } }),
};

const isDirectory = (entry: Entry | undefined): boolean => entry?.type === 'dir';

/** One combination: what is in its directory, and what is done there in each stage. Paths begin with the directory. */
export interface Row {
  readonly sides: (at: (name: string) => string) => readonly Sides[];
  readonly stages: (at: (name: string) => string) => readonly (readonly Op[])[];
}

const stages = 3;

/** Makes one case of rows that share a name. */
export function table(name: string, rows: readonly Row[]): StagedCase {
  const lower: Record<string, Entry> = {};
  const upper: Record<string, Entry> = {};
  const ops: Op[][] = Array.from({ length: stages }, () => []);
  rows.forEach(({ sides, stages: made }, i) => {
    const at = (path: string): string => `n${i}/${path}`;
    lower[`n${i}`] = dir({ mode: 0o777 });
    for (const side of sides(at)) {
      Object.assign(lower, side.lower);
      Object.assign(upper, side.upper);
    }
    made(at).forEach((some, stage) => ops[stage]?.push(...some.map(any)));
  });
  return { name, stack: { lower: [lower], upper } satisfies Stack, stages: ops };
}

/** An opaque directory that hides what a lower has under the object's name. */
export const hidden = (at: string): Sides => ({ lower: { [`${at}/hidden`]: file('') }, upper: { [at]: opaque() } });
