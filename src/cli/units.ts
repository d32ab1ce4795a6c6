// Sizes and ages as people read them, in Docker's units and words. Pure.

/** Decimal units and three digits (four where space is counted), as Docker prints sizes: 4.26MB. */
export function humanSize(bytes: number, digits = 3): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(digits))}${units[unit] ?? ''}`;
}

const STEPS: readonly (readonly [limit: number, seconds: number, unit: string])[] = [
  [120, 60, 'minute'],
  [3600, 60, 'minute'],
  [48 * 3600, 3600, 'hour'],
  [14 * 86400, 86400, 'day'],
  [61 * 86400, 7 * 86400, 'week'],
  [730 * 86400, 30 * 86400, 'month'],
  [Infinity, 365 * 86400, 'year'],
];

/** "3 weeks ago", with Docker's thresholds. */
export function age(created: string | undefined, now = Date.now()): string {
  const time = Date.parse(created ?? '');
  if (Number.isNaN(time)) return 'N/A';
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  if (seconds < 1) return 'Less than a second ago';
  if (seconds < 60) return seconds === 1 ? '1 second ago' : `${seconds} seconds ago`;
  for (const [limit, each, unit] of STEPS) {
    if (seconds >= limit) continue;
    const count = Math.floor(seconds / each);
    if (count === 1 && unit === 'minute') return 'About a minute ago';
    if (count === 1 && unit === 'hour') return 'About an hour ago';
    return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
  }
  return 'N/A';
}
