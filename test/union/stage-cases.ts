// Operations whose every stage is looked at by stages.test.ts: what lies on the layers, what was done before, the
// operation itself.

import { Rename } from '../../src/native/syscalls.js';
import type { Step } from './stages.js';
import { type Maker, type Spec, file, symlink, withXattrs } from './disk.js';
import { sys } from '../../src/native/load.js';

export interface StageCase {
  readonly name: string;
  /** Topmost first. */
  readonly lowers: readonly Spec[];
  /** Done, and mounted anew, before the operation. */
  readonly before?: readonly Step[];
  readonly ops: readonly Step[];
  /** Why kernel overlayfs cannot show the upper as we do. */
  readonly kernelTree?: string;
  /** Copies that must keep their numbers, beside all in cases of copy-up. */
  readonly numbered?: readonly string[];
  /** RENAME_WHITEOUT is refused. */
  readonly noWhiteoutRename?: boolean;
  /** Then a rename over something may leave both names. */
  readonly bothNames?: boolean;
}

/** A further name, in the same directory, of a file that the spec made before. */
const hardLink =
  (of: string): Maker =>
  (dirfd, name) => {
    if (sys.linkat(dirfd, of, dirfd, name) !== 0) throw new Error(`link ${of} ${name}`);
  };

const plain: Spec[] = [
  { 'd/f': withXattrs(file('old content', 0o640), { 'user.note': 'kept' }), 'd/g': 'other', 'e/x': 'x', top: 't' },
];
const deep: Spec[] = [{ 'd/e/f': withXattrs(file('old content', 0o640), { 'user.note': 'kept' }) }];
const merged: Spec[] = [
  { 'm/1': 'one', 'm/sub/x': 'x', 'n/3': 'three' },
  { 'm/2': 'two', 'm/sub/y': 'y', 'other/z': 'z', 'n/4': 'four', 'empty/': '' },
];
const linked: Spec[] = [{ a: 'linked', b: hardLink('a'), c: hardLink('a'), 'd/x': 'x' }];
/** What is in the way of the numbers comes first where all is looked at in order. */
const linkedApart: Spec[] = [{ z: 'linked', 'd/b': hardLink('../z'), 'd/x': 'x' }];
const apart: Spec[] = [{ 'a/x': 'x', 'd/f': 'f' }];
const brokenLinks = 'the kernel does not read what keeps links of lower files together (DESIGN.md)';

const bare: readonly StageCase[] = [
  { name: 'rename of a lower file', lowers: plain, ops: [['rename', 'd/f', 'top2']] },
  { name: 'rename of a lower file over a lower one', lowers: plain, ops: [['rename', 'd/f', 'top']], bothNames: true },
  {
    name: 'rename of a lower file over an upper one',
    lowers: plain,
    before: [['create', 'tmp']],
    ops: [['rename', 'd/f', 'tmp']],
    bothNames: true,
  },
  { name: 'rename of a merged directory', lowers: merged, ops: [['rename', 'm', 'other/m2']] },
  {
    name: 'rename of a merged directory over an upper one',
    lowers: merged,
    before: [['mkdir', 'fresh']],
    ops: [['rename', 'm', 'fresh']],
    bothNames: true,
  },
  { name: 'rename of a merged directory over a lower one', lowers: merged, ops: [['rename', 'm', 'empty']], bothNames: true },
];
const noWhiteout = bare.map((item) => ({ ...item, name: `${item.name}, without RENAME_WHITEOUT`, noWhiteoutRename: true }));

export const stageCases: readonly StageCase[] = [
  ...noWhiteout,
  { name: 'copy-up by chmod, below two lower directories', lowers: deep, ops: [['chmod', 'd/e/f', 0o600]] },
  { name: 'copy-up by a write', lowers: plain, ops: [['write', 'd/f', 'NEW CONTENT']] },
  { name: 'copy-up by truncation', lowers: plain, ops: [['truncate', 'd/f', 3]] },
  { name: 'copy-up by O_TRUNC', lowers: plain, ops: [['openTruncating', 'd/f']] },
  {
    name: 'copy-up of a symlink by rename',
    lowers: [{ 'd/l': symlink('somewhere'), 'd/k': 'k' }],
    ops: [['rename', 'd/l', 'd/k']],
  },
  { name: 'chmod of a merged directory', lowers: merged, ops: [['chmod', 'm', 0o700]] },
  { name: 'unlink of a lower file', lowers: plain, ops: [['unlink', 'd/f']] },
  {
    name: 'unlink of an upper file over a lower one',
    lowers: plain,
    before: [['chmod', 'd/f', 0o600]],
    ops: [['unlink', 'd/f']],
  },
  { name: 'unlink of an upper file', lowers: plain, before: [['create', 'd/new']], ops: [['unlink', 'd/new']] },
  { name: 'rmdir of a lower directory', lowers: merged, ops: [['rmdir', 'empty']] },
  {
    name: 'rmdir of a merged directory full of whiteouts',
    lowers: merged,
    before: [
      ['unlink', 'n/3'],
      ['unlink', 'n/4'],
    ],
    ops: [['rmdir', 'n']],
  },
  { name: 'create over a whiteout', lowers: plain, before: [['unlink', 'd/f']], ops: [['create', 'd/f']] },
  {
    name: 'mkdir over the whiteout of a directory',
    lowers: merged,
    before: [['rmdir', 'empty']],
    ops: [['mkdir', 'empty']],
  },
  {
    name: 'an opaque directory takes the place of a merged one',
    lowers: merged,
    before: [
      ['unlink', 'n/3'],
      ['unlink', 'n/4'],
      ['mkdir', 'fresh'],
      ['create', 'fresh/f'],
    ],
    ops: [['rename', 'fresh', 'n']],
  },
  { name: 'rename of a lower file', lowers: plain, ops: [['rename', 'd/f', 'top2']] },
  { name: 'rename of a lower file over a lower one', lowers: plain, ops: [['rename', 'd/f', 'top']] },
  {
    name: 'rename of an upper file over a lower one',
    lowers: plain,
    before: [['create', 'tmp']],
    ops: [['rename', 'tmp', 'd/f']],
  },
  {
    name: 'rename over a whiteout',
    lowers: plain,
    before: [['unlink', 'd/g']],
    ops: [['rename', 'd/f', 'd/g']],
  },
  { name: 'rename of a lower directory', lowers: plain, ops: [['rename', 'd', 'd2']] },
  { name: 'rename of a merged directory', lowers: merged, ops: [['rename', 'm', 'other/m2']] },
  {
    name: 'rename of a directory over a whiteout',
    lowers: merged,
    before: [['rmdir', 'empty']],
    ops: [['rename', 'm', 'empty']],
  },
  { name: 'exchange of two lower files', lowers: plain, ops: [['rename', 'd/f', 'top', Rename.EXCHANGE]] },
  { name: 'exchange of two merged directories', lowers: merged, ops: [['rename', 'm', 'n', Rename.EXCHANGE]] },
  { name: 'exchange of a directory and a file', lowers: merged, ops: [['rename', 'm', 'other/z', Rename.EXCHANGE]] },
  { name: 'link of a lower file', lowers: plain, ops: [['link', 'd/f', 'd/h']] },
  {
    name: 'link of a copied-up file into another directory',
    lowers: apart,
    before: [['chmod', 'd/f', 0o600]],
    ops: [['link', 'd/f', 'a/h']],
    numbered: ['a/h', 'd/f'],
  },
  { name: 'link over a whiteout', lowers: plain, before: [['unlink', 'd/g']], ops: [['link', 'd/f', 'd/g']] },
  { name: 'copy-up of a file with three names', lowers: linked, ops: [['write', 'a', 'LINKED']], kernelTree: brokenLinks },
  {
    name: 'truncation of a file with three names',
    lowers: linked,
    ops: [['openTruncating', 'a']],
    kernelTree: brokenLinks,
  },
  {
    name: 'rename of a second name of a copied-up file',
    lowers: linked,
    before: [['write', 'a', 'LINKED']],
    ops: [['rename', 'b', 'd/b2']],
    kernelTree: brokenLinks,
  },
  {
    name: 'rename of a second name in another directory',
    lowers: linkedApart,
    before: [['write', 'z', 'LINKED']],
    numbered: ['d/b', 'd/b2', 'z'],
    ops: [['rename', 'd/b', 'd/b2']],
    kernelTree: brokenLinks,
  },
  { name: 'unlink of one of three names', lowers: linked, ops: [['unlink', 'b']], kernelTree: brokenLinks },
  {
    name: 'unlink of a name that only the lower layer has',
    lowers: linked,
    before: [['write', 'a', 'LINKED']],
    ops: [['unlink', 'b']],
    kernelTree: brokenLinks,
  },
  {
    name: 'unlink of the last name but one',
    lowers: linked,
    before: [
      ['write', 'a', 'LINKED'],
      ['unlink', 'a'],
    ],
    ops: [['unlink', 'b']],
    kernelTree: brokenLinks,
  },
  {
    name: 'unlink of the last name',
    lowers: linked,
    before: [
      ['write', 'a', 'LINKED'],
      ['unlink', 'a'],
      ['unlink', 'b'],
    ],
    ops: [['unlink', 'c']],
    kernelTree: brokenLinks,
  },
  {
    name: 'a file renamed over one of three names',
    lowers: linked,
    before: [
      ['write', 'a', 'LINKED'],
      ['create', 'n'],
    ],
    ops: [['rename', 'n', 'b']],
    kernelTree: brokenLinks,
  },
  {
    name: 'link of a copied-up file with three names',
    lowers: linked,
    before: [['write', 'a', 'LINKED']],
    ops: [['link', 'c', 'd/l']],
    kernelTree: brokenLinks,
  },
  {
    name: 'rename between directories of a copied-up file',
    lowers: plain,
    before: [['chmod', 'd/f', 0o600]],
    ops: [['rename', 'd/f', 'e/f2']],
  },
];
