// Where COPY takes files from: the build context, or the root of another image. One way to walk both, with symlinks resolved
// inside the tree, so that no name leads out of it. Paths are bytes, relative to the tree's top, '' is the top itself.

import type { TarItems } from './tar-items.js';
import { componentMatcher } from './match.js';

export interface SourceNode {
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly linkTarget: string;
}

export interface SourceTree {
  /** The object itself: a symlink is not followed, and no leading component is one. */
  lookup(path: string): Promise<SourceNode | undefined>;
  list(path: string): Promise<readonly string[]>;
  /** The object, or the directory with all below it; the names begin with `name`, '' leaves out the directory itself. */
  items(path: string, name: string): TarItems;
}

const MAX_LINKS = 40;

export const join = (directory: string, name: string): string => (directory === '' ? name : `${directory}/${name}`);
export const components = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
export const baseName = (path: string): string => components(path).at(-1) ?? '';

/** What a path leads to, every symlink followed; undefined when there is nothing, or a loop. */
export async function follow(tree: SourceTree, path: string): Promise<{ path: string; node: SourceNode } | undefined> {
  let at = '';
  let node = await tree.lookup('');
  const rest = components(path);
  for (let links = 0; rest.length > 0;) {
    const name = rest.shift() ?? '';
    if (node?.type !== 'directory') return undefined;
    if (name === '..') {
      // At the top, its parent is itself.
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      node = await tree.lookup(at);
      continue;
    }
    const next = await tree.lookup(join(at, name));
    if (!next) return undefined;
    if (next.type !== 'symlink') {
      at = join(at, name);
      node = next;
      continue;
    }
    if (++links > MAX_LINKS) return undefined;
    rest.unshift(...components(next.linkTarget));
    if (!next.linkTarget.startsWith('/')) continue;
    at = '';
    node = await tree.lookup('');
  }
  return node && { path: at, node };
}

/** Paths that fit a pattern, component by component, in the order of their names. Errors: BadPattern. */
export async function glob(tree: SourceTree, pattern: string): Promise<string[]> {
  let found = [''];
  for (const component of components(pattern)) {
    const matches = componentMatcher(component);
    const next: string[] = [];
    for (const directory of found) {
      if ((await tree.lookup(directory))?.type !== 'directory') continue;
      const names = [...(await tree.list(directory))].filter(matches).sort();
      next.push(...names.map((name) => join(directory, name)));
    }
    found = next;
  }
  return found;
}
