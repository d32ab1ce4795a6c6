// Times that users set, as timers: Node fires one that is set for longer than 2^31 - 1 ms at once (node:timers, setTimeout).

const LONGEST_MS = 2 ** 31 - 1;

/** What a timer can wait for: 24 days and 20 hours stand for all that is longer. */
export function timerMs(ms: number): number {
  return Math.min(ms, LONGEST_MS);
}
