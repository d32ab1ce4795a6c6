// Which directories of a union keep the index of their names. The least used go when there are too many names; their
// directories are read again when needed. Used by union.ts alone.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { UnionDirectory } from './directory.js';

/** Names in the indexes of one mount, those of huge directories beside them. */
const NAMES = 300_000;
/** A directory with more names than that budget is huge: reading it again takes long, so it is let go with hesitation. */
const HUGE_NAMES = 10 * NAMES;
/** A huge one is out of use once others were used this many times for each of its names. */
const PATIENCE = 1 / 4;

/** Names let go of after which their memory is given back: an idle thread never collects of its own. */
const GARBAGE = 100_000;

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

interface Kept {
  names: number;
  /** Uses of any index before its last one. */
  at: number;
}

export class IndexBudget {
  /** Least used first. */
  readonly #kept = new Map<UnionDirectory, Kept>();
  #last: UnionDirectory | undefined;
  #uses = 0;
  /** Names in indexes that are not huge, and in those that are. */
  #names = 0;
  #huge = 0;
  #garbage = 0;
  #collect: (() => void) | undefined;

  constructor(
    private readonly limit = NAMES,
    private readonly hugeLimit = HUGE_NAMES,
  ) {}

  /** The index of `dir` is used, and is as large as it is now. Those of others may go. */
  use(dir: UnionDirectory): void {
    this.#uses++;
    const names = Math.max(dir.index?.entries.size ?? 0, dir.index?.length ?? 0);
    const kept = this.#kept.get(dir);
    if (kept && this.#last === dir) {
      kept.at = this.#uses;
      if (kept.names === names) return;
      // Most changes come one after the other in one directory.
      this.#count(kept.names, -kept.names);
      kept.names = names;
    } else {
      this.#remove(dir);
      this.#kept.set(dir, { names, at: this.#uses });
      this.#last = dir;
    }
    this.#count(names, names);
    if (this.#names > this.limit) this.#evict((each) => each.names <= this.limit, false);
    if (this.#names > this.limit) this.#evict((each) => each.names <= this.limit, true);
    if (this.#huge > 0) this.#evictHuge();
  }

  /** A directory is gone, or its listing is over: an index that was only kept for that one goes. */
  drop(dir: UnionDirectory): void {
    this.#garbage += this.#kept.get(dir)?.names ?? 0;
    this.#remove(dir);
    dir.index = undefined;
  }

  /** Gives memory back when there is much of it. Outside of any request: it takes some tens of milliseconds. */
  tidy(): void {
    if (this.#garbage < GARBAGE) return;
    this.#garbage = 0;
    this.#last = undefined;
    this.#collect ??= collector();
    this.#collect();
  }

  /** Names held, for tests. */
  get size(): number {
    return this.#names + this.#huge;
  }

  #count(names: number, change: number): void {
    if (names > this.limit) this.#huge += change;
    else this.#names += change + Math.sign(change);
  }

  #remove(dir: UnionDirectory): void {
    const kept = this.#kept.get(dir);
    if (!kept) return;
    this.#kept.delete(dir);
    this.#count(kept.names, -kept.names);
  }

  /** A listing under way counts on the positions of its index: `readers` are the last to go. */
  #evict(which: (kept: Kept) => boolean, readers: boolean): void {
    for (const [dir, kept] of this.#kept) {
      if (this.#names <= this.limit) return;
      if (dir === this.#last || !which(kept) || dir.reading !== readers) continue;
      dir.reading = false;
      this.drop(dir);
    }
  }

  #evictHuge(): void {
    for (const [dir, kept] of this.#kept) {
      if (dir === this.#last || kept.names <= this.limit) continue;
      const unused = this.#uses - kept.at > kept.names * PATIENCE && !dir.reading;
      if (!unused && this.#huge <= this.hugeLimit) continue;
      dir.reading = false;
      this.drop(dir);
    }
  }
}
