// How the fds that this process may open are shared between the mounts that it serves: what each cannot do without, then
// equal parts of the rest. Used by the serving workers; the native side keeps to its part (native/fd_budget.h).

import { MountError } from './layers.js';

/** Fds for everything else: the runtime, its threads, waiting locks and fsyncs, listings. */
const RESERVE = 128;
/** With fewer a mount would open and close for every name. */
const LEAST = 32;

interface Share {
  fixed: number;
  tell: (limit: number) => void;
}

export class FdShares {
  readonly #shares = new Set<Share>();
  /** `nofile`: how many fds the process may have open. */
  constructor(private readonly nofile: number) {}

  /**
   * A part for one more mount that keeps `fixed` fds open whatever happens. Every mount is told of its new part through
   * `tell`. Returns what gives the part back. Errors: MountError when there would be too little for each.
   */
  take(fixed: number, tell: (limit: number) => void): () => void {
    const share = { fixed, tell };
    this.#shares.add(share);
    if (this.#each() < LEAST) {
      this.#shares.delete(share);
      throw new MountError(
        `${this.nofile} open files are too few for this mount beside ${this.#shares.size} others: ` +
          `it needs ${fixed + LEAST}; raise the limit (ulimit -n, LimitNOFILE=)`,
      );
    }
    this.#spread();
    return () => {
      if (this.#shares.delete(share)) this.#spread();
    };
  }

  #each(): number {
    let left = this.nofile - RESERVE;
    for (const { fixed } of this.#shares) left -= fixed;
    return Math.floor(left / this.#shares.size);
  }

  #spread(): void {
    const limit = this.#each();
    for (const { tell } of this.#shares) tell(limit);
  }
}
