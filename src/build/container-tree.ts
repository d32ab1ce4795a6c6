// The root of a container of the build, as a source of COPY --from and as the place where COPY and WORKDIR put things.

import type { BuildContainer } from './host.js';
import { components, follow, join, type SourceNode, type SourceTree } from './source-tree.js';
import { readItems, type TarItem } from './tar-items.js';

const LARGEST_DATABASE = 16 << 20;
const MAX_LINKS = 40;

export class ContainerTree implements SourceTree {
  constructor(
    readonly container: BuildContainer,
    private readonly signal: AbortSignal,
  ) {}

  async lookup(path: string): Promise<SourceNode | undefined> {
    return path === '' ? { type: 'directory', linkTarget: '' } : this.container.stat(`/${path}`);
  }

  list(path: string): Promise<string[]> {
    return this.container.list(`/${path}`);
  }

  async *items(path: string, name: string): AsyncGenerator<TarItem> {
    const isDirectory = (await this.lookup(path))?.type === 'directory';
    const tar = this.container.read(isDirectory ? `/${join(path, '.')}` : `/${path}`, this.signal);
    const renamed = (member: string): string => {
      const own = isDirectory ? components(member).join('/') : '';
      return own === '' ? name : name === '' ? own : `${name}/${own}`;
    };
    for await (const item of readItems(tar)) {
      if (Buffer.isBuffer(item)) {
        yield item;
        continue;
      }
      const header = { ...item, name: renamed(item.name), ...(item.type === '1' ? { linkname: renamed(item.linkname) } : {}) };
      if (header.name !== '') yield header;
    }
  }

  /** The text of a small file, symlinks followed; '' when there is none. */
  async text(path: string): Promise<string> {
    const found = await follow(this, path);
    if (found?.node.type !== 'file') return '';
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const item of this.items(found.path, 'x')) {
      if (!Buffer.isBuffer(item)) continue;
      length += item.length;
      if (length > LARGEST_DATABASE) return '';
      chunks.push(item);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

/** Where a path of a root leads: a directory that is there, and below it what is not, or a file. */
export interface Place {
  /** Relative to the root, '' is the root. */
  readonly directory: string;
  readonly missing: readonly string[];
  /** Name of what is at the path and is no directory. */
  readonly file?: string;
}

/** A component on the way is a file. */
export class NotADirectory extends Error {
  override readonly name = 'NotADirectory';
}

/** Resolves a destination inside the root, through symlinks, those that lead nowhere too. Errors: NotADirectory. */
export async function placeOf(tree: SourceTree, path: string): Promise<Place> {
  const rest = components(path);
  // The engine resolves what leads to a directory that is there.
  if (rest.length > 0 && (await tree.lookup(rest.join('/')))?.type === 'directory')
    return { directory: rest.join('/'), missing: [] };
  let directory = '';
  const missing: string[] = [];
  for (let links = 0; rest.length > 0;) {
    const name = rest.shift() ?? '';
    if (name === '..') {
      if (missing.pop() === undefined) directory = directory.slice(0, Math.max(0, directory.lastIndexOf('/')));
      continue;
    }
    const node = missing.length > 0 ? undefined : await tree.lookup(join(directory, name));
    if (!node) missing.push(name);
    else if (node.type === 'directory') directory = join(directory, name);
    else if (node.type === 'symlink') {
      if (++links > MAX_LINKS) throw new NotADirectory('too many levels of symbolic links');
      if (node.linkTarget.startsWith('/')) directory = '';
      rest.unshift(...components(node.linkTarget));
    } else if (rest.length === 0) return { directory, missing, file: name };
    else throw new NotADirectory(`/${join(directory, name)} is not a directory`);
  }
  return { directory, missing };
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const LARGEST_ID = 2 ** 31 - 1;

function idIn(database: string, name: string): number | undefined {
  const row = database
    .split('\n')
    .map((line) => line.split(':'))
    .find(([own]) => own === name);
  return row && /^\d+$/.test(row[2] ?? '') ? Number(row[2]) : undefined;
}

/**
 * `USER[:GROUP]` of --chown, by name or number; a group that is not said has the user's name or number.
 * Throws an Error in Docker's words.
 */
export async function ownerOf(tree: ContainerTree, text: string): Promise<Owner> {
  const [user = '', group = user, ...more] = text.split(':');
  if (user === '' || group === '' || more.length > 0) throw new Error(`invalid chown string format: ${text}`);
  const find = async (name: string, file: string, kind: 'user' | 'group'): Promise<number> => {
    if (/^\d+$/.test(name) && Number(name) <= LARGEST_ID) return Number(name);
    const id = idIn(await tree.text(file), name);
    if (id === undefined)
      throw new Error(`can't find ${kind === 'user' ? 'uid' : 'gid'} for ${kind} ${name}: no such ${kind}: ${name}`);
    return id;
  };
  return { uid: await find(user, 'etc/passwd', 'user'), gid: await find(group, 'etc/group', 'group') };
}
