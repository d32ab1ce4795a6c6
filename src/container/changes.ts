// What a container has changed in its image: Docker's `diff`, read from the writable layer and the layers below it.

import { type XattrScheme, readLayerDirectory, readMarks } from '../layer/format.js';
import { sys } from '../native/load.js';
import { AT_FDCWD, DirentType, Open, STAT_WORDS, Stat } from '../native/syscalls.js';
import { LayerView } from './layer-view.js';

/** Docker's numbers. */
export const ChangeKind = { modify: 0, add: 1, delete: 2 } as const;

export interface ContainerChange {
  readonly Path: string;
  readonly Kind: number;
}

interface Attributes {
  readonly mode: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly mtime: bigint;
  readonly size: bigint;
  readonly rdev: bigint;
}

const stat = new BigInt64Array(STAT_WORDS);

function attributesOf(dirfd: number, name: string): Attributes | undefined {
  if (sys.statx(dirfd, name, stat) !== 0) return undefined;
  const [mode, uid, gid, mtime, size, rdev] = [Stat.mode, Stat.uid, Stat.gid, Stat.mtime, Stat.size, Stat.rdev].map(
    (word) => stat[word] ?? 0n,
  );
  return { mode: mode ?? 0n, uid: uid ?? 0n, gid: gid ?? 0n, mtime: mtime ?? 0n, size: size ?? 0n, rdev: rdev ?? 0n };
}

/** Sizes of directories say nothing. */
function differ(a: Attributes, b: Attributes, isDirectory: boolean): boolean {
  return (
    a.mode !== b.mode ||
    a.uid !== b.uid ||
    a.gid !== b.gid ||
    a.mtime !== b.mtime ||
    (!isDirectory && (a.size !== b.size || a.rdev !== b.rdev))
  );
}

class Comparison {
  readonly changes: ContainerChange[] = [];

  constructor(
    private readonly below: LayerView,
    private readonly scheme: XattrScheme,
  ) {}

  /** Returns whether anything below the directory has changed. */
  compare(fd: number, path: string): boolean {
    const marks = readMarks(fd, '', this.scheme);
    const listing = readLayerDirectory(fd, marks);
    if (typeof listing === 'number') return false;
    const before = this.changes.length;
    for (const name of [...listing.whiteouts].sort()) {
      if (!listing.present.has(name) && this.below.has(path, name)) this.#note(path, name, ChangeKind.delete);
    }
    if (marks.opaque) {
      for (const name of this.below.names(path)) if (!listing.present.has(name)) this.#note(path, name, ChangeKind.delete);
    }
    for (const name of [...listing.present.keys()].sort())
      this.#object(fd, path, name, listing.present.get(name) === DirentType.DIR);
    return this.changes.length > before;
  }

  #object(fd: number, path: string, name: string, isDirectory: boolean): void {
    const here = attributesOf(fd, name);
    const there = this.below.at(path, name, attributesOf);
    if (!here) return;
    const at = this.changes.length;
    const inner = isDirectory ? this.#inside(fd, path, name) : false;
    const kind = there === undefined ? ChangeKind.add : ChangeKind.modify;
    // A file in the writable layer is there because it was written to.
    if (there && isDirectory && !inner && !differ(here, there, true)) return;
    this.changes.splice(at, 0, { Path: this.#path(path, name), Kind: kind });
  }

  #inside(fd: number, path: string, name: string): boolean {
    const inner = sys.openat2(fd, name, Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
    if (inner < 0) return false;
    try {
      return this.compare(inner, path === '' ? name : `${path}/${name}`);
    } finally {
      sys.close(inner);
    }
  }

  #note(path: string, name: string, kind: number): void {
    this.changes.push({ Path: this.#path(path, name), Kind: kind });
  }

  #path(path: string, name: string): string {
    return `/${Buffer.from(path === '' ? name : `${path}/${name}`, 'latin1').toString()}`;
  }
}

/** Changes of the writable layer at `upper` against `layers` (topmost first), by path. */
export function changesOf(upper: string, layers: readonly string[], scheme: XattrScheme): ContainerChange[] {
  const fd = sys.openat2(AT_FDCWD, Buffer.from(upper).toString('latin1'), Open.RDONLY | Open.DIRECTORY, 0, 0);
  if (fd < 0) return [];
  const below = new LayerView(layers, scheme);
  try {
    const comparison = new Comparison(below, scheme);
    comparison.compare(fd, '');
    return comparison.changes;
  } finally {
    below.close();
    sys.close(fd);
  }
}
