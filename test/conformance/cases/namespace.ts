// Every namespace operation on every state of its object.

import { any, cat, close, fstat, gives, ino, link, lstat, mkdir, mknod, open, put, readdir, readlink, rename, rmdir, symlink, unlink, write } from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import type { Case } from '../run.js';
import { absentStates, dirStates, fileStates } from './states.js';
import type { State } from './states.js';

/** Operations by title. Whether they succeed depends on the state, so the kinds of mount only have to agree. */
type Table = Readonly<Record<string, readonly Op[]>>;

const seen: readonly Op[] = [any(readdir('d')), any(readdir('d/s'))];

const onFile: Table = {
  'stat and read': [lstat('d/f'), cat('d/f'), gives([], { op: 'direntinos', path: 'd' })],
  'O_CREAT|O_EXCL': [open('a', 'd/f', 'RDWR|CREAT|EXCL')],
  'O_CREAT and write': [open('a', 'd/f', 'RDWR|CREAT'), write('a', 'W'), fstat('a'), cat('d/f')],
  'O_TRUNC': [open('a', 'd/f', 'WRONLY|TRUNC'), fstat('a'), write('a', 'W'), cat('d/f')],
  'O_RDONLY|O_TRUNC': [open('a', 'd/f', 'RDONLY|TRUNC'), fstat('a'), cat('d/f')],
  'O_APPEND': [open('a', 'd/f', 'WRONLY|APPEND'), write('a', 'W'), write('a', 'X'), cat('d/f')],
  'O_DIRECTORY': [open('a', 'd/f', 'RDONLY|DIRECTORY')],
  'lookup below it': [lstat('d/f/below')],
  'mkdir over it': [mkdir('d/f')],
  'mknod over it': [mknod('d/f', 'fifo')],
  'symlink over it': [symlink('x', 'd/f')],
  'rmdir of it': [rmdir('d/f')],
  'unlink': [unlink('d/f'), lstat('d/f'), readdir('d'), unlink('d/f'), put('d/f', 'anew'), cat('d/f')],
  'unlink and mkdir': [unlink('d/f'), mkdir('d/f'), readdir('d/f'), rmdir('d/f'), put('d/f', 'back'), cat('d/f')],
  'unlink while open': [open('a', 'd/f', 'RDWR'), unlink('d/f'), fstat('a'), write('a', 'W'), fstat('a'), put('d/f', 'other'), fstat('a'), close('a'), cat('d/f')],
  'link': [link('d/f', 'd/l'), lstat('d/f'), lstat('d/l'), ino('d/f'), ino('d/l'), put('d/l', 'through'), cat('d/f')],
  'link to another directory': [mkdir('o'), link('d/f', 'o/l'), unlink('d/f'), lstat('o/l'), cat('o/l')],
  'link onto itself': [link('d/f', 'd/f')],
  'rename': [ino('d/f'), rename('d/f', 'd/t'), ino('d/t'), lstat('d/f'), cat('d/t'), readdir('d')],
  'rename onto itself': [rename('d/f', 'd/f'), cat('d/f')],
  'rename to another directory': [mkdir('o'), rename('d/f', 'o/t'), readdir('d'), cat('o/t'), rename('o/t', 'd/f'), cat('d/f')],
  'rename over a new file': [put('d/t', 'target'), rename('d/f', 'd/t'), cat('d/t'), readdir('d')],
  'rename of a new file over it': [put('d/t', 'source'), rename('d/t', 'd/f'), cat('d/f'), readdir('d')],
  'rename over an empty directory': [mkdir('d/t'), rename('d/f', 'd/t')],
  'rename of a directory over it': [mkdir('d/t'), rename('d/t', 'd/f')],
  'rename NOREPLACE to a free name': [rename('d/f', 'd/t', 'NOREPLACE'), cat('d/t'), lstat('d/f')],
  'rename NOREPLACE over it': [put('d/t', ''), rename('d/t', 'd/f', 'NOREPLACE'), cat('d/f')],
  'rename EXCHANGE with a new file': [put('d/t', 'T'), rename('d/f', 'd/t', 'EXCHANGE'), cat('d/f'), cat('d/t'), readdir('d')],
  'rename EXCHANGE with a new directory': [mkdir('d/t'), put('d/t/i', 'I'), rename('d/t', 'd/f', 'EXCHANGE'), cat('d/f/i'), cat('d/t')],
  'rename EXCHANGE with nothing': [rename('d/f', 'd/absent', 'EXCHANGE')],
};

const onDir: Table = {
  'list': [lstat('d/s'), readdir('d/s'), readdir('d'), gives([], { op: 'direntinos', path: 'd/s' }), gives([], { op: 'seekdirs', path: 'd/s' })],
  'create below it': [put('d/s/new', 'N'), readdir('d/s'), cat('d/s/new')],
  'create what a lower had': [put('d/s/x', 'mine'), readdir('d/s'), cat('d/s/x')],
  'mkdir over it': [mkdir('d/s')],
  'mkdir below it': [mkdir('d/s/n'), mkdir('d/s/n/m'), put('d/s/n/m/o', ''), readdir('d/s')],
  'open for writing': [open('a', 'd/s', 'WRONLY')],
  'O_CREAT on it': [open('a', 'd/s', 'RDONLY|CREAT')],
  'unlink of it': [unlink('d/s')],
  'readlink of it': [readlink('d/s')],
  'rmdir': [rmdir('d/s'), readdir('d'), mkdir('d/s'), readdir('d/s')],
  'rmdir once emptied': [unlink('d/s/x'), unlink('d/s/y'), rmdir('d/s'), readdir('d'), mkdir('d/s'), readdir('d/s'), put('d/s/x', 'new'), readdir('d/s')],
  'rename': [ino('d/s'), rename('d/s', 'd/t'), ino('d/t'), readdir('d'), readdir('d/t'), cat('d/t/x'), lstat('d/s'), put('d/t/new', ''), mkdir('d/s'), readdir('d/s')],
  'rename to another directory': [mkdir('o'), rename('d/s', 'o/t'), readdir('o/t'), cat('o/t/x'), put('o/t/x', 'changed'), rename('o/t', 'd/s'), cat('d/s/x')],
  'rename twice': [rename('d/s', 'd/t'), rename('d/t', 'u'), readdir('u'), put('u/x', 'after'), readdir('u'), readdir('d')],
  'rename over an empty new directory': [mkdir('d/t'), rename('d/s', 'd/t'), readdir('d/t'), readdir('d')],
  'rename over a full directory': [mkdir('d/t'), put('d/t/i', ''), rename('d/s', 'd/t'), readdir('d')],
  'rename over a file': [put('d/t', ''), rename('d/s', 'd/t')],
  'rename of a new directory over it': [mkdir('d/t'), put('d/t/i', 'I'), rename('d/t', 'd/s'), readdir('d'), readdir('d/s')],
  'rename of a file over it': [put('d/t', ''), rename('d/t', 'd/s')],
  'rename into itself': [rename('d/s', 'd/s/below')],
  'rename of the parent into it': [rename('d', 'd/s/below')],
  'rename NOREPLACE': [rename('d/s', 'd/t', 'NOREPLACE'), readdir('d/t'), mkdir('d/s'), rename('d/s', 'd/t', 'NOREPLACE')],
  'rename EXCHANGE with a new directory': [mkdir('d/t'), put('d/t/i', 'I'), rename('d/s', 'd/t', 'EXCHANGE'), readdir('d/s'), readdir('d/t')],
  'rename EXCHANGE with a new file': [put('d/t', 'T'), rename('d/s', 'd/t', 'EXCHANGE'), cat('d/s'), readdir('d/t')],
  'rename EXCHANGE with its parent': [rename('d/s', 'd', 'EXCHANGE')],
  'rename the parent': [rename('d', 'e'), readdir('e'), readdir('e/s'), put('e/s/new', ''), rename('e/s', 'e/t'), readdir('e/t')],
  'link of a directory': [link('d/s', 'd/l')],
};

const onNothing: Table = {
  'lookup': [lstat('d/n'), readdir('d'), cat('d/n')],
  'create': [open('a', 'd/n', 'RDWR|CREAT|EXCL', 0o604), write('a', 'N'), fstat('a'), cat('d/n'), readdir('d'), unlink('d/n'), lstat('d/n'), readdir('d')],
  'mkdir': [mkdir('d/n', 0o705), lstat('d/n'), readdir('d/n'), put('d/n/x', 'new'), readdir('d/n'), unlink('d/n/x'), rmdir('d/n'), readdir('d')],
  'mkdir and fill, rename away, mkdir': [mkdir('d/n'), put('d/n/x', '1'), rename('d/n', 'd/m'), mkdir('d/n'), readdir('d/n'), cat('d/m/x')],
  'mknod fifo': [mknod('d/n', 'fifo', 0o611), lstat('d/n'), readdir('d'), unlink('d/n'), lstat('d/n')],
  'mknod socket': [mknod('d/n', 'socket'), lstat('d/n'), readdir('d')],
  'mknod device': [mknod('d/n', 'chr', 0o600, [1, 3]), lstat('d/n'), mknod('d/m', 'blk', 0o600, [7, 99]), lstat('d/m'), readdir('d')],
  'mknod file': [mknod('d/n', 'file'), lstat('d/n'), cat('d/n')],
  'symlink': [symlink('to/nowhere', 'd/n'), lstat('d/n'), readlink('d/n'), readdir('d'), unlink('d/n'), mkdir('d/n'), readdir('d/n')],
  'link to it': [put('d/t', 'T'), link('d/t', 'd/n'), lstat('d/n'), cat('d/n'), unlink('d/t'), lstat('d/n')],
  'unlink': [unlink('d/n'), rmdir('d/n')],
  'rename of it': [rename('d/n', 'd/t')],
  'rename of a file to it': [put('d/t', 'T'), rename('d/t', 'd/n'), cat('d/n'), readdir('d')],
  'rename of a directory to it': [mkdir('d/t'), put('d/t/i', ''), rename('d/t', 'd/n'), readdir('d/n'), readdir('d'), rename('d/n', 'd/t'), lstat('d/n'), readdir('d/t')],
  'rename NOREPLACE to it': [put('d/t', 'T'), rename('d/t', 'd/n', 'NOREPLACE'), cat('d/n'), rename('d/n', 'd/t', 'NOREPLACE'), lstat('d/n')],
  'rename EXCHANGE with it': [put('d/t', 'T'), rename('d/t', 'd/n', 'EXCHANGE')],
};

function table(states: readonly State[], rows: Table): Case[] {
  const cases: Case[] = [];
  for (const state of states) {
    for (const [title, ops] of Object.entries(rows)) {
      const compared = ops.map((op) => ('gives' in op ? op : any(op)));
      cases.push({ name: `${title}: ${state.name}`, stack: state.stack, ops: [...state.steps, ...compared, ...seen] });
    }
  }
  return cases;
}

export const fileCases = table(fileStates, onFile);
export const dirCases = table(dirStates, onDir);
export const absentCases = table(absentStates, onNothing);
