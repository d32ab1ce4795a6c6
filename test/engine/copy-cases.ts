// Sources, destinations and outcomes of `cp`, for containers that run and those that do not. What is expected is what Docker's
// own daemon and client do; a path that ends with a slash means the directory that a link leads to.

import { chownSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientName } from '../support/engine-rig.js';

/** A tree in a line: `dir/ dir/g=g link>f`; contents without their newline. */
export function listing(dir: string, prefix = ''): string {
  return readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry) => {
      const path = join(dir, entry.name);
      const shown = `${prefix}${entry.name}`;
      if (entry.isSymbolicLink()) return `${shown}>${readlinkSync(path)}`;
      if (!entry.isDirectory()) return `${shown}=${readFileSync(path, 'utf8').trim()}`;
      const inner = listing(path, `${shown}/`);
      return inner === '' ? `${shown}/` : `${shown}/ ${inner}`;
    })
    .join(' ');
}

export function makeSource(dir: string): void {
  mkdirSync(join(dir, 'd'), { recursive: true });
  for (const name of ['f', 'd/g']) writeFileSync(join(dir, name), `${name}\n`, { mode: 0o640 });
  chownSync(join(dir, 'f'), 1001, 1002);
  symlinkSync('f', join(dir, 'lf'));
  symlinkSync('d', join(dir, 'ld'));
}

export function makeDestination(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'dir'), { recursive: true });
  writeFileSync(join(dir, 'file'), 'old\n');
  for (const [name, to] of Object.entries({ lfile: 'file', ldir: 'dir', lnew: 'new' })) symlinkSync(to, join(dir, name));
}
const LINKS = 'ldir>dir lfile>file lnew>new';

type Case = readonly [source: string, destination: string, outcome: string, outcomeOut?: string];

/** What is in the destination afterwards; `!` begins words of the error that leaves it as it was. */
const CASES: readonly Case[] = [
  ['f', 'file', `dir/ file=f ${LINKS}`],
  ['f', 'dir', `dir/ dir/f=f file=old ${LINKS}`],
  ['f', 'dir/', `dir/ dir/f=f file=old ${LINKS}`],
  ['f', 'new', `dir/ file=old ${LINKS} new=f`],
  ['f', 'new/', '!no such directory'],
  ['f', 'file/', '!no such directory', '!not a directory'],
  ['f', 'no/deep', '!Could not find the file', '!directory ".*no" does not exist'],
  ['f', 'lfile', `dir/ file=f ${LINKS}`],
  ['f', 'ldir', `dir/ dir/f=f file=old ${LINKS}`],
  ['f', 'lnew', `dir/ file=old ${LINKS} new=f`],
  ['f/', 'dir', '!Could not find the file|not a directory'],
  ['d', 'file', '!cannot copy directory'],
  ['d', 'dir', `dir/ dir/d/ dir/d/g=d/g file=old ${LINKS}`],
  ['d', 'new', `dir/ file=old ${LINKS} new/ new/g=d/g`],
  ['d', 'new/', `dir/ file=old ${LINKS} new/ new/g=d/g`],
  ['d', 'ldir', `dir/ dir/d/ dir/d/g=d/g file=old ${LINKS}`],
  ['d/.', 'dir', `dir/ dir/g=d/g file=old ${LINKS}`],
  ['d/.', 'new', `dir/ file=old ${LINKS} new/ new/g=d/g`],
  ['d/.', 'file', '!cannot copy directory'],
  ['lf', 'dir', `dir/ dir/lf>f file=old ${LINKS}`],
  ['-L lf', 'dir', `dir/ dir/lf=f file=old ${LINKS}`],
  ['ld', 'dir', `dir/ dir/ld>d file=old ${LINKS}`],
  ['-L ld', 'new', `dir/ file=old ${LINKS} new/ new/g=d/g`],
  ['ld/', 'dir', `dir/ dir/ld/ dir/ld/g=d/g file=old ${LINKS}`],
  ['ld/.', 'dir', `dir/ dir/g=d/g file=old ${LINKS}`],
  ['nosuch', 'dir', '!no such file|Could not find the file'],
];

/** What a destination is before anything is copied to it. */
export const UNTOUCHED = `dir/ file=old ${LINKS}`;

/** Docker's client takes all ways; ours, which is slower to start, every third and those that it has to find by itself. */
export function casesFor(client: ClientName): readonly Case[] {
  return CASES.filter(([from], i) => client === 'docker' || i % 3 === 0 || /^-L lf|^ld\//.test(from));
}

/** `-L` in front of a source is a flag. */
export function flagged(text: string): [flags: string[], path: string] {
  return text.startsWith('-L ') ? [['-L'], text.slice(3)] : [[], text];
}
