// What the oracle found where data goes through the server.

import { append, cat, close, gives, mmap, msync, munmap, mwrite, open, pwrite, write } from '../../support/ops.js';
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
];
