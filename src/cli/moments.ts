// Times on the command line, which are this machine's: a Unix time, RFC 3339, or how long ago (`42m`, `1h30m`).

import { momentOf } from '../engine/moment.js';

/** As the API wants it: seconds since the epoch. */
export function parseTime(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  const time = momentOf(text);
  if (time === undefined)
    throw new Error(
      `invalid value for time: failed to parse ${JSON.stringify(text)}: give a Unix time, RFC 3339, or a duration like 42m`,
    );
  return String(time / 1000);
}
