// A directory tree as lines, one an entry, with all that tar carries: for comparing trees.

import { createHash } from 'node:crypto';
import { constants, lstatSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { sys } from '../../src/native/load.js';

export interface DumpOptions {
  /** Leaves out times of paths for which it gives false. */
  readonly times?: (path: string, directory: boolean) => boolean;
  /** Attribute names to leave out. */
  readonly ignoreXattr?: RegExp;
}

function contentOf(path: Buffer, mode: number): string {
  const type = mode & 0o170000;
  if (type === 0o120000) return `-> ${readlinkSync(path, 'latin1')}`;
  if (type === 0o100000) return createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16);
  return '';
}

const slash = openSync('/', constants.O_RDONLY | constants.O_DIRECTORY);

/** The attributes of an absolute path (bytes as latin1) that `ignore` does not match, by name. */
export function xattrsOf(path: string, ignore?: RegExp): Map<string, Buffer> {
  const relative = path.replace(/^\/+/, '');
  const names = sys.listxattr(slash, relative);
  if (typeof names === 'number') throw new Error(`listxattr ${path}: ${names}`);
  const kept = names.filter((name) => !ignore?.test(name)).sort();
  return new Map(kept.map((name) => [name, sys.getxattr(slash, relative, name) as Buffer]));
}

function showXattrs(path: Buffer, ignore: RegExp | undefined): string {
  return [...xattrsOf(path.toString('latin1'), ignore)].map(([name, value]) => `${name}=${value.toString('hex')}`).join(',');
}

/** Lines sorted by path, latin1. Hard links are shown by the first path of their inode. */
export function dumpTree(root: string, options: DumpOptions = {}): string[] {
  const lines: string[] = [];
  const first = new Map<bigint, string>();
  const visit = (path: Buffer, shown: string): void => {
    const stat = lstatSync(path, { bigint: true });
    const mode = Number(stat.mode);
    const directory = (mode & 0o170000) === 0o040000;
    const seen = directory ? undefined : first.get(stat.ino);
    if (seen === undefined) first.set(stat.ino, shown);
    const device = [0o020000, 0o060000].includes(mode & 0o170000) ? `dev ${stat.rdev}` : '';
    const time = options.times?.(shown, directory) === false ? '' : `${stat.mtimeNs}`;
    const size = directory ? '' : `${stat.size}`;
    const link = seen === undefined ? '' : `same as ${seen}`;
    lines.push(
      [
        shown,
        mode.toString(8),
        `${stat.uid}:${stat.gid}`,
        size,
        time,
        device,
        contentOf(path, mode),
        showXattrs(path, options.ignoreXattr),
        link,
      ].join(' | '),
    );
    if (!directory) return;
    const names = readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare);
    for (const name of names) visit(Buffer.concat([path, Buffer.from('/'), name]), `${shown}/${name.toString('latin1')}`);
  };
  visit(Buffer.from(root), '');
  return lines;
}
