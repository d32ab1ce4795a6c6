// Copies of regular files in the making, in work/. What takes long, the data and its way to the disk, is done on threads
// beside the loop: the request that needs the copy is parked, answered again from its start when that step is over, and
// finds the copy here. Lower files do not change, so a copy is as good for the second answer as for the first.

import { sys } from '../native/load.js';
import { PARKED } from '../native/mount.js';
import { Open, Stat, Utime, exactTime } from '../native/syscalls.js';
import { copyFlags, copyMetadata, openContent, type Source } from './copy-source.js';
import type { LinkKey } from './links.js';
import { recordIno } from './origin.js';
import type { Union } from './union.js';
import type { WorkDirectory } from './work.js';

/** What only the union reads of a copy: the number it shows (0n: its own), and how it stands in the link index. */
export interface Marks {
  ino: bigint;
  link: LinkKey | undefined;
}

export const UNMARKED: Marks = { ino: 0n, link: undefined };

export function setMarks(union: Union, { ino, link }: Marks, workFd: number, name: string): number {
  return (
    (ino === 0n ? 0 : recordIno(workFd, name, union.stack.scheme, ino)) ||
    (link && union.links ? union.links.markUnpublished(workFd, name, link) : 0)
  );
}

interface FileCopy {
  /** In work/. */
  name: string;
  /** Open for writing; undefined while a request is parked for it. */
  fd: number | undefined;
  /** What is to be done when `running` is over. */
  next: 'metadata' | 'publish';
  /** It ends before its source does: what it was cut by is not there for the truncation that follows to see. */
  cut: boolean;
  /** The number of the work that a thread does; 0 for none. */
  running: number;
}

export class FileCopies {
  readonly #copies = new Map<string, FileCopy>();

  constructor(
    private readonly union: Union,
    private readonly work: WorkDirectory,
  ) {}

  /**
   * A whole copy of `source` with its first `length` bytes (all when negative), on disk unless the union is volatile:
   * its name in work/, now the caller's. PARKED when the request is to come again, or -errno.
   */
  make(source: Source, length: bigint, marks: Marks): string | number {
    const { dev, ino } = { dev: source.stat[Stat.dev], ino: source.stat[Stat.ino] };
    const key = [dev, ino, length, marks.ino, marks.link?.key].join();
    const copy = this.#copies.get(key) ?? this.#begin(length >= 0n && length < (source.stat[Stat.size] ?? 0n));
    const begun = this.#copies.has(key) ? 0 : this.#copyContent(copy, source, length);
    const error = begun || this.#advance(copy, source, marks);
    if (error === PARKED) {
      this.#copies.set(key, copy);
      this.#close(copy);
      return error;
    }
    this.#copies.delete(key);
    this.#close(copy);
    if (error) this.work.discard(copy.name);
    return error || copy.name;
  }

  #begin(cut: boolean): FileCopy {
    return { name: this.work.freshName(), fd: undefined, next: 'metadata', cut, running: 0 };
  }

  /** Begins the next step whenever one is over. 0 when all are. */
  #advance(copy: FileCopy, source: Source, marks: Marks): number {
    const { native } = this.union;
    for (;;) {
      const result = copy.running === 0 ? 0 : native.offloadResult(copy.running);
      if (result > 0) return native.parkUntil(copy.running);
      copy.running = 0;
      if (result < 0 || copy.next === 'publish') return result;
      const error = this.#copyMetadata(copy, source, marks);
      if (error) return error;
    }
  }

  #copyContent(copy: FileCopy, source: Source, length: bigint): number {
    const fd = sys.openat2(this.work.fd, copy.name, Open.CREAT | Open.EXCL | Open.RDWR | Open.NOFOLLOW, 0o600, 0);
    if (fd < 0) return fd;
    copy.fd = fd;
    const from = openContent(source);
    if (from < 0) return from;
    copy.running = this.union.native.copyBeside(from, fd, length);
    const error = copy.running === 0 ? sys.copyData(from, fd, length) : Math.min(copy.running, 0);
    sys.close(from);
    return error;
  }

  /** All of it is on disk before anybody can give it its name. */
  #copyMetadata(copy: FileCopy, source: Source, marks: Marks): number {
    const workFd = this.work.fd;
    const fd = copy.fd ?? sys.openat2(workFd, copy.name, Open.RDWR | Open.NOFOLLOW, 0, 0);
    if (fd < 0) return fd;
    copy.fd = fd;
    copy.next = 'publish';
    copyFlags(source, fd);
    const error =
      copyMetadata(source, workFd, copy.name) ||
      (copy.cut ? sys.utimensat(workFd, copy.name, exactTime(source.stat, 'atime'), Utime.NOW) : 0) ||
      setMarks(this.union, marks, workFd, copy.name);
    if (error || this.union.stack.volatile) return error;
    copy.running = this.union.native.syncBeside(fd);
    return copy.running === 0 ? sys.fsync(fd) : Math.min(copy.running, 0);
  }

  #close(copy: FileCopy): void {
    if (copy.fd !== undefined) sys.close(copy.fd);
    copy.fd = undefined;
  }

  /** Drops what was made for requests that have been answered without it. */
  dropUntaken(): void {
    for (const [key, copy] of this.#copies) {
      if (this.union.native.offloadResult(copy.running) > 0) continue;
      this.#copies.delete(key);
      this.work.discard(copy.name);
    }
  }
}
