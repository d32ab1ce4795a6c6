// A directory tree as a tar stream: names in byte order, hard links by inode, xattrs and ACLs, no symlink followed. What the
// tree is, is asked through `PackSource`, so that a plain directory, a root with mounts in it and a writable layer all pack.

import { closeSync } from 'node:fs';
import { read as readAsync } from 'node:fs';
import { promisify } from 'node:util';
import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { Mode, Open, STAT_WORDS, Stat } from '../native/syscalls.js';
import { END_OF_ARCHIVE, blankHeader, encodeHeader, padding } from './tar-encode.js';
import type { TarHeader } from './tar-header.js';

const read = promisify(readAsync);
const CHUNK = 1 << 20;
const TYPES: Readonly<Record<number, string>> = {
  [Mode.REG]: '0',
  [Mode.LNK]: '2',
  [Mode.CHR]: '3',
  [Mode.BLK]: '4',
  [Mode.DIR]: '5',
  [Mode.FIFO]: '6',
};

/** A tree that cannot be read; the message names the place. */
export class PackError extends Error {
  override readonly name = 'PackError';
}

export interface PackEntry {
  /** Name in the directory, as bytes. */
  readonly name: string;
  /** What is to stand in the archive instead of the object. */
  readonly replacement?: TarHeader;
}

export interface PackOptions {
  /** Path of the tree's top in the archive, as bytes; '' leaves out the top itself and gives paths below it. */
  readonly top: string;
  /** What an attribute is called in the archive; undefined leaves it out. */
  readonly xattr?: (name: string) => string | undefined;
  /** Entries of a directory, in order; the names that are there by default. */
  readonly entries?: (dirfd: number, path: string, names: readonly string[]) => readonly PackEntry[];
  /** Whether a directory of another mount is entered; only its mountpoint is packed otherwise. */
  readonly crossMounts?: boolean;
  /** A tree to pack in place of the directory `name`, with entries to put before its own; undefined for the directory itself. */
  readonly substitute?: (dirfd: number, name: string, path: string) => Substitute | undefined;
  readonly signal?: AbortSignal;
}

export interface Substitute {
  /** Owned by the packer. */
  readonly fd: number;
  readonly before: readonly TarHeader[];
}

interface Place {
  readonly dirfd: number;
  readonly name: string;
  /** In the archive. */
  readonly path: string;
}

function attributesOf(dirfd: number, name: string, rename: (name: string) => string | undefined): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  const names = sys.listxattr(dirfd, name);
  if (typeof names === 'number') return found;
  for (const each of names) {
    const shown = rename(each);
    const value = shown === undefined ? -1 : sys.getxattr(dirfd, name, each);
    if (shown !== undefined && typeof value !== 'number') found.set(shown, value);
  }
  return found;
}

/** A path in the archive; the top may be `/`. */
function below(path: string, name: string): string {
  return path === '' || path === '/' ? `${path}${name}` : `${path}/${name}`;
}

class Packer {
  readonly #stat = new BigInt64Array(STAT_WORDS);
  /** Path in the archive of the first name of each inode that has several. */
  readonly #links = new Map<string, string>();
  #mount: bigint | undefined;

  constructor(private readonly options: PackOptions) {}

  async *tree(dirfd: number): AsyncGenerator<Buffer> {
    this.#must(sys.statx(dirfd, '', this.#stat), '');
    this.#mount = this.#stat[Stat.mountId];
    if (this.options.top !== '') yield encodeHeader(this.#header({ dirfd, name: '', path: below(this.options.top, '') }, '5'));
    yield* this.#directory(dirfd, this.options.top);
  }

  /** A single object, which may be a file. */
  async *object(place: Place): AsyncGenerator<Buffer> {
    this.#must(sys.statx(place.dirfd, place.name, this.#stat), place.path);
    this.#mount = this.#stat[Stat.mountId];
    yield* this.#object(place);
  }

  async *#directory(fd: number, path: string): AsyncGenerator<Buffer> {
    const listing = sys.readdir(fd);
    if (typeof listing === 'number') throw this.#error(listing, path);
    const names = [...listing.names].sort();
    const entries = this.options.entries?.(fd, path, names) ?? names.map((name): PackEntry => ({ name }));
    for (const { name, replacement } of entries) {
      this.options.signal?.throwIfAborted();
      if (replacement) yield encodeHeader(replacement);
      else yield* this.#object({ dirfd: fd, name, path: below(path, name) });
    }
  }

  async *#object(place: Place): AsyncGenerator<Buffer> {
    const result = sys.statx(place.dirfd, place.name, this.#stat);
    // It went while its directory was read.
    if (result === -errno.ENOENT) return;
    this.#must(result, place.path);
    const mode = Number(this.#stat[Stat.mode]);
    const type = TYPES[mode & Mode.FMT];
    // Sockets have no place in an archive.
    if (type === undefined) return;
    if (type === '5') {
      yield* this.#subdirectory(place);
      return;
    }
    const header = this.#header(place, type);
    const first = this.#firstName(place.path);
    if (first !== undefined) {
      yield encodeHeader({ ...header, type: '1', linkname: first, size: 0, xattrs: new Map() });
    } else if (type === '0') {
      yield* this.#file(place, header);
    } else {
      if (type === '2') {
        const target = sys.readlinkat(place.dirfd, place.name);
        header.linkname = typeof target === 'string' ? target : '';
      }
      yield encodeHeader(header);
    }
  }

  async *#subdirectory(place: Place): AsyncGenerator<Buffer> {
    const foreign = this.#stat[Stat.mountId] !== this.#mount;
    const substitute = this.options.substitute?.(place.dirfd, place.name, place.path);
    if (substitute) {
      yield* this.#substituted(place, substitute);
      return;
    }
    yield encodeHeader(this.#header({ ...place, path: `${place.path}/` }, '5'));
    if (foreign && !this.options.crossMounts) return;
    const fd = sys.openat2(place.dirfd, place.name === '' ? '.' : place.name, Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
    if (fd === -errno.ENOENT) return;
    this.#must(fd, place.path);
    try {
      yield* this.#directory(fd, place.path);
    } finally {
      closeSync(fd);
    }
  }

  async *#substituted({ path }: Place, { fd, before }: Substitute): AsyncGenerator<Buffer> {
    try {
      this.#must(sys.statx(fd, '', this.#stat), path);
      yield encodeHeader(this.#header({ dirfd: fd, name: '', path: `${path}/` }, '5'));
      for (const header of before) yield encodeHeader(header);
      const inner = new Packer({ ...(this.options.xattr ? { xattr: this.options.xattr } : {}), top: '', crossMounts: true });
      yield* inner.#directory(fd, path);
    } finally {
      closeSync(fd);
    }
  }

  async *#file(place: Place, header: TarHeader): AsyncGenerator<Buffer> {
    const fd = sys.openat2(place.dirfd, place.name, Open.RDONLY | Open.NOFOLLOW | Open.NONBLOCK, 0, 0);
    if (fd === -errno.ENOENT) return;
    this.#must(fd, place.path);
    try {
      yield encodeHeader(header);
      // As many bytes as the header says, whatever happens to the file meanwhile.
      for (let left = header.size, at = 0; left > 0;) {
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK, left));
        const { bytesRead } = await read(fd, chunk, 0, chunk.length, at);
        if (bytesRead === 0) chunk.fill(0);
        const piece = bytesRead === 0 ? chunk : chunk.subarray(0, bytesRead);
        yield piece;
        at += piece.length;
        left -= piece.length;
        this.options.signal?.throwIfAborted();
      }
      if (header.size % 512 !== 0) yield padding(header.size);
    } finally {
      closeSync(fd);
    }
  }

  /** The path under which the inode that was just asked for is in the archive already. */
  #firstName(path: string): string | undefined {
    if (Number(this.#stat[Stat.nlink]) < 2) return undefined;
    const key = `${this.#stat[Stat.dev]}:${this.#stat[Stat.ino]}`;
    const first = this.#links.get(key);
    if (first === undefined) this.#links.set(key, path);
    return first;
  }

  /** From the stat just done. */
  #header({ dirfd, name, path }: Place, type: string): TarHeader {
    const stat = this.#stat;
    const rdev = stat[Stat.rdev] ?? 0n;
    const isDevice = type === '3' || type === '4';
    return {
      ...blankHeader(path, type),
      mode: Number(stat[Stat.mode]) & 0o7777,
      uid: Number(stat[Stat.uid]),
      gid: Number(stat[Stat.gid]),
      size: type === '0' ? Number(stat[Stat.size]) : 0,
      mtime: stat[Stat.mtime] ?? 0n,
      major: isDevice ? Number(rdev >> 32n) : 0,
      minor: isDevice ? Number(rdev & 0xffffffffn) : 0,
      xattrs: attributesOf(dirfd, name, this.options.xattr ?? ((each) => each)),
    };
  }

  #must(result: number, path: string): void {
    if (result < 0) throw this.#error(result, path);
  }

  #error(result: number, path: string): PackError {
    return new PackError(`${Buffer.from(path, 'latin1').toString() || 'the top'}: ${errnoText(result)}`);
  }
}

/** The tree below the directory `dirfd` (O_RDONLY or O_PATH with a readable directory), as an archive. Errors: PackError. */
export async function* packTree(dirfd: number, options: PackOptions): AsyncGenerator<Buffer> {
  yield* new Packer(options).tree(dirfd);
  yield END_OF_ARCHIVE;
}

/** The object `name` in `dirfd` and what is below it, under `path` in the archive. Errors: PackError. */
export async function* packObject(
  dirfd: number,
  name: string,
  path: string,
  options: Omit<PackOptions, 'top'>,
): AsyncGenerator<Buffer> {
  yield* new Packer({ ...options, top: '' }).object({ dirfd, name, path });
  yield END_OF_ARCHIVE;
}
