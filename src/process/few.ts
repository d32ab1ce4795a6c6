// How much work is little enough to be done in place, where all others wait for it: a few milliseconds' worth. Used by what has
// more of it done in a process of its own.

/** Files. */
export const FEW = 32;

const BLOCK = 512;

/** How many files' worth of work a file of so many `blocks` (stat's) is, when `bytes` of disk take as long as a file does. */
export function weight(blocks: number, bytes: number): number {
  return 1 + Math.floor((blocks * BLOCK) / bytes);
}
