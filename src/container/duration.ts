// How long ago, in Docker's words (go-units HumanDuration).

const STEPS: readonly (readonly [limitSeconds: number, seconds: number, unit: string])[] = [
  [3600, 60, 'minutes'],
  [48 * 3600, 3600, 'hours'],
  [14 * 86400, 86400, 'days'],
  [61 * 86400, 7 * 86400, 'weeks'],
  [730 * 86400, 30 * 86400, 'months'],
  [Infinity, 365 * 86400, 'years'],
];

/** "Less than a second", "About a minute", "3 weeks". */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  if (Math.floor(seconds / 60) === 1) return 'About a minute';
  const hours = Math.round(seconds / 3600);
  if (seconds >= 3600 && hours === 1) return 'About an hour';
  for (const [limit, each, unit] of STEPS) {
    if (seconds < limit) return `${unit === 'hours' ? hours : Math.floor(seconds / each)} ${unit}`;
  }
  return '';
}
