// How long tests wait for what takes its time. One figure stretches all of their limits where everything is slower: under
// a sanitizer, which makes three of each second, and of the longest calls more. Used by whatever in test/ has a limit.

const FACTOR = process.env['LAMINA_SANITIZED'] === '1' ? 5 : 1;

/** `ms`, or longer where everything is slower. */
export function patient(ms: number): number {
  return ms * FACTOR;
}
