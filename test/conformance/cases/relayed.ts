// What the oracle found where data goes through the server.

import { append, cat, close, fails, gives, mmap, msync, munmap, mwrite, open, pwrite, write } from '../../support/ops.js';
import { setflags } from '../../support/ops-objects.js';
import { file } from '../../support/tree.js';
import type { Case } from '../run.js';

export const relayedCases: readonly Case[] = [
  {
    name: 'what a map of a file opened for appending writes stays where it was written',
    stack: { lower: [{ 'd/f': file('lower file') }] },
    ops: [
      open('f', 'd/f', 'RDWR|APPEND'),
      mmap('m', 'f', 4096, 'rw', true),
      mwrite('m', 2, 'MAP'),
      msync('m'),
      gives('loMAP file', cat('d/f')),
      write('f', '+one'),
      pwrite('f', 0, '+two'),
      mwrite('m', 0, 'X'),
      munmap('m'),
      close('f'),
      append('d/f', '+three'),
      gives('XoMAP file+one+two+three', cat('d/f')),
    ],
  },
  {
    name: 'an append-only file is appended to',
    stack: { lower: [{ 'd/f': file('log') }] },
    ops: [
      setflags('d/f', 'a'),
      open('f', 'd/f', 'WRONLY|APPEND'),
      write('f', '+one'),
      pwrite('f', 0, '+two'),
      fails('EPERM', open('g', 'd/f', 'WRONLY')),
      append('d/f', '+three'),
      close('f'),
      setflags('d/f', ''),
      gives('log+one+two+three', cat('d/f')),
    ],
  },
];
