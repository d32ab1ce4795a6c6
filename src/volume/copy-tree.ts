// Copies a tree into an empty directory: data with its holes, hard links as hard links, every type of file, owners, modes,
// attributes, and times to the nanosecond. Called by populate.ts and transfer.ts, which own both ends.

import { errno } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { DirentType, Open, Stat } from '../native/syscalls.js';
import { readAttributes, writeAttributes, type Attributes } from './attributes.js';
import { openBelow } from './open-below.js';
import type { OpenedDirectory, SourceDirectory, SourceEntry } from './source.js';

/** What could not be copied: the path in the tree (bytes) and why. */
export class CopyFailed extends Error {
  override readonly name = 'CopyFailed';
  constructor(
    readonly path: string,
    readonly errno: number,
  ) {
    super(`${path}: ${errno}`);
  }
}

interface Pending {
  source: SourceDirectory;
  path: string;
}

export interface CopyOptions {
  /** This process may not chown nor mknod: what it must leave out is left out. */
  lenient: boolean;
}

class TreeCopy {
  /** Directories are walked from a list with their paths: no descriptor is held for depth. */
  readonly #pending: Pending[];
  /** Attributes of directories, set last: making children changes times, and a mode may forbid to make them. */
  readonly #directories: { path: string; attributes: Attributes }[] = [];
  /** Where the first name of a source inode went, by device and inode number. */
  readonly #links = new Map<string, string>();

  constructor(
    source: SourceDirectory,
    private readonly target: number,
    private readonly options: CopyOptions,
  ) {
    this.#pending = [{ source, path: '' }];
  }

  run(): void {
    for (let next = this.#pending.pop(); next; next = this.#pending.pop()) this.#copyDirectory(next);
    for (const { path, attributes } of this.#directories.reverse()) {
      const fd = this.#must(openBelow(this.target, path, Open.PATH | Open.DIRECTORY), path);
      const error = writeAttributes(fd, '', attributes, this.options.lenient);
      sys.close(fd);
      this.#must(error, path);
    }
  }

  #must(result: number, path: string): number {
    if (result < 0) throw new CopyFailed(`/${path}`, result);
    return result;
  }

  #copyDirectory({ source, path }: Pending): void {
    const opened = source.open();
    if (typeof opened === 'number') throw new CopyFailed(`/${path}`, opened);
    const into = openBelow(this.target, path, Open.PATH | Open.DIRECTORY);
    try {
      this.#must(into, path);
      const attributes = readAttributes(opened.fd, '', (stored) => opened.shownXattr(stored));
      if (typeof attributes === 'number') throw new CopyFailed(`/${path}`, attributes);
      this.#directories.push({ path, attributes });
      for (const entry of opened.entries)
        this.#copyEntry(opened, entry, into, path === '' ? entry.name : `${path}/${entry.name}`);
    } finally {
      opened.close();
      if (into >= 0) sys.close(into);
    }
  }

  #copyEntry(opened: OpenedDirectory, entry: SourceEntry, into: number, path: string): void {
    if (entry.type === DirentType.DIR) {
      this.#must(sys.mkdirat(into, entry.name, 0o700), path);
      this.#pending.push({ source: opened.subdirectory(entry), path });
      return;
    }
    const attributes = readAttributes(entry.dirfd, entry.name, (stored) => opened.shownXattr(stored));
    if (typeof attributes === 'number') throw new CopyFailed(`/${path}`, attributes);
    if (this.#linkToFirst(attributes, into, entry.name, path)) return;
    const made =
      entry.type === DirentType.REG ? this.#copyFile(entry, into, attributes) : this.#makeSpecial(entry, into, attributes);
    this.#must(made, path);
  }

  /** Whether this name became a link to an inode that was copied already. Remembers the inode otherwise. */
  #linkToFirst({ stat }: Attributes, into: number, name: string, path: string): boolean {
    if ((stat[Stat.nlink] ?? 0n) < 2n) return false;
    const inode = `${stat[Stat.dev]}:${stat[Stat.ino]}`;
    const first = this.#links.get(inode);
    if (first !== undefined) {
      const slash = first.lastIndexOf('/');
      const from = this.#must(openBelow(this.target, first.slice(0, Math.max(slash, 0)), Open.PATH | Open.DIRECTORY), first);
      const error = sys.linkat(from, first.slice(slash + 1), into, name);
      sys.close(from);
      // The target file system may allow fewer links, or the first could not be made: a new copy, which later names link to.
      if (error !== -errno.EMLINK && error !== -errno.ENOENT) return this.#must(error, path) === 0;
    }
    this.#links.set(inode, path);
    return false;
  }

  #copyFile(entry: SourceEntry, into: number, attributes: Attributes): number {
    const from = sys.openat2(entry.dirfd, entry.name, Open.RDONLY | Open.NOFOLLOW | Open.NONBLOCK, 0, 0);
    if (from < 0) return from;
    const to = sys.openat2(into, entry.name, Open.RDWR | Open.CREAT | Open.EXCL | Open.NOFOLLOW, 0o600, 0);
    const error = to < 0 ? to : sys.copyData(from, to, -1n) || writeAttributes(to, '', attributes, this.options.lenient);
    sys.close(from);
    if (to >= 0) sys.close(to);
    return error;
  }

  #makeSpecial(entry: SourceEntry, into: number, attributes: Attributes): number {
    const { name, dirfd } = entry;
    let error: number;
    if (entry.type === DirentType.LNK) {
      const target = sys.readlinkat(dirfd, name);
      error = typeof target === 'number' ? target : sys.symlinkat(target, into, name);
    } else {
      error = sys.mknodat(into, name, Number(attributes.stat[Stat.mode]), attributes.stat[Stat.rdev] ?? 0n);
      if (error === -errno.EPERM && this.options.lenient) return 0;
    }
    return error || writeAttributes(into, name, attributes, this.options.lenient);
  }
}

/**
 * Copies everything in `source` into the empty directory `target`, and the source directory's own attributes onto it.
 * Symlinks are copied, not followed. Errors: CopyFailed; the caller removes what is there by then.
 */
export function copyTree(source: SourceDirectory, target: number, options: CopyOptions): void {
  new TreeCopy(source, target, options).run();
}
