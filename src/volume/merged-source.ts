// What a stack of layers shows at a path, without a mount: whiteouts, opaque directories and redirects are honoured as
// the union does (layer/format.ts decides what is one). Populate reads the image through it,
// containers their users.

import { readFileSync } from 'node:fs';
import { errnoText } from '../abi/errno.js';
import { type NameMarks, type XattrScheme, readLayerDirectory, readMarks, shownXattr } from '../layer/format.js';
import { namesOf, walkLayer } from '../layer/redirect.js';
import { sys } from '../native/load.js';
import { AT_FDCWD, DirentType, Mode, Open, Resolve, STAT_WORDS, Stat } from '../native/syscalls.js';
import { resolveDestination, type ScopedTree, type Step } from './destination.js';
import { openBelow } from './open-below.js';
import type { OpenedDirectory, SourceDirectory, SourceEntry } from './source.js';
import { VolumeError, VolumeSpecError } from './volume-error.js';

/** The directory in one layer, and its path there: not the same in each layer when it was renamed. */
interface Place {
  layer: number;
  path: string;
  marks: NameMarks;
}

interface Stack {
  /** O_PATH fds of the layers, topmost first. */
  roots: readonly number[];
  scheme: XattrScheme;
}

const stat = new BigInt64Array(STAT_WORDS);

function join(path: string, name: string): string {
  return path === '' ? name : `${path}/${name}`;
}

/** true: a directory; false: something else; undefined: nothing. */
function isDirectoryAt(fd: number, name: string): boolean | undefined {
  if (sys.statx(fd, name, stat) !== 0) return undefined;
  return (Number(stat[Stat.mode]) & Mode.FMT) === Mode.DIR;
}

/** Follows an absolute redirect through the layers below `above`. */
function followFromRoot(stack: Stack, redirect: string, above: number, found: Place[]): void {
  let names = namesOf(redirect);
  for (let layer = above + 1; layer < stack.roots.length; layer++) {
    let path = '';
    const passed: Place[] = [];
    const walked = walkLayer(names, (name) => {
      const fd = openBelow(stack.roots[layer] ?? -1, path, Open.PATH | Open.DIRECTORY);
      if (fd < 0) return 'nothing';
      const directory = isDirectoryAt(fd, name);
      const marks = directory === true ? readMarks(fd, name, stack.scheme) : undefined;
      sys.close(fd);
      if (!marks) return directory === false ? 'other' : 'nothing';
      path = join(path, name);
      passed.push({ layer, path, marks });
      return marks;
    });
    if (walked.found) found.push(...passed.slice(-1));
    if (walked.last) return;
    names = walked.next;
  }
}

interface Opened {
  place: Place;
  fd: number;
  whiteouts: ReadonlySet<string>;
}

/** A directory of the union, listed. Owns the fds of its places. */
class MergedListing implements OpenedDirectory {
  readonly entries: SourceEntry[] = [];
  readonly #opened: Opened[] = [];
  readonly #byName = new Map<string, SourceEntry>();

  constructor(private readonly stack: Stack) {}

  get fd(): number {
    return this.#opened[0]?.fd ?? -1;
  }

  /** Adds the next place down. 0 or -errno. */
  add(place: Place): number {
    const fd = openBelow(this.stack.roots[place.layer] ?? -1, place.path, Open.RDONLY | Open.DIRECTORY);
    if (fd < 0) return fd;
    const listing = readLayerDirectory(fd, place.marks);
    if (typeof listing === 'number') {
      sys.close(fd);
      return listing;
    }
    for (const [name, type] of listing.present) {
      if (this.#byName.has(name) || this.#hides(name)) continue;
      const entry = { name, dirfd: fd, type };
      this.#byName.set(name, entry);
      this.entries.push(entry);
    }
    this.#opened.push({ place, fd, whiteouts: listing.whiteouts });
    return 0;
  }

  #hides(name: string): boolean {
    return this.#opened.some(({ whiteouts }) => whiteouts.has(name));
  }

  find(name: string): SourceEntry | undefined {
    return this.#byName.get(name);
  }

  subdirectory(entry: SourceEntry): MergedDirectory {
    const found: Place[] = [];
    let wanted = entry.name;
    for (const { place, fd, whiteouts } of this.#opened.slice(this.#opened.findIndex((each) => each.fd === entry.dirfd))) {
      // A renamed directory leaves a whiteout at its old name, which says nothing of the layers that have it there.
      const hidden = whiteouts.has(wanted);
      const directory = isDirectoryAt(fd, wanted);
      if (directory === false) break;
      if (directory) {
        const marks = readMarks(fd, wanted, this.stack.scheme);
        found.push({ layer: place.layer, path: join(place.path, wanted), marks });
        if (marks.opaque && marks.redirect === undefined) break;
        if (marks.redirect?.startsWith('/')) {
          followFromRoot(this.stack, marks.redirect, place.layer, found);
          break;
        }
        wanted = marks.redirect ?? wanted;
      }
      if (hidden) break;
    }
    return new MergedDirectory(this.stack, found);
  }

  /** The overlay's own attributes do not show; what a user called so is escaped (overlayfs.rst, "Nesting"). */
  shownXattr(stored: string): string | undefined {
    return shownXattr(stored);
  }

  close(): void {
    for (const { fd } of this.#opened) sys.close(fd);
    this.#opened.length = 0;
  }
}

class MergedDirectory implements SourceDirectory {
  constructor(
    private readonly stack: Stack,
    private readonly places: readonly Place[],
  ) {}

  open(): MergedListing | number {
    const listing = new MergedListing(this.stack);
    for (const place of this.places) {
      const error = listing.add(place);
      if (!error) continue;
      listing.close();
      return error;
    }
    return listing;
  }
}

/** The union as the resolver of destinations walks it. */
class MergedTree implements ScopedTree<MergedDirectory> {
  constructor(readonly root: MergedDirectory) {}

  step(directory: MergedDirectory, name: string): Step<MergedDirectory> {
    const listing = directory.open();
    if (typeof listing === 'number')
      throw new VolumeError(`image directory above ${name}: ${errnoText(listing)}: check the layers`);
    try {
      const entry = listing.find(name);
      if (!entry) return { kind: 'missing' };
      if (entry.type === DirentType.DIR) return { kind: 'directory', directory: listing.subdirectory(entry) };
      if (entry.type !== DirentType.LNK) return { kind: 'file' };
      const target = sys.readlinkat(entry.dirfd, name);
      return typeof target === 'number' ? { kind: 'missing' } : { kind: 'symlink', target };
    } finally {
      listing.close();
    }
  }
}

function treeOf(stack: Stack): MergedTree {
  const { roots, scheme } = stack;
  const places = roots.map((fd, layer) => ({ layer, path: '', marks: readMarks(fd, '', scheme) }));
  return new MergedTree(new MergedDirectory(stack, places));
}

export interface MergedSource {
  /** The directory that the layers show at the path; undefined when there is none. */
  readonly directory: SourceDirectory | undefined;
  close(): void;
}

function openRoots(layers: readonly string[]): number[] {
  const roots: number[] = [];
  for (const layer of layers) {
    const fd = sys.openat2(AT_FDCWD, Buffer.from(layer).toString('latin1'), Open.PATH | Open.DIRECTORY, 0, 0);
    if (fd >= 0) {
      roots.push(fd);
      continue;
    }
    for (const each of roots) sys.close(each);
    throw new VolumeError(`layer ${layer}: ${errnoText(fd)}: check that the image or the directory is still there`);
  }
  return roots;
}

/**
 * The union of `layers` (topmost first) at `path`, whose symlinks are resolved inside the union.
 * The caller closes it. Errors: VolumeError for a layer that cannot be read, VolumeSpecError for a file at the path.
 */
export function mergedSource(layers: readonly string[], path: string, scheme: XattrScheme): MergedSource {
  const roots = openRoots(layers);
  const close = (): void => roots.forEach((fd) => sys.close(fd));
  const stack: Stack = { roots, scheme };
  try {
    const tree = treeOf(stack);
    if (path === '/') return { directory: tree.root, close };
    const found = resolveDestination(tree, Buffer.from(path).toString('latin1'));
    if (typeof found !== 'string' && found.found === 'file') {
      const shown = Buffer.from(found.path, 'latin1').toString();
      throw new VolumeSpecError(`cannot mount volume over existing file, file exists ${shown}`);
    }
    if (typeof found === 'string' || found.found !== 'directory') return { directory: undefined, close };
    const step = tree.step(found.parent, found.names[0] ?? '');
    return { directory: step.kind === 'directory' ? step.directory : undefined, close };
  } catch (error) {
    close();
    throw error;
  }
}

function readMerged(tree: MergedTree, path: string): string | undefined {
  const found = resolveDestination(tree, Buffer.from(path).toString('latin1'));
  if (typeof found === 'string' || found.found !== 'file') return undefined;
  const listing = found.parent.open();
  if (typeof listing === 'number') return undefined;
  let fd = -1;
  try {
    const entry = listing.find(found.names[0] ?? '');
    if (entry?.type !== DirentType.REG) return undefined;
    fd = sys.openat2(entry.dirfd, entry.name, Open.RDONLY | Open.NOFOLLOW, 0, Resolve.BENEATH);
    return fd < 0 ? undefined : readFileSync(fd, 'utf8');
  } finally {
    if (fd >= 0) sys.close(fd);
    listing.close();
  }
}

/** The texts of small files in the union of `layers`, symlinks resolved inside it; undefined for one that is not there. */
export function mergedFiles(layers: readonly string[], paths: readonly string[], scheme: XattrScheme): (string | undefined)[] {
  const roots = openRoots(layers);
  try {
    const tree = treeOf({ roots, scheme });
    return paths.map((path) => readMerged(tree, path));
  } finally {
    roots.forEach((root) => sys.close(root));
  }
}
