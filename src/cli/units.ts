// Sizes and ages as people read them, in Docker's units and words. Pure.

import { humanDuration } from '../container/duration.js';

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

/** "3 weeks ago", with Docker's thresholds. */
export function age(created: string | undefined, now = Date.now()): string {
  const time = Date.parse(created ?? '');
  if (Number.isNaN(time)) return 'N/A';
  return `${humanDuration(now - time)} ago`;
}
