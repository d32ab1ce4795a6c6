// Hard links of lower files survive copy-up: the copy gets a further link in `<workdir>/links`, named by the lower
// file's handle, where every other name of that file finds it. How many names it has is kept on the copy, relative to
// its links, as kernel overlayfs keeps it ("U+n" in overlay.nlink): names and links come and go in one system call.
// While a name moves from the lower layer to upper the number itself stands there ("A3"), and on a copy that has no
// name yet "C3", so that a crash in between loses nothing: the next mount counts the links (Linux: ovl_nlink_start).

import { errno } from '../abi/errno.js';
import { overlayXattr, type XattrScheme } from '../layer/format.js';
import { sys } from '../native/load.js';
import type { NativeMount, NodeId, PlaceId } from '../native/mount.js';
import { Mode, Open, STAT_WORDS, Stat } from '../native/syscalls.js';

const stat = new BigInt64Array(STAT_WORDS);

/** Identity of a lower file, and how many names it has. */
export interface LinkKey {
  key: string;
  nlink: number;
}

/** Identity of a lower file that has several names; undefined for others, and where there are no handles. */
function linkKey(dirfd: number, name: string): string | undefined {
  if (sys.statx(dirfd, name, stat) !== 0) return undefined;
  if ((Number(stat[Stat.mode]) & Mode.FMT) === Mode.DIR || Number(stat[Stat.nlink]) < 2) return undefined;
  const handle = sys.nameToHandle(dirfd, name);
  return typeof handle === 'number' ? undefined : `${(stat[Stat.dev] ?? 0n).toString(16)}-${handle}`;
}

/** What overlay.nlink says of a file: U names beyond its links, A all its names, C the same of a copy in the making. */
interface NameCount {
  form: 'U' | 'A' | 'C';
  count: number;
}

export class LinkIndex {
  /** Some file is in it: lookups of lower files with several names must ask. */
  active = false;
  /** Keys by the inode number of the copy. */
  readonly #keys = new Map<bigint, string>();

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

  /** Settles what a crash left in between, drops copies whose last name went, and notices whether any are left. */
  #sweep(): void {
    const fd = sys.openat2(this.#fd, '.', Open.RDONLY | Open.DIRECTORY, 0, 0);
    if (fd < 0) return;
    const listing = sys.readdir(fd);
    sys.close(fd);
    if (typeof listing === 'number') return;
    for (const key of listing.names) if (!this.#recover(key)) this.#enter(key);
  }

  /** True when the copy is gone: it never got a name, or has lost its last. */
  #recover(key: string): boolean {
    if (sys.statx(this.#fd, key, stat) !== 0) return true;
    const nlink = Number(stat[Stat.nlink]);
    const found = this.#read(this.#fd, key);
    if (found?.form === 'C' && nlink === 1) return sys.unlinkat(this.#fd, key, 0) === 0;
    if (found && found.form !== 'U') this.#write(this.#fd, key, 'U', found.count - nlink);
    return this.#dropIfNameless(key);
  }

  #enter(key: string): void {
    if (sys.statx(this.#fd, key, stat) === 0) this.#keys.set(stat[Stat.ino] ?? 0n, key);
    if (this.active) return;
    this.active = true;
    this.native.setOptions({ linkIndex: true });
  }

  #dropIfNameless(key: string): boolean {
    if (sys.statx(this.#fd, key, stat) !== 0) return true;
    const ino = stat[Stat.ino] ?? 0n;
    if (Number(stat[Stat.nlink]) + this.delta(this.#fd, key) > 0) return false;
    const node = this.native.nodeAt(this.place, key);
    // One that was found here has no other place: it is kept for who has it open, or stays until the next mount.
    const kept = this.native.keepBeforeUnlink(this.place, key);
    if (kept < 0 || sys.unlinkat(this.#fd, key, 0) !== 0) return false;
    if (kept > 0) this.native.afterUnlink(kept as NodeId, this.place, key);
    // Who has it open sees no name and no link any more.
    if (node > 0) this.native.setNlinkDelta(node as NodeId, 0);
    this.#keys.delete(ino);
    return true;
  }

  #read(dirfd: number, name: string): NameCount | undefined {
    const value = sys.getxattr(dirfd, name, overlayXattr(this.scheme, 'nlink'));
    const found = typeof value === 'number' ? null : /^([UAC])([+-]?\d+)$/.exec(value.toString('latin1'));
    return found ? { form: found[1] as NameCount['form'], count: Number(found[2]) } : undefined;
  }

  #write(dirfd: number, name: string, form: NameCount['form'], count: number): number {
    const sign = form === 'U' && count >= 0 ? '+' : '';
    return sys.setxattr(dirfd, name, overlayXattr(this.scheme, 'nlink'), Buffer.from(`${form}${sign}${count}`), 0);
  }

  /** Where the copy of a lower file is, if one of its names was copied up. */
  find(dirfd: number, name: string): { place: PlaceId; key: string } | undefined {
    if (!this.active) return undefined;
    const key = linkKey(dirfd, name);
    if (key === undefined || sys.statx(this.#fd, key, stat) !== 0) return undefined;
    return { place: this.place, key };
  }

  /** The key that the copy of a lower file needs, or undefined when it has but one name. */
  keyFor(dirfd: number, name: string): LinkKey | undefined {
    const key = linkKey(dirfd, name);
    return key === undefined ? undefined : { key, nlink: Number(stat[Stat.nlink]) };
  }

  /** Says of a copy in work/ that it will be in the index. 0 or -errno. */
  markUnpublished(workFd: number, temporary: string, { nlink }: LinkKey): number {
    return this.#write(workFd, temporary, 'C', nlink);
  }

  /** Enters a marked copy still in work/. It will have two links: here, and its name. 0 or -errno. */
  add(workFd: number, temporary: string, { key }: LinkKey): number {
    return sys.linkat(workFd, temporary, this.#fd, key);
  }

  /** A copy that was entered has its name now, or will never have one. */
  settleCopy({ key, nlink }: LinkKey, published: boolean): void {
    const found = this.#read(this.#fd, key);
    if (found?.form !== 'C') return; // not entered by us
    if (!published) {
      sys.unlinkat(this.#fd, key, 0);
      return;
    }
    this.#write(this.#fd, key, 'U', nlink - 2);
    this.#enter(key);
  }

  /** Names that an upper file has beyond its links. */
  delta(dirfd: number, name: string): number {
    const found = this.#read(dirfd, name);
    if (!found || found.form === 'U') return found?.count ?? 0;
    // The last change could not be completed: nothing has come or gone since.
    return sys.statx(dirfd, name, stat) === 0 ? found.count - Number(stat[Stat.nlink]) : 0;
  }

  /** Gives an indexed copy a name on upper where so far a lower name stood for it: the number of names stays. 0 or -errno. */
  linkUp(key: string, name: string, upperFd: number): number {
    if (sys.statx(this.#fd, key, stat) !== 0) return -errno.ESTALE;
    const nlink = Number(stat[Stat.nlink]);
    const names = nlink + this.delta(this.#fd, key);
    let error = this.#write(this.#fd, key, 'A', names) || sys.linkat(this.#fd, key, upperFd, name);
    if (!error) {
      error = this.#write(this.#fd, key, 'U', names - nlink - 1);
      if (error) sys.unlinkat(upperFd, name, 0);
    }
    if (error) this.#write(this.#fd, key, 'U', names - nlink);
    const node = error ? 0 : this.native.nodeAt(this.place, key);
    if (node > 0) this.native.setNlinkDelta(node as NodeId, names - nlink - 1);
    return error;
  }

  /** The key under which an upper file is indexed, to be asked before one of its names goes. */
  keyOfUpper(dirfd: number, name: string): string | undefined {
    if (!this.active || sys.statx(dirfd, name, stat) !== 0) return undefined;
    const key = this.#keys.get(stat[Stat.ino] ?? 0n);
    if (key !== undefined && this.#read(dirfd, name)?.form !== 'U') this.#recover(key); // before its links change
    return key;
  }

  /** After an upper name of an indexed file went: its copy goes with its last name. */
  settle(key: string | undefined): void {
    if (key !== undefined) this.#dropIfNameless(key);
  }
}
