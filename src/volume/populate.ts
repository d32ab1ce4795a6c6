// Fills an empty volume with what the image has at its destination (Docker: copyExistingContents), once, all or nothing.
//
// Beside `_data` lie `.filling`, a copy being made, and `.filled`, a complete one being moved in: the rename from one to
// the other decides. After a kill the next use of the volume drops `.filling` or goes on with `.filled`. `_data` itself
// stays the same directory throughout, since another mount may have it open. A directory within the volume is filled in the same way;
// which one, lies with the copy. It may take long: the daemon has it done (content.ts).

import { basename, dirname } from 'node:path';
import { errno, errnoText } from '../abi/errno.js';
import type { XattrScheme } from '../layer/format.js';
import { sys } from '../native/load.js';
import { AT_FDCWD, DirentType, Open, Rename, STAT_WORDS, Stat } from '../native/syscalls.js';
import { readAttributes, writeAttributes } from './attributes.js';
import { CopyFailed, copyTree } from './copy-tree.js';
import { mergedSource } from './merged-source.js';
import { openBelow, removeBelow } from './open-below.js';
import { hasFew, type SourceDirectory } from './source.js';
import { VolumeError } from './volume-error.js';

const FILLING = '.filling';
const FILLED = '.filled';
/** In both: the tree, whose children are moved, and an empty directory that keeps its attributes meanwhile. */
const TREE = 'tree';
const ROOT = 'root';
/** A symlink to what is filled, as a path below `_data`; none when that is all of it. */
const PLACE = 'place';
const LOCK_EX = 2;
const LOCK_NB = 4;
const DIRECTORY = Open.RDONLY | Open.DIRECTORY;

/** Whether what lies beside `_data` tells of a fill that is going on or was interrupted. */
export function isUnsettled(beside: readonly string[]): boolean {
  return beside.includes(FILLING) || beside.includes(FILLED);
}

export type Populated = 'filled' | 'not empty' | 'no source';

/** The directory that holds a volume's `_data`, of which `within` (bytes, no symlinks; '' is all) is filled. The caller closes. */
function openHome(path: string, within: string): Home {
  const name = basename(dirname(path));
  const fd = sys.openat2(AT_FDCWD, Buffer.from(dirname(path)).toString('latin1'), DIRECTORY, 0, 0);
  if (fd < 0) throw new VolumeError(`volume ${name}: ${dirname(path)}: ${errnoText(fd)}: check the data root`);
  return new Home(fd, name, Buffer.from(basename(path)).toString('latin1'), within);
}

/** It is open for as long as `use` runs, locked against other fills. */
function withHome<T>(path: string, within: string, use: (home: Home) => T): T {
  const home = openHome(path, within);
  try {
    home.lock(true);
    return use(home);
  } finally {
    home.close();
  }
}

class Home {
  #data = -1;
  readonly lenient = process.geteuid?.() !== 0;

  constructor(
    private readonly fd: number,
    private readonly name: string,
    private readonly dataName: string,
    private readonly within: string,
  ) {}

  close(): void {
    if (this.#data >= 0) sys.close(this.#data);
    sys.close(this.fd);
  }

  /** Against other fills. False when another has the lock and it is not to be waited for. */
  lock(wait: boolean): boolean {
    const result = sys.flock(this.fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
    return result !== -errno.EAGAIN && this.must(result, 'lock it') === 0;
  }

  must(result: number, what: string): number {
    if (result >= 0) return result;
    const full = result === -errno.ENOSPC || result === -errno.EDQUOT;
    const next = full ? 'free some space and try again; the volume is still empty' : 'check the data root and its disk';
    throw new VolumeError(`volume ${this.name}: cannot ${what}: ${errnoText(result)}: ${next}`);
  }

  /** What is filled. */
  get data(): number {
    if (this.#data < 0) this.#data = this.must(this.#open(this.within), `open ${this.dataName}/${this.within}`);
    return this.#data;
  }

  #open(within: string): number {
    return openBelow(this.fd, within === '' ? this.dataName : `${this.dataName}/${within}`, DIRECTORY);
  }

  isEmpty(): boolean {
    return this.#isEmpty(this.data);
  }

  #isEmpty(directory: number): boolean {
    const listing = sys.readdir(directory);
    if (typeof listing === 'number') this.must(listing, 'read it');
    return typeof listing !== 'number' && listing.names.length === 0;
  }

  /** Drops what was not complete, moves in what was. */
  recover(): void {
    this.must(removeBelow(this.fd, FILLING), `remove ${FILLING}`);
    this.moveIn();
  }

  /** Waits for all of a copy to be on disk. */
  sync(): number {
    return sys.syncfs(this.fd);
  }

  /** The same on another thread. */
  syncAsync(): Promise<number> {
    return sys.syncfsAsync(this.fd);
  }

  /** Builds the copy. Returns whether it has anything that must be on disk before it is published. */
  build(source: SourceDirectory): boolean {
    try {
      return this.#build(source);
    } catch (error) {
      removeBelow(this.fd, FILLING);
      if (error instanceof CopyFailed)
        this.must(error.errno, `copy ${Buffer.from(error.path, 'latin1').toString()} from the image`);
      throw error;
    }
  }

  /** Moves the copy in, unless something has come to be in the volume by then. `synced`: what waiting for the disk gave. */
  publish(synced: number): Populated {
    const isOurs = synced === 0 && this.isEmpty();
    if (!isOurs) this.must(removeBelow(this.fd, FILLING), `remove ${FILLING}`);
    this.must(synced, 'write the copy to disk');
    if (!isOurs) return 'not empty';
    this.must(sys.renameat2(this.fd, FILLING, this.fd, FILLED, Rename.NOREPLACE), 'publish the copy');
    this.moveIn();
    return 'filled';
  }

  #build(source: SourceDirectory): boolean {
    this.must(sys.mkdirat(this.fd, FILLING, 0o700), `make ${FILLING}`);
    for (const name of [TREE, ROOT]) this.must(sys.mkdirat(this.fd, `${FILLING}/${name}`, 0o700), `make ${FILLING}`);
    if (this.within !== '') this.must(sys.symlinkat(this.within, this.fd, `${FILLING}/${PLACE}`), `make ${FILLING}`);
    const tree = this.must(openBelow(this.fd, `${FILLING}/${TREE}`, DIRECTORY), `open ${FILLING}`);
    try {
      copyTree(source, tree, this);
      this.must(this.#copyAttributes(tree, `${FILLING}/${ROOT}`), `write ${FILLING}`);
      this.must(sys.fchmodat(tree, '', 0o700), `write ${FILLING}`);
      // After a power cut a published file must have its data: nothing would ever fill it again. An empty volume is filled again.
      return !this.#isEmpty(tree);
    } finally {
      sys.close(tree);
    }
  }

  #copyAttributes(from: number, to: string): number {
    const attributes = readAttributes(from, '', (name) => name);
    return typeof attributes === 'number' ? attributes : writeAttributes(this.fd, to, attributes, this.lenient);
  }

  /** Moves the children of a complete copy to their place. What has been made there meanwhile stays. */
  moveIn(): void {
    const place = sys.readlinkat(this.fd, `${FILLED}/${PLACE}`);
    const to = this.#open(typeof place === 'string' ? place : '');
    try {
      this.#moveTo(to);
    } finally {
      if (to >= 0) sys.close(to);
    }
  }

  #moveTo(to: number): void {
    const tree = openBelow(this.fd, `${FILLED}/${TREE}`, DIRECTORY);
    // Nothing was complete, or its place is gone.
    if (tree === -errno.ENOENT || [-errno.ENOENT, -errno.ENOTDIR, -errno.ELOOP].includes(to)) {
      if (tree >= 0) sys.close(tree);
      return void this.must(removeBelow(this.fd, FILLED), `remove ${FILLED}`);
    }
    this.must(tree, `open ${FILLED}`);
    try {
      this.must(to, `open ${this.dataName}`);
      const listing = sys.readdir(tree);
      if (typeof listing === 'number') return void this.must(listing, `read ${FILLED}`);
      // Without privilege a mode may forbid what follows; the volume gets the copy's in the end.
      if (this.lenient) this.must(sys.fchmodat(to, '', 0o700), 'write to it');
      listing.names.forEach((name, i) => this.#moveChild(tree, to, name, listing.types[i] === DirentType.DIR));
    } finally {
      sys.close(tree);
    }
    const root = openBelow(this.fd, `${FILLED}/${ROOT}`, Open.PATH | Open.DIRECTORY);
    if (root >= 0) {
      const attributes = readAttributes(root, '', (name) => name);
      sys.close(root);
      const error = typeof attributes === 'number' ? attributes : writeAttributes(to, '', attributes, this.lenient);
      this.must(error, 'set its owner and mode');
    }
    this.must(removeBelow(this.fd, FILLED), `remove ${FILLED}`);
  }

  #moveChild(tree: number, to: number, name: string, isDirectory: boolean): void {
    const move = (): number => sys.renameat2(tree, name, to, name, Rename.NOREPLACE);
    let error = move();
    if (error === -errno.EACCES && isDirectory) error = this.#moveSealed(tree, to, name, move);
    if (error !== -errno.EEXIST) this.must(error, 'move the copy in');
  }

  /** Without privilege, a directory that its owner may not write moves only while he may: its `..` is changed. */
  #moveSealed(tree: number, to: number, name: string, move: () => number): number {
    const stat = new BigInt64Array(STAT_WORDS);
    const mode = sys.statx(tree, name, stat) === 0 ? Number(stat[Stat.mode]) & 0o7777 : 0o755;
    const opened = sys.fchmodat(tree, name, mode | 0o200);
    const error = opened || move();
    return error || sys.fchmodat(to, name, mode);
  }
}

/** Ends an interrupted fill of the volume at `path` (its `_data`). Errors: VolumeError. */
export function finishPopulate(path: string): void {
  withHome(path, '', (home) => home.recover());
}

/** Fills the volume at `path` (its `_data`), or what is `within` it, from `source`, if it is empty. Errors: VolumeError; it is empty then. */
export function populateFrom(path: string, source: SourceDirectory, within = ''): Populated {
  return withHome(path, within, (home) => {
    home.recover();
    return home.isEmpty() ? home.publish(home.build(source) ? home.sync() : 0) : 'not empty';
  });
}

/** The same without keeping others waiting, where there is little to copy and nobody else fills the volume; undefined otherwise. */
export async function populateFew(path: string, source: SourceDirectory, within: string): Promise<Populated | undefined> {
  if (!hasFew(source)) return undefined;
  const home = openHome(path, within);
  try {
    if (!home.lock(false)) return undefined;
    home.recover();
    return home.isEmpty() ? home.publish(home.build(source) ? await home.syncAsync() : 0) : 'not empty';
  } finally {
    home.close();
  }
}

/**
 * Fills the volume at `path` (its `_data`), if it is empty, with what the union of `layers` (topmost first) has at
 * `destination`; owner, mode, times and attributes of that directory become the volume's own. A destination that the
 * layers do not have changes nothing. `within`: a directory of the volume (bytes, no symlinks) that is filled in its stead.
 * Errors: VolumeError, VolumeSpecError for a file there; the volume is empty then.
 */
export function populate(
  path: string,
  layers: readonly string[],
  destination: string,
  scheme: XattrScheme,
  within = '',
): Populated {
  const source = mergedSource(layers, destination, scheme);
  try {
    return source.directory ? populateFrom(path, source.directory, within) : 'no source';
  } finally {
    source.close();
  }
}
