// Times as clients and users give them: `since`, `until`. Also read by cli/.

import { parseDuration } from '../build/duration.js';
import { badParameter } from '../container/errors.js';

/** A Unix time, an RFC 3339 time, or how long ago (`10m`, `24h`); in milliseconds since the epoch. undefined for none of these. */
export function momentOf(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const ago = parseDuration(text);
  const time = ago === undefined ? Date.parse(text) : Date.now() - ago / 1e6;
  return Number.isNaN(time) ? undefined : time;
}

/** Errors: 400. */
export function parseMoment(text: string): number {
  const time = momentOf(text);
  if (time === undefined) throw badParameter(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return time;
}
