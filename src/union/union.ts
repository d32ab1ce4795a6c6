// The union of one mount: which directories it decides for, and the ops on them. The native side calls in for union
// directories and for the first write to anything on a lower layer; it answers all else itself. Knows nothing of FUSE
// sessions: a test drives it with a native Mount and no device.

import { errno } from '../abi/errno.js';
import { ENTRY_OUT } from '../abi/protocol.js';
import { type NameMarks, hasRedirect, readMarks } from '../layer/format.js';
import { NodeFlag, type NativeMount, type NodeId, type PlaceId, ROOT_ID } from '../native/mount.js';
import { copyUpDirectory, copyUpNode } from './copy-up.js';
import { type DirectoryIndex, type Entry, type PlaceIndex, UPPER, UnionDirectory, entryPlace, isDirectory } from './directory.js';
import { FileCopies } from './file-copies.js';
import { type FoundDirectory, buildIndex, dropFound, findDirectory, hasNameMarks, isPlain, toDirectory } from './lookup.js';
import { IndexBudget } from './index-budget.js';
import { LinkIndex } from './links.js';
import { inoOf } from './origin.js';
import { allowPlainNames, hasPlainNames } from './plain-names.js';
import type { Answer, LayerStack, Log } from './stack.js';
import { WorkDirectory } from './work.js';

/** Bytes of a name, as on every filesystem that can be an upper. */
const NAME_MAX = 255;

/** A directory that upper has. */
export interface WritableDirectory {
  readonly dir: UnionDirectory;
  /** Its place on upper. */
  readonly upper: PlaceId;
  /** O_PATH on that, the native side's own. */
  readonly fd: number;
  readonly index: DirectoryIndex;
}

/** Enters the node of the object `at` in `place`; `ino` 0n shows its own number. */
type Enter = (place: PlaceId, flags: number, ino: bigint, at: string) => number;

export class Union {
  readonly work: WorkDirectory | undefined;
  /** Absent on a read-only union. */
  readonly copies: FileCopies | undefined;
  /** The same. */
  readonly links: LinkIndex | undefined;
  readonly #directories = new Map<NodeId, UnionDirectory>();
  readonly #indexes = new IndexBudget();

  constructor(
    readonly native: NativeMount,
    readonly stack: LayerStack,
    readonly log: Log,
  ) {
    this.work = stack.work === undefined ? undefined : new WorkDirectory(native, stack.work);
    this.copies = this.work && new FileCopies(this, this.work);
    this.links = stack.links === undefined ? undefined : new LinkIndex(native, stack.links, stack.scheme);
  }

  /** Makes nodeid 1. A root with one plain layer is left to the native side. */
  makeRoot(): void {
    const { upper, lowers } = this.stack;
    const place = upper ?? lowers[0];
    if (place === undefined) throw new Error('a union needs at least one layer');
    const marks = this.#marksOf(upper === undefined ? [...lowers] : [upper, ...lowers], upper === undefined ? 1 : UPPER);
    const single = upper === undefined && lowers.length === 1 && marks.size === 0;
    const merged = lowers.length + (upper === undefined ? 0 : 1) > 1;
    this.native.makeRootNode(place, single ? 0 : NodeFlag.union | (merged ? NodeFlag.merged : 0));
    const held = (p: PlaceId): PlaceId => this.native.placeChild(p, '.');
    const root = new UnionDirectory(
      ROOT_ID,
      upper,
      lowers.map(held),
      lowers.map((_, i) => i),
      marks,
    );
    if (!single) this.#directories.set(ROOT_ID, root);
  }

  /** Marks of the layers' own roots, of which the first has the index `first`. */
  #marksOf(places: readonly PlaceId[], first: number): Map<PlaceIndex, NameMarks> {
    const all = places.map((place, i): [PlaceIndex, NameMarks] => [
      (first + i) as PlaceIndex,
      readMarks(this.native.placeFd(place), '', this.stack.scheme),
    ]);
    return new Map(all.filter(([, marks]) => hasNameMarks(marks)));
  }

  get writable(): boolean {
    return this.stack.upper !== undefined;
  }

  /** The union's view of a directory; one that the native side served so far is taken over. */
  directory(id: NodeId): UnionDirectory | number {
    const known = this.#directories.get(id);
    if (known) return known;
    const flags = this.native.nodeFlags(id);
    if (flags < 0) return flags;
    if (!(flags & NodeFlag.dir)) return -errno.ENOTDIR;
    const place = this.native.placeOfNode(id);
    const writable = (flags & NodeFlag.writable) !== 0;
    const layer = writable ? [] : [this.#layerOf(id)];
    const dir = new UnionDirectory(id, writable ? place : undefined, writable ? [] : [place], layer, new Map());
    dir.takenOver = true;
    this.#directories.set(id, dir);
    // From here on its names are in our index, so every change must come by us.
    this.native.setNodeFlags(id, NodeFlag.union, 0);
    return dir;
  }

  /** Layer number of a directory that only one lower has: that of the nearest ancestor whose places are known. */
  #layerOf(id: NodeId): number {
    for (let at = this.native.nodeParent(id), child = id; at !== 0; child = at, at = this.native.nodeParent(at)) {
      const parent = this.#directories.get(at);
      if (!parent) continue;
      const index = this.index(parent);
      const entry = typeof index === 'number' ? undefined : index.get(this.native.nodeName(child) ?? '');
      const place = entry === undefined ? 1 : entryPlace(entry);
      return parent.layers[place - 1] ?? 0;
    }
    return 0;
  }

  register(dir: UnionDirectory): void {
    this.#directories.set(dir.id, dir);
  }

  isRegistered(id: NodeId): boolean {
    return this.#directories.has(id);
  }

  index(dir: UnionDirectory): DirectoryIndex | number {
    if (dir.index) {
      dir.index.compact();
      this.#indexes.use(dir);
      return dir.index;
    }
    const index = buildIndex(this.native, dir);
    if (typeof index === 'number') return index;
    dir.index = index;
    this.#indexes.use(dir);
    return index;
  }

  /** A directory that upper has, copied up now if it must be, with its index. */
  writableDirectory(id: NodeId): WritableDirectory | number {
    if (!this.writable) return -errno.EROFS;
    const dir = this.directory(id);
    if (typeof dir === 'number') return dir;
    if (dir.removed) return -errno.ENOENT;
    // The index first: a reader of the lower directory goes on in it by the lower's offsets.
    const index = this.index(dir);
    if (typeof index === 'number') return index;
    if (dir.upper === undefined) {
      const error = copyUpDirectory(this, dir);
      if (error) return error;
    }
    const upper = dir.place(UPPER);
    const fd = this.native.placeFd(upper);
    if (fd < 0) return fd;
    // Whiteouts and copies get the names that lowers have.
    if (hasPlainNames(dir)) allowPlainNames(this, { dir, fd });
    return { dir, upper, fd, index };
  }

  /** A listing came to its end, or stopped for a while: its index stays if it can. */
  noteReading(dir: UnionDirectory, complete: boolean): void {
    dir.reading = !complete;
  }

  lookup(parent: NodeId, name: string): Answer {
    if (name.length > NAME_MAX) return -errno.ENAMETOOLONG;
    const dir = this.directory(parent);
    if (typeof dir === 'number') return dir;
    const index = this.index(dir);
    if (typeof index === 'number') return index;
    const entry = index.get(name);
    if (entry === undefined) return this.native.negative();
    const id = this.enterEntry(dir, name, entry, 0);
    return id < 0 ? id : ENTRY_OUT;
  }

  /** Enters the node of a name that exists; its entry goes to `offset` of the reply. Returns the nodeid or -errno. */
  enterEntry(dir: UnionDirectory, name: string, entry: Entry, offset: number): number {
    return this.enterWith(dir, name, entry, (place, flags, ino, at) => this.native.enter(dir.id, place, at, flags, offset, ino));
  }

  /** Enters a name through `enter`, which differs between lookup and readdirplus, and keeps what a directory needs. */
  enterWith(dir: UnionDirectory, name: string, entry: Entry, enter: Enter): number {
    const place = dir.place(entryPlace(entry));
    if (!isDirectory(entry)) {
      const copy = entryPlace(entry) === UPPER ? undefined : this.links?.find(this.native.placeFd(place), name);
      if (copy) return enter(copy.place, 0, this.native.shownIno(place, name), copy.key);
      return enter(place, 0, this.inoOf(dir, name, entry), name);
    }
    const found = findDirectory(this.native, this.stack, dir, name, entry);
    if (isPlain(found)) {
      dropFound(this.native, found);
      return enter(place, 0, 0n, name);
    }
    const merged = found.lowers.length + (found.upper === undefined ? 0 : 1) > 1;
    const ino = this.#inoOfDirectory(found);
    const id = enter(place, NodeFlag.union | (merged ? NodeFlag.merged : 0), ino, name);
    if (id <= 0 || this.#directories.has(id as NodeId)) {
      dropFound(this.native, found);
      return id;
    }
    const child = toDirectory(id as NodeId, found);
    this.#followNode(child);
    this.#directories.set(child.id, child);
    this.native.setNodeFlags(child.id, NodeFlag.union | (merged ? NodeFlag.merged : 0), 0);
    return id;
  }

  /** The number to show for a name; 0n for its own. */
  inoOf(dir: UnionDirectory, name: string, entry: Entry): bigint {
    if (entryPlace(entry) !== UPPER) return 0n;
    if (!isDirectory(entry)) return inoOf(this.native, dir, name, this.stack.scheme);
    if (!dir.index?.shownByLower(name) && !hasRedirect(this.native.placeFd(dir.place(UPPER)), name, this.stack.scheme)) return 0n;
    const found = findDirectory(this.native, this.stack, dir, name, entry);
    const ino = this.#inoOfDirectory(found);
    dropFound(this.native, found);
    return ino;
  }

  /** A directory keeps the number of its topmost lower through copy-up (Linux: ovl_getattr, OVL_TYPE_ORIGIN). */
  #inoOfDirectory({ upper, lowers }: FoundDirectory): bigint {
    return upper !== undefined && lowers[0] !== undefined ? this.native.shownIno(lowers[0], '') : 0n;
  }

  /** Makes `upper` of a directory the very place of its node, so that a rename moves both. */
  #followNode(dir: UnionDirectory): void {
    if (dir.upper === undefined) return;
    this.native.placeDrop(dir.upper);
    dir.upper = this.native.placeOfNode(dir.id);
  }

  copyUp(id: NodeId, length: bigint): Answer {
    if (!this.writable) return -errno.EROFS;
    return copyUpNode(this, id, length);
  }

  /** The kernel forgot these directories. */
  forget(ids: readonly NodeId[]): void {
    for (const id of ids) {
      const dir = this.#directories.get(id);
      if (!dir || id === ROOT_ID) continue;
      this.#directories.delete(id);
      dir.reading = false;
      this.#indexes.drop(dir);
      if (dir.upper !== undefined) this.native.placeDrop(dir.upper);
      for (const place of dir.lowers) this.native.placeDrop(place);
    }
    this.#indexes.tidy();
  }

  /** Directories held, for tests of leaks. */
  get size(): number {
    return this.#directories.size;
  }
}
