// Work that must be done and could not be, as for want of disk space: tried again until it is done. Used where nobody waits who
// could be told to try again.

import { messageOf } from './errors.js';

const FIRST_MS = 500;
const LONGEST_MS = 5000;

export class Retries {
  readonly #timers = new Set<NodeJS.Timeout>();
  #isClosed = false;

  constructor(private readonly log: (message: string) => void) {}

  /** Does `work`, which must bear to be done again; returns when it is done or has to wait for its next try. */
  async do(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log(`${what}: ${messageOf(error)}: to be tried again`);
      this.#later(work, FIRST_MS);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #later(work: () => Promise<unknown>, pause: number): void {
    if (this.#isClosed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work().catch(() => this.#later(work, Math.min(pause * 2, LONGEST_MS)));
    }, pause);
    this.#timers.add(timer);
  }
}
