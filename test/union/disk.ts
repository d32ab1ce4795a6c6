// Layers on disk from a short description, made in this process: names are bytes as latin1 strings.

import { basename, dirname } from 'node:path';
import { errnoName } from '../../src/abi/errno.js';
import { sys } from '../../src/native/load.js';
import { AT_FDCWD, Mode, Open, STAT_WORDS, Stat } from '../../src/native/syscalls.js';

/** Makes an object called `name` in the directory `dirfd`. */
export type Maker = (dirfd: number, name: string) => void;

/** By path; a name that ends in '/' is a directory, text is a file's content. Missing parents are made. */
export type Spec = Readonly<Record<string, string | Maker>>;

/** Fails loudly when a system call does. */
export function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${errnoName(result)}`);
  return result;
}

export function openDir(path: string): number {
  return must(sys.openat2(AT_FDCWD, path, Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0), path);
}

export const file =
  (content: string, mode = 0o644): Maker =>
  (dirfd, name) => {
    const fd = must(sys.openat2(dirfd, name, Open.CREAT | Open.EXCL | Open.WRONLY, mode, 0), name);
    must(sys.pwrite(fd, Buffer.from(content, 'latin1'), 0n), name);
    must(sys.fchmodat(dirfd, name, mode), name);
    sys.close(fd);
  };
export const dir = (): Maker => (dirfd, name) => void must(sys.mkdirat(dirfd, name, 0o755), name);
export const symlink =
  (target: string): Maker =>
  (dirfd, name) =>
    void must(sys.symlinkat(target, dirfd, name), name);
export const node =
  (mode: number, rdev = 0n): Maker =>
  (dirfd, name) =>
    void must(sys.mknodat(dirfd, name, mode, rdev), name);

/** Adds extended attributes to what another maker made. */
export const withXattrs =
  (make: Maker, xattrs: Readonly<Record<string, string>>): Maker =>
  (dirfd, name) => {
    make(dirfd, name);
    for (const [key, value] of Object.entries(xattrs)) {
      must(sys.setxattr(dirfd, name, key, Buffer.from(value, 'latin1'), 0), `${key} of ${name}`);
    }
  };

/** A whiteout in the format of kernel overlayfs. */
export const whiteout = (): Maker => node(Mode.CHR, 0n);

/** Makes everything of `spec` below `root`. */
export function build(root: string, spec: Spec): void {
  for (const [path, what] of Object.entries(spec)) {
    const names = path.split('/').filter((name) => name !== '');
    const last = names.pop();
    let fd = openDir(root);
    for (const name of names) {
      sys.mkdirat(fd, name, 0o755);
      const next = must(sys.openat2(fd, name, Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0), path);
      sys.close(fd);
      fd = next;
    }
    if (last !== undefined) {
      if (typeof what !== 'string') what(fd, last);
      else if (!path.endsWith('/')) file(what)(fd, last);
      else if (sys.mkdirat(fd, last, 0o755) < 0) must(sys.statx(fd, last, new BigInt64Array(STAT_WORDS)), path);
    }
    sys.close(fd);
  }
}

/** Names in a directory, sorted; undefined when it is none. */
export function namesIn(path: string): string[] | undefined {
  const fd = sys.openat2(AT_FDCWD, path, Open.RDONLY | Open.DIRECTORY, 0, 0);
  if (fd < 0) return undefined;
  const listing = sys.readdir(fd);
  sys.close(fd);
  return typeof listing === 'number' ? undefined : listing.names.sort();
}

/** What an object on disk is: type and permissions, owner, size, times; undefined when absent. */
export function describe(
  path: string,
): { mode: number; uid: number; gid: number; size: number; mtime: bigint; nlink: number } | undefined {
  const stat = new BigInt64Array(STAT_WORDS);
  if (sys.statx(AT_FDCWD, path, stat) !== 0) return undefined;
  const at = (word: number): number => Number(stat[word]);
  return {
    mode: at(Stat.mode),
    uid: at(Stat.uid),
    gid: at(Stat.gid),
    size: at(Stat.size),
    mtime: stat[Stat.mtime] ?? 0n,
    nlink: at(Stat.nlink),
  };
}

/** Value of an extended attribute; undefined when absent. */
export function xattr(path: string, name: string): string | undefined {
  const fd = openDir(dirname(path));
  const value = sys.getxattr(fd, basename(path), name);
  sys.close(fd);
  return typeof value === 'number' ? undefined : value.toString('latin1');
}
