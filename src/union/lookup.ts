// Merged lookup: which layers a name lives in, and the index of a directory's names.

import { ErrnoError, errno } from '../abi/errno.js';
import {
  NO_NAME_MARKS,
  readLayerDirectory,
  readMarks,
  type DirectoryMarks,
  type LayerEntries,
  type NameMarks,
} from '../layer/format.js';
import { type Walked, namesOf, walkLayer } from '../layer/redirect.js';
import { sys } from '../native/load.js';
import type { NativeMount, NodeId, PlaceId } from '../native/mount.js';
import { Mode, Open, STAT_WORDS, Stat } from '../native/syscalls.js';
import { DirectoryIndex, UPPER, type Entry, type PlaceIndex, UnionDirectory, entryPlace } from './directory.js';
import type { LayerStack } from './stack.js';

/** The places of a directory that a lookup found, before it has a node. The references belong to the caller. */
export interface FoundDirectory {
  upper: PlaceId | undefined;
  lowers: PlaceId[];
  layers: number[];
  /** Of the places whose names are not read as usual. */
  marks: Map<PlaceIndex, NameMarks>;
  /** Its children need TypeScript even if it has a single place. */
  marked: boolean;
}

const stat = new BigInt64Array(STAT_WORDS);

/**
 * The fd of a layer's directory for the very next call, or why it has none. Throws ErrnoError
 * when there is no fd or memory left: what a layer holds is not known then, and must not be taken for absent.
 */
function layerFd(native: NativeMount, place: PlaceId): number {
  const fd = native.placeFdBriefly(place);
  if (fd === -errno.EMFILE || fd === -errno.ENFILE || fd === -errno.ENOMEM) throw new ErrnoError(fd, 'a layer cannot be read');
  return fd;
}

/** Opens a place's directory for reading. The caller closes. */
function openDirectory(native: NativeMount, place: PlaceId): number {
  const fd = layerFd(native, place);
  return fd < 0 ? fd : sys.openat2(fd, '.', Open.RDONLY | Open.DIRECTORY, 0, 0);
}

/** `barred` are names of upper that a lower hides from those below it. */
function indexPlace(
  native: NativeMount,
  dir: UnionDirectory,
  at: PlaceIndex,
  index: DirectoryIndex,
  barred: Set<string>,
): number {
  const fd = openDirectory(native, dir.place(at));
  if (fd < 0) return fd;
  const entries = readLayerDirectory(fd, dir.marks.get(at) ?? NO_NAME_MARKS);
  sys.close(fd);
  if (typeof entries === 'number') return entries;
  for (const [name, type] of entries.present) {
    const known = index.entries.get(name);
    if (known === undefined) index.set(name, at, type);
    else if (entryPlace(known) === UPPER && !barred.has(name)) index.cover(name);
  }
  for (const name of entries.whiteouts) {
    if (!index.entries.has(name)) index.setWhiteout(name, at);
    else if (at !== UPPER && !index.shownByLower(name)) barred.add(name);
  }
  if (entries.whiteouts.size > 0) index.hidden.set(at, entries.whiteouts);
  if (dir.takenOver) noteOffsets(index, entries);
  return 0;
}

/** Remembers where a reader of the backing directory goes on in the index (the first listing is that of its only place). */
function noteOffsets(index: DirectoryIndex, { offsets, names }: LayerEntries): void {
  if (index.resume) return;
  const resume = new Map<bigint, number>();
  let position = 0;
  for (let i = 0, seen = 0; i < offsets.length; i += 2) {
    const upTo = Number(offsets[i + 1]);
    for (; seen < upTo; seen++) if (index.get(names[seen] ?? '') !== undefined) position++;
    resume.set(offsets[i] ?? 0n, position);
  }
  index.resume = resume;
}

/** Reads every layer's names of `dir`. Errors: -errno of the first layer that cannot be read. */
export function buildIndex(native: NativeMount, dir: UnionDirectory): DirectoryIndex | number {
  const index = new DirectoryIndex();
  const barred = new Set<string>();
  for (let i = dir.upper === undefined ? 1 : UPPER; i <= dir.lowers.length; i++) {
    const error = indexPlace(native, dir, i as PlaceIndex, index, barred);
    if (error) return error;
  }
  return index;
}

function isDirectoryAt(fd: number, name: string): boolean | undefined {
  if (sys.statx(fd, name, stat) !== 0) return undefined;
  return (Number(stat[Stat.mode]) & Mode.FMT) === Mode.DIR;
}

export function hasNameMarks(marks: NameMarks): boolean {
  return marks.xattrWhiteouts || marks.plainNames;
}

/** Collects the places of one directory from the top layer down. */
class Collector {
  readonly found: FoundDirectory = { upper: undefined, lowers: [], layers: [], marks: new Map(), marked: false };

  constructor(
    private readonly native: NativeMount,
    private readonly stack: LayerStack,
  ) {}

  /** Adds `name` of `parent`; returns its marks. `layer` is undefined for upper. */
  add(parent: PlaceId, name: string, layer: number | undefined): DirectoryMarks {
    const marks = readMarks(layerFd(this.native, parent), name, this.stack.scheme);
    const place = this.native.placeChild(parent, name);
    if (layer === undefined) {
      this.found.upper = place;
    } else {
      this.found.lowers.push(place);
      this.found.layers.push(layer);
    }
    if (hasNameMarks(marks)) this.found.marks.set((layer === undefined ? UPPER : this.found.lowers.length) as PlaceIndex, marks);
    if (hasNameMarks(marks) || marks.impure || marks.redirect !== undefined) this.found.marked = true;
    return marks;
  }

  /** Follows an absolute redirect through all layers below `above`. */
  followFromRoot(path: string, above: number): void {
    let names = namesOf(path);
    for (let layer = above + 1; layer < this.stack.lowers.length; layer++) {
      const { last, next } = this.#walk(layer, names);
      if (last) return;
      names = next;
    }
  }

  /** Adds what a path is in one layer, if that is a directory. */
  #walk(layer: number, names: readonly string[]): Walked {
    let parent = this.native.placeChild(this.stack.lowers[layer] as PlaceId, '.');
    let at: string | undefined;
    try {
      const walked = walkLayer(names, (name) => {
        if (at !== undefined) {
          const next = this.native.placeChild(parent, at);
          this.native.placeDrop(parent);
          parent = next;
        }
        at = name;
        const fd = layerFd(this.native, parent);
        const directory = fd < 0 ? undefined : isDirectoryAt(fd, name);
        if (directory === true) return readMarks(fd, name, this.stack.scheme);
        return directory === false ? 'other' : 'nothing';
      });
      if (walked.found && at !== undefined) this.add(parent, at, layer);
      return walked;
    } finally {
      this.native.placeDrop(parent);
    }
  }
}

/**
 * The places of the directory that `entry` of `dir` names, from the layer that shows it down to the first that is
 * opaque, not a directory, or whited out.
 * Source: Documentation/filesystems/overlayfs.rst "Directories", "redirect_dir".
 */
export function findDirectory(
  native: NativeMount,
  stack: LayerStack,
  dir: UnionDirectory,
  name: string,
  entry: Entry,
): FoundDirectory {
  const collector = new Collector(native, stack);
  try {
    collect(collector, native, dir, name, entry);
  } catch (error) {
    dropFound(native, collector.found);
    throw error;
  }
  return collector.found;
}

function collect(collector: Collector, native: NativeMount, dir: UnionDirectory, name: string, entry: Entry): void {
  let wanted = name;
  for (let at: number = entryPlace(entry); at <= dir.lowers.length; at++) {
    const index = at as PlaceIndex;
    if (index === UPPER && dir.upper === undefined) continue;
    const parent = dir.place(index);
    const fd = layerFd(native, parent);
    if (fd < 0) continue;
    const layer = index === UPPER ? undefined : dir.layers[at - 1];
    // Of the name it has here: a redirect's old name has a whiteout of its own beside it.
    const hidden = dir.index?.hidden.get(index)?.has(wanted) === true;
    const directory = isDirectoryAt(fd, wanted);
    if (directory === true) {
      const marks = collector.add(parent, wanted, layer);
      if (marks.opaque && marks.redirect === undefined) break;
      if (marks.redirect?.startsWith('/')) {
        collector.followFromRoot(marks.redirect, layer ?? -1);
        break;
      }
      // What is hidden here under its own name has nothing to do with it.
      if (marks.redirect !== undefined) {
        wanted = marks.redirect;
        continue;
      }
    } else if (directory === false) {
      break;
    }
    if (hidden) break;
  }
}

export function dropFound(native: NativeMount, found: FoundDirectory): void {
  if (found.upper !== undefined) native.placeDrop(found.upper);
  for (const place of found.lowers) native.placeDrop(place);
}

/** Whether the native side can serve it alone: one layer has it and nothing about it is special. */
export function isPlain(found: FoundDirectory): boolean {
  return !found.marked && found.lowers.length + (found.upper === undefined ? 0 : 1) === 1;
}

export function toDirectory(id: NodeId, found: FoundDirectory): UnionDirectory {
  return new UnionDirectory(id, found.upper, found.lowers, found.layers, found.marks);
}
