// Where a volume's destination path leads inside a root: symlinks are resolved within the root, ".." stops at it, and
// what is missing is named. Pure; the tree is asked through an interface, so that no path of the host is ever walked.

/** What a name in a directory is. */
export type Step<Dir> =
  { kind: 'directory'; directory: Dir } | { kind: 'file' } | { kind: 'symlink'; target: string } | { kind: 'missing' };

export interface ScopedTree<Dir> {
  readonly root: Dir;
  step(directory: Dir, name: string): Step<Dir>;
}

export interface Destination<Dir> {
  /** The deepest directory that exists on the way. */
  parent: Dir;
  /** Names to make below `parent`, the last one being the mountpoint; or its single name when it exists. */
  names: string[];
  /** What is there: nothing, or the object that a mount would cover. */
  found: 'directory' | 'file' | 'missing';
  /** The path without symlinks, from the root. */
  path: string;
}

/** Linux follows 40 in one walk; Docker's FollowSymlinkInScope 255. */
const MAX_SYMLINKS = 255;

interface Level<Dir> {
  directory: Dir;
  name: string;
}

function components(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function pathOf<Dir>(levels: readonly Level<Dir>[], rest: readonly string[]): string {
  return `/${[...levels.slice(1).map((level) => level.name), ...rest].join('/')}`;
}

/**
 * Resolves an absolute destination.
 * Returns an error text: too many symlinks, a file where a directory must be, or the root itself.
 */
export function resolveDestination<Dir>(tree: ScopedTree<Dir>, destination: string): Destination<Dir> | string {
  const levels: Level<Dir>[] = [{ directory: tree.root, name: '' }];
  let pending = components(destination);
  for (let symlinks = 0; ;) {
    const name = pending.shift();
    const top = levels[levels.length - 1] as Level<Dir>;
    if (name === undefined) {
      const above = levels[levels.length - 2];
      if (!above) return `invalid specification: destination can't be '/'`;
      return { parent: above.directory, names: [top.name], found: 'directory', path: pathOf(levels, []) };
    }
    if (name === '..') {
      if (levels.length > 1) levels.pop();
      continue;
    }
    const step = tree.step(top.directory, name);
    if (step.kind === 'directory') {
      levels.push({ directory: step.directory, name });
    } else if (step.kind === 'symlink') {
      if (++symlinks > MAX_SYMLINKS) return `${destination}: too many levels of symbolic links`;
      if (step.target.startsWith('/')) levels.length = 1;
      pending = [...components(step.target), ...pending];
    } else if (step.kind === 'file') {
      if (pending.length > 0) return `${pathOf(levels, [name])} is not a directory`;
      return { parent: top.directory, names: [name], found: 'file', path: pathOf(levels, [name]) };
    } else {
      // Below what does not exist, ".." can only be read lexically; back above it, the walk goes on.
      const names = [name];
      for (let next = pending.shift(); next !== undefined; next = names.length > 0 ? pending.shift() : undefined) {
        if (next === '..') names.pop();
        else names.push(next);
      }
      if (names.length === 0) continue;
      return { parent: top.directory, names, found: 'missing', path: pathOf(levels, names) };
    }
  }
}
