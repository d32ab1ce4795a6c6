// A tree that a volume is filled from, as the copying sees it: directories, opened one at a time, whose entries may lie
// in different places. A plain directory is one; the union of layers is another (merged-source.ts). Names are bytes.

import { sys } from '../native/load.js';
import { DirentType, Mode, Open, STAT_WORDS, Stat } from '../native/syscalls.js';
import { FEW, weight } from '../process/few.js';
import { openBelow } from './open-below.js';

/** An object of the tree: `name` in the directory `dirfd`, valid while the listing it came from is open. */
export interface SourceEntry {
  name: string;
  dirfd: number;
  /** d_type; never UNKNOWN. */
  type: number;
}

export interface OpenedDirectory {
  /** Shows the directory's owner, mode, times and attributes. */
  readonly fd: number;
  readonly entries: readonly SourceEntry[];
  /** The subdirectory that an entry of type DIR is. It outlives this object and holds no descriptor. */
  subdirectory(entry: SourceEntry): SourceDirectory;
  /** What an attribute of an object here is called in the tree; undefined when it does not show. */
  shownXattr(stored: string): string | undefined;
  close(): void;
}

export interface SourceDirectory {
  /** -errno when it cannot be read. The caller closes. */
  open(): OpenedDirectory | number;
}

const stat = new BigInt64Array(STAT_WORDS);

/** d_type by stat, for file systems that leave it out of the listing. */
export function typeAt(dirfd: number, name: string): number {
  return sys.statx(dirfd, name, stat) === 0 ? (Number(stat[Stat.mode]) & Mode.FMT) >> 12 : DirentType.UNKNOWN;
}

/** Of disk that are copied in the time that making a file takes. */
const BYTES = 1 << 17;

/** Whether the tree has so little that it is copied in a few milliseconds. One that cannot be read has not. */
export function hasFew(source: SourceDirectory): boolean {
  const pending = [source];
  let left = FEW;
  for (let next = pending.pop(); next; next = pending.pop()) {
    const opened = next.open();
    if (typeof opened === 'number') return false;
    try {
      if (opened.entries.length > left) return false;
      for (const entry of opened.entries) {
        if (sys.statx(entry.dirfd, entry.name, stat) !== 0) return false;
        left -= weight(Number(stat[Stat.blocks]), BYTES);
        if (entry.type === DirentType.DIR) pending.push(opened.subdirectory(entry));
      }
      if (left < 0) return false;
    } finally {
      opened.close();
    }
  }
  return true;
}

/** A plain directory, for instance of a mounted root. `root` stays the caller's, open for as long as this is used. */
export function directorySource(root: number, path = ''): SourceDirectory {
  return {
    open() {
      const fd = openBelow(root, path, Open.RDONLY | Open.DIRECTORY);
      if (fd < 0) return fd;
      const listing = sys.readdir(fd);
      if (typeof listing === 'number') {
        sys.close(fd);
        return listing;
      }
      return {
        fd,
        entries: listing.names.map((name, i) => ({ name, dirfd: fd, type: listing.types[i] || typeAt(fd, name) })),
        subdirectory: (entry) => directorySource(root, path === '' ? entry.name : `${path}/${entry.name}`),
        shownXattr: (stored) => stored,
        close: () => void sys.close(fd),
      };
    },
  };
}
