// Where in a layer directory an entry goes: checks names, resolves parent directories inside the layer as a chroot
// would, makes missing ones, and keeps their descriptors. Nothing it returns is outside the layer: every open is
// RESOLVE_BENEATH | NO_SYMLINKS on a path whose symlinks were resolved here. Used by unpack.ts and extract.ts.

import { LRUCache } from 'lru-cache';
import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { Mode, Open, Resolve, Stat, STAT_WORDS } from '../native/syscalls.js';
import type { StatBuffer } from '../native/syscalls.js';

/** An entry cannot be placed; the message is the cause, the unpacker adds entry and next step. */
export class EntryRefused extends Error {
  override readonly name = 'EntryRefused';
}

/** A directory in the layer: its descriptor (O_PATH, owned by the cache, open until the entry is done) and its path without symlinks. */
export interface Dir {
  readonly fd: number;
  readonly path: string;
}

export const INSIDE = Resolve.BENEATH | Resolve.NO_SYMLINKS;
const MAX_HOPS = 40;
const MAX_NAME = 255;
// PATH_MAX less the terminating NUL.
const MAX_PATH = 4095;

/** The components of an entry's name; [] is the layer's root, which "/" names too. Absolute names are refused. */
export function components(name: string): string[] {
  if (name.includes('\0')) throw new EntryRefused('the name contains a NUL');
  if (name.length > MAX_PATH) throw new EntryRefused(`the name is longer than ${MAX_PATH} bytes`);
  if (name.startsWith('/') && name !== '/') throw new EntryRefused('the name is absolute');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  for (const part of parts) {
    if (part === '..') throw new EntryRefused('the name contains ".."');
    if (part.length > MAX_NAME) throw new EntryRefused(`a component of the name is longer than ${MAX_NAME} bytes`);
  }
  return parts;
}

/** The result of a system call, or `EntryRefused` with the errno's text. */
export function must(result: number, what: string): number {
  if (result < 0) throw new EntryRefused(`cannot ${what}: ${errnoText(result)}`);
  return result;
}

export const joined = (dir: string, base: string): string => (dir === '' ? base : `${dir}/${base}`);

export interface Hooks {
  /** A missing parent was made; `hidesLower` when it took the place of a whiteout. */
  implied(dir: Dir, hidesLower: boolean): void;
  /** Whether `path` is a whiteout of this layer; if so it is removed, as something real takes its place. */
  uncover(parent: Dir, base: string, path: string): boolean;
  /** The target of the symlink that shows through from the layers below at `path`, where this layer has nothing. */
  lowerLink(path: string): string | undefined;
}

export class LayerPaths {
  private readonly dirs = new LRUCache<string, Dir>({ max: 256, dispose: (dir) => this.retired.push(dir.fd) });
  /** Descriptors that left the cache while the present entry may still use them. */
  private readonly retired: number[] = [];
  private readonly stat: StatBuffer = new BigInt64Array(STAT_WORDS);

  constructor(
    private readonly root: number,
    private readonly hooks: Hooks,
  ) {}

  /** Forgets resolved directories: after one was removed or replaced. They stay open until `release`. */
  forget(): void {
    this.dirs.clear();
  }

  /** Closes what left the cache; no `Dir` handed out before may be used afterwards unless it is still cached. */
  release(): void {
    for (let fd = this.retired.pop(); fd !== undefined; fd = this.retired.pop()) sys.close(fd);
  }

  /** Mode of what `base` names in `dir`, 0 when nothing is there. */
  modeOf(dir: number, base: string): number {
    const result = sys.statx(dir, base, this.stat);
    if (result === -errno.ENOENT) return 0;
    must(result, 'stat');
    return Number(this.stat[Stat.mode]);
  }

  /** The directory that `parts` lead to; missing ones are made when `create`, else undefined. */
  directory(parts: readonly string[], create: boolean): Dir | undefined {
    const raw = parts.join('/');
    const known = this.dirs.get(raw);
    if (known) return known;
    const fd = this.openDir(raw);
    const dir = fd >= 0 ? { fd, path: raw } : this.walk(parts, create);
    if (dir) this.dirs.set(raw, dir);
    return dir;
  }

  private openDir(path: string): number {
    return sys.openat2(this.root, path === '' ? '.' : path, Open.PATH | Open.DIRECTORY | Open.NOFOLLOW, 0, INSIDE);
  }

  private walk(parts: readonly string[], create: boolean): Dir | undefined {
    const at: string[] = [];
    const pending = [...parts].reverse();
    let hops = 0;
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (at.pop() === undefined) throw new EntryRefused('a symbolic link in its path leads out of the layer');
        continue;
      }
      const path = [...at, part].join('/');
      const mode = this.modeOf(this.root, path);
      const target = this.linkAt(path, mode);
      if (target !== undefined) {
        if (++hops > MAX_HOPS) throw new EntryRefused('too many symbolic links in its path');
        if (target.startsWith('/')) at.length = 0;
        pending.push(...target.split('/').reverse());
        continue;
      }
      if ((mode & Mode.FMT) !== Mode.DIR && !this.step(at, part, path, mode, create)) return undefined;
      at.push(part);
    }
    const path = at.join('/');
    return { fd: must(this.openDir(path), 'open its directory'), path };
  }

  /** The target when a symlink is at `path`, in this layer or, where it has nothing, below. */
  private linkAt(path: string, mode: number): string | undefined {
    if (mode === 0) return this.hooks.lowerLink(path);
    if ((mode & Mode.FMT) !== Mode.LNK) return undefined;
    const target = sys.readlinkat(this.root, path);
    if (typeof target === 'number') throw new EntryRefused(`cannot read a symbolic link in its path: ${errnoText(target)}`);
    return target;
  }

  /** Makes the missing (or whited-out) directory `part` below `at`. False when it may not. */
  private step(at: readonly string[], part: string, path: string, mode: number, create: boolean): boolean {
    if (path.length > MAX_PATH) throw new EntryRefused(`its path is longer than ${MAX_PATH} bytes`);
    const parent = { fd: must(this.openDir(at.join('/')), 'open its directory'), path: at.join('/') };
    try {
      const hidesLower = create && this.hooks.uncover(parent, part, path);
      if (hidesLower) mode = 0;
      if (mode !== 0 && !create && (mode & Mode.FMT) === Mode.CHR) return false;
      if (mode !== 0) throw new EntryRefused('something in its path is not a directory');
      if (!create) return false;
      must(sys.mkdirat(parent.fd, part, 0o700), 'make its directory');
      const fd = must(this.openDir(path), 'open its directory');
      try {
        this.hooks.implied({ fd, path }, hidesLower);
      } finally {
        sys.close(fd);
      }
      return true;
    } finally {
      sys.close(parent.fd);
    }
  }
}
