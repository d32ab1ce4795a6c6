// What the oracle found beyond names and listings, made small: programs that run, long paths, flags of inodes.

import {
  any, append, cat, chmod, chown, close, copyrange, fails, fallocate, gives, link, lstat, mkdir, mmap, mwrite, open, put, pwrite, readdir, rename, rmdir, setxattr, stat, truncate, unlink,
  utimens,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { at, getflags, setflags, start, stop } from '../../support/ops-objects.js';
import { dir, file, symlink, whiteout } from '../../support/tree.js';
import type { Layer } from '../../support/tree.js';
import { PROGRAM } from '../oracle/program.js';
import type { Case } from '../run.js';

const long = (letter: string): string => letter.repeat(255);
const line = Array.from({ length: 18 }, () => long('d'));
const down: Layer = Object.fromEntries(line.map((_, i) => [line.slice(0, i + 1).join('/'), dir()]));
const far = (op: Op): Op => at(line.slice(0, 17), op);
const OLD = '1000000000000000000';
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
    name: 'what is written through a map shows in the time of a file that was looked at before',
    stack: { lower: [{ 'd/f': file('lower') }], upper: { 'd/g': file('upper') } },
    ops: ['d/f', 'd/g', 'd/n'].flatMap((path) => [
      put(path, 'anew'),
      utimens(path, OLD, OLD),
      stat(path),
      open('f', path, 'RDWR'),
      mmap('m', 'f', 4, 'rw', true),
      mwrite('m', 0, 'MAP'),
      stat(path),
      utimens(path, OLD, OLD),
      close('f'),
      mwrite('m', 1, 'MAP'),
      stat(path),
    ]),
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

const refusals: readonly Op[] = [
  fails('EPERM', put('d/f', 'x')),
  fails('EPERM', open('w', 'd/f', 'RDWR')),
  fails('EPERM', truncate('d/f', 0)),
  fails('EPERM', chmod('d/f', 0o600)),
  fails('EPERM', chown('d/f', 1, 1)),
  fails('EPERM', utimens('d/f', '1234567890000000000', '1234567890000000000')),
  fails('EPERM', setxattr('d/f', 'user.x', 'v')),
  fails('EPERM', link('d/f', 'd/l')),
  fails('EPERM', unlink('d/f')),
  fails('EPERM', rename('d/f', 'd/g')),
  fails('EPERM', rename('d/o', 'd/f')),
  fails('EPERM', rename('d/o', 'd/f', 'EXCHANGE')),
];
const freed: readonly Op[] = [setflags('d/f', ''), append('d/f', '!'), rename('d/f', 'd/g'), cat('d/g'), unlink('d/g')];

const gone: Layer = { 'd/f': file('f'), 'd/g': file('g'), 'd/h': file('h'), 'd/k': file('k'), 'd/s': dir() };

/** chattr i and a; lower, and on upper after the union set them itself. */
export const protectionCases: readonly Case[] = (['i', 'a'] as const).flatMap((flags): Case[] => {
  const given = { 'd/f': file('lower', { flags }), 'd/o': file('o') };
  const appended: readonly Op[] =
    flags === 'i'
      ? [fails('EPERM', append('d/f', '+'))]
      : [append('d/f', '+'), append('d/f', '+'), gives('lower++', cat('d/f')), gives('a', getflags('d/f')), ...refusals];
  return [
    { name: `a lower file with chattr ${flags}`, stack: { lower: [given] }, ops: [gives(flags, getflags('d/f')), ...refusals, ...appended, ...freed] },
    { name: `an upper file with chattr ${flags}`, stack: { lower: [{}], upper: { 'd/f': file('lower'), 'd/o': file('o') } }, ops: [setflags('d/f', flags), gives(flags, getflags('d/f')), ...refusals, ...appended, ...freed] },
    { name: `in a directory that got chattr ${flags}, what lower has can be changed`, stack: { lower: [{ 'd/f': file('lower'), 'd/s/g': file('g') }] }, ops: [
      setflags('d', flags), chmod('d/f', 0o600), append('d/f', '+'), append('d/s/g', '+'), chmod('d/s', 0o700), put('d/s/n', 'n'),
      gives(flags, getflags('d')), stat('d'), fails('EPERM', unlink('d/f')), fails('EPERM', rename('d/s', 'd/t')), setflags('d', ''), unlink('d/f'),
    ] },
    { name: `a directory with names in it that got chattr ${flags}`, stack: { lower: [{ 'd/s/g': file('g'), 'e/h': file('h') }] }, ops: [
      setflags('d/s', flags), ...[rmdir('d/s'), rename('e', 'd/s'), rename('d/s', 'e')].map((op) => fails('EPERM', op)), setflags('d/s', ''), fails('ENOTEMPTY', rmdir('d/s')),
      setflags('d', flags), ...[rmdir('d/s'), rename('e', 'd/s'), rename('d/s', 'e')].map((op) => fails('EPERM', op)), setflags('d', ''), fails('ENOTEMPTY', rename('e', 'd/s')),
    ] },
    { name: `names that went from a directory before it got chattr ${flags}`, stack: { lower: [{ ...gone, 'e/m': file('m'), 'e/n': dir() }] }, ops: [
      ...['f', 'g', 'h', 'k'].map((name) => unlink(`d/${name}`)), rmdir('d/s'), setflags('d', flags),
      ...[put('d/f', 'again'), mkdir('d/g'), link('e/m', 'd/h'), rename('e/m', 'd/k'), rename('e/n', 'd/s')].map((op) => (flags === 'i' ? fails('EPERM', op) : op)),
      gives(flags, getflags('d')), readdir('d'), setflags('d', ''),
    ] },
    { name: `what lower has stays in a directory that got chattr ${flags}`, stack: { lower: [{ 'd/f': file('f'), 'd/l': symlink('f'), 'd/t': dir(), 'e/m': file('m') }] }, ops: [
      setflags('d', flags), ...[unlink('d/l'), unlink('d/f'), rmdir('d/t'), rename('d/f', 'e/f'), rename('e/m', 'd/f')].map((op) => fails('EPERM', op)),
      readdir('d'), setflags('d', ''), unlink('d/l'), rmdir('d/t'), rename('e/m', 'd/f'),
    ] },
    { name: `a file that was open for writing when it got chattr ${flags}`, stack: { lower: [{ 'd/f': file('lower') }] }, ops: [
      open('w', 'd/f', 'RDWR'), pwrite('w', 0, 'some', 3), setflags('d/f', flags), any(copyrange('w', 0, 'w', 16, 8)), any(fallocate('w', '', 30, 10)),
      any(fallocate('w', 'KEEP_SIZE', 60, 10)), gives(flags, getflags('d/f')), cat('d/f'), close('w'), setflags('d/f', ''),
    ] },
    { name: `names like whiteouts in a directory that got chattr ${flags}`, stack: { lower: [{ 'd/f': file('f'), 'e/m': file('m') }], upper: { 'u/f': file('f') } }, ops: ['d', 'u'].flatMap((at) => [
      setflags(at, flags), ...[put(`${at}/.wh.f`, 'x'), mkdir(`${at}/.wh.d`), rename('e/m', `${at}/.wh.m`)].map((op) => (flags === 'i' ? fails('EPERM', op) : op)),
      gives(flags, getflags(at)), readdir(at), setflags(at, ''), put(`${at}/.wh.g`, 'y'), readdir(at), put('e/m', 'again'),
    ]) },
    { name: `layers with a directory that has chattr ${flags}`, stack: { lower: [{ 'd/s/g': file('g'), 'd/t/h': file('h') }] }, ops: [
      chmod('d/s', 0o700), setflags('d/s', flags), chmod('d/t', 0o700), setflags('d', flags), readdir('d'), readdir('d/s'),
    ] },
    { name: `a lower directory with chattr ${flags}`, stack: { lower: [{ 'd/s': dir({ flags }), 'd/s/f': file('f'), 'd/s/t': dir() }] }, ops: [
      ...[unlink('d/s/f'), rmdir('d/s/t'), rename('d/s/f', 'd/f'), rmdir('d/s'), rename('d/s', 'd/t'), chmod('d/s', 0o700)].map((op) => fails('EPERM', op)),
      ...(flags === 'i' ? [put('d/s/n', 'n'), mkdir('d/s/m'), link('d/s/f', 'd/s/l')].map((op) => fails('EPERM', op)) : []),
      setflags('d/s', ''), unlink('d/s/f'), put('d/s/n', 'n'),
    ] },
  ];
});
