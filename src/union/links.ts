// Hard links of lower files survive copy-up: the copy gets a further link in `<workdir>/links`, named by the lower
// file's handle, where every other name of that file finds it. How many names it has is kept on the copy, relative to
// its links, as kernel overlayfs keeps it ("U+n" in overlay.nlink).

import { overlayXattr, type XattrScheme } from '../layer/format.js';
import { sys } from '../native/load.js';
import type { NativeMount, NodeId, PlaceId } from '../native/mount.js';
import { Mode, Open, STAT_WORDS, Stat } from '../native/syscalls.js';

const stat = new BigInt64Array(STAT_WORDS);

/** Identity of a lower file that has several names; undefined for others, and where there are no handles. */
function linkKey(dirfd: number, name: string): string | undefined {
  if (sys.statx(dirfd, name, stat) !== 0) return undefined;
  if ((Number(stat[Stat.mode]) & Mode.FMT) === Mode.DIR || Number(stat[Stat.nlink]) < 2) return undefined;
  const handle = sys.nameToHandle(dirfd, name);
  return typeof handle === 'number' ? undefined : `${(stat[Stat.dev] ?? 0n).toString(16)}-${handle}`;
}

/** Names shown minus links of upper, or undefined for a file that is not in the index. */
function readDelta(dirfd: number, name: string, scheme: XattrScheme): number | undefined {
  const value = sys.getxattr(dirfd, name, overlayXattr(scheme, 'nlink'));
  return typeof value === 'number' ? undefined : Number(value.toString('latin1').slice(1));
}

export class LinkIndex {
  /** Some file is in it: lookups of lower files with several names must ask. */
  active = false;

  constructor(
    private readonly native: NativeMount,
    private readonly place: PlaceId,
    private readonly scheme: XattrScheme,
  ) {
    this.#sweep();
  }

  get #fd(): number {
    return this.native.placeFd(this.place);
  }

  /** Drops copies whose last name went, and notices whether any are left. */
  #sweep(): void {
    const fd = sys.openat2(this.#fd, '.', Open.RDONLY | Open.DIRECTORY, 0, 0);
    if (fd < 0) return;
    const listing = sys.readdir(fd);
    sys.close(fd);
    if (typeof listing === 'number') return;
    for (const key of listing.names) if (!this.#dropIfNameless(key)) this.#activate();
  }

  #activate(): void {
    if (this.active) return;
    this.active = true;
    this.native.setOptions({ linkIndex: true });
  }

  #dropIfNameless(key: string): boolean {
    if (sys.statx(this.#fd, key, stat) !== 0) return true;
    const names = Number(stat[Stat.nlink]) + (readDelta(this.#fd, key, this.scheme) ?? 0);
    return names <= 0 && sys.unlinkat(this.#fd, key, 0) === 0;
  }

  /** Where the copy of a lower file is, if one of its names was copied up. */
  find(dirfd: number, name: string): { place: PlaceId; key: string } | undefined {
    if (!this.active) return undefined;
    const key = linkKey(dirfd, name);
    if (key === undefined || sys.statx(this.#fd, key, stat) !== 0) return undefined;
    return { place: this.place, key };
  }

  /** The key that the copy of a lower file needs, or undefined when it has but one name. */
  keyFor(dirfd: number, name: string): { key: string; nlink: number } | undefined {
    const key = linkKey(dirfd, name);
    return key === undefined ? undefined : { key, nlink: Number(stat[Stat.nlink]) };
  }

  /** Enters a copy still in work/. It will have two links: here, and its name. 0 or -errno. */
  add(workFd: number, temporary: string, { key, nlink }: { key: string; nlink: number }): number {
    const error = this.#write(workFd, temporary, nlink - 2) || sys.linkat(workFd, temporary, this.#fd, key);
    if (!error) this.#activate();
    return error;
  }

  /** Names that an upper file has beyond its links. */
  delta(dirfd: number, name: string): number {
    return readDelta(dirfd, name, this.scheme) ?? 0;
  }

  #write(dirfd: number, name: string, delta: number): number {
    return sys.setxattr(dirfd, name, overlayXattr(this.scheme, 'nlink'), Buffer.from(`U${delta < 0 ? '' : '+'}${delta}`), 0);
  }

  /**
   * Gives an indexed copy a name on upper where so far a lower name stood for it: the number of names stays.
   * 0 or -errno; nothing happens for a file that is not indexed (1).
   */
  linkUp(dirfd: number, name: string, upperFd: number): number {
    const found = this.find(dirfd, name);
    if (!found) return 1;
    const error = sys.linkat(this.#fd, found.key, upperFd, name);
    return error || this.#adjust(found.key, -1);
  }

  /** A lower name of an indexed file went. */
  loseLowerName(dirfd: number, name: string): void {
    const found = this.find(dirfd, name);
    if (found) this.#adjust(found.key, -1);
  }

  #adjust(key: string, by: number): number {
    const delta = (readDelta(this.#fd, key, this.scheme) ?? 0) + by;
    const error = this.#write(this.#fd, key, delta);
    const node = this.native.nodeAt(this.place, key);
    if (node > 0) this.native.setNlinkDelta(node as NodeId, delta);
    this.#dropIfNameless(key);
    return error;
  }

  /** The key under which an upper file is indexed, to be asked before one of its names goes. */
  keyOfUpper(dirfd: number, name: string): string | undefined {
    if (!this.active || readDelta(dirfd, name, this.scheme) === undefined) return undefined;
    if (sys.statx(dirfd, name, stat) !== 0) return undefined;
    const ino = stat[Stat.ino];
    const fd = sys.openat2(this.#fd, '.', Open.RDONLY | Open.DIRECTORY, 0, 0);
    const listing = fd < 0 ? fd : sys.readdir(fd);
    if (fd >= 0) sys.close(fd);
    if (typeof listing === 'number') return undefined;
    return listing.names.find((key) => sys.statx(this.#fd, key, stat) === 0 && stat[Stat.ino] === ino);
  }

  /** After an upper name of an indexed file went: its copy goes with its last name. */
  settle(key: string | undefined): void {
    if (key !== undefined) this.#dropIfNameless(key);
  }
}
