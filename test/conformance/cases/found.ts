// What the oracle found beyond names and listings, made small: programs that run, long paths, flags of inodes.

import { append, chmod, fails, gives, lstat, mkdir, open, put, readdir, rename, rmdir, stat, truncate } from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { at, getflags, start, stop } from '../../support/ops-objects.js';
import { dir, file, whiteout } from '../../support/tree.js';
import type { Layer } from '../../support/tree.js';
import { PROGRAM } from '../oracle/program.js';
import type { Case } from '../run.js';

const long = (letter: string): string => letter.repeat(255);
const line = Array.from({ length: 18 }, () => long('d'));
const down: Layer = Object.fromEntries(line.map((_, i) => [line.slice(0, i + 1).join('/'), dir()]));
const far = (op: Op): Op => at(line.slice(0, 17), op);
const program = { 'd/p': file(PROGRAM, { mode: 0o755 }) };

export const objectCases: readonly Case[] = [
  {
    name: 'a running lower program that was copied up cannot be written',
    stack: { lower: [program] },
    ops: [
      start('p', 'd/p'),
      rename('d/p', 'd/q'),
      fails('ETXTBSY', open('f', 'd/q', 'RDWR')),
      fails('ETXTBSY', truncate('d/q', 1)),
      fails('ETXTBSY', put('d/q', 'over it')),
      stop('p'),
      put('d/q', 'after it'),
    ],
  },
  {
    name: 'a lower file that is open for writing cannot be run',
    stack: { lower: [program] },
    ops: [open('f', 'd/p', 'RDWR'), fails('ETXTBSY', start('p', 'd/p')), rename('d/p', 'd/q'), fails('ETXTBSY', start('p', 'd/q'))],
  },
  {
    name: 'a lower directory further down than a redirect reaches is renamed where it is',
    stack: { lower: [{ ...down, [[...line, 'f'].join('/')]: file('f') }, down] },
    ops: [
      far(rename(long('d'), long('e'))),
      gives([['f', 'file']], far(readdir(long('e')))),
      far(rename(long('e'), 'x')),
      gives([['f', 'file']], far(readdir('x'))),
      far(mkdir(long('d'))),
      gives([], far(readdir(long('d')))),
      far(rename(long('d'), 'x', 'EXCHANGE')),
      gives([['f', 'file']], far(readdir(long('d')))),
    ],
  },
  {
    name: 'a lower directory further down than a redirect reaches cannot go elsewhere',
    stack: { lower: [{ ...down, [[...line, 'f'].join('/')]: file('f') }, down] },
    differs: { plain: 'it has no redirects' },
    ops: [fails('EXDEV', far(rename(long('d'), '../x'))), fails('ENOENT', far(lstat('../x'))), far(readdir(long('d')))],
  },
  {
    name: 'a directory that was renamed where it is takes the place of a whiteout',
    stack: { lower: [{ 'c/x': file('x'), d: file('gone') }], upper: { d: whiteout() } },
    ops: [
      rename('c', 'e'),
      rename('e', 'd'),
      fails('ENOTEMPTY', rmdir('d')),
      gives([['x', 'file']], readdir('d')),
      mkdir('s'),
      rename('d', 's/d'),
      gives([['x', 'file']], readdir('s/d')),
    ],
  },
  {
    name: 'a copy keeps the flags of its inode',
    stack: { lower: [{ 'd/f': file('lower', { flags: 'SA' }), 'd/s': dir({ flags: 'A' }), 'd/s/g': file('g') }] },
    ops: [
      append('d/f', '!'),
      gives('SA', getflags('d/f')),
      chmod('d/s', 0o700),
      gives('A', getflags('d/s')),
      stat('d/s'),
    ],
  },
];
