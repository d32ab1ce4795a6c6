// Times on the command line: a Unix time, RFC 3339, or how long ago (`42m`, `1h30m`).

/** As the API wants it: seconds since the epoch. */
export function parseTime(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)];
  if (parts.length > 0 && parts.map(([all]) => all).join('') === text) {
    const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };
    return String(Date.now() / 1000 - parts.reduce((sum, [, count, unit = 's']) => sum + Number(count) * (units[unit] ?? 0), 0));
  }
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new Error(
      `invalid value for time: failed to parse ${JSON.stringify(text)}: give a Unix time, RFC 3339, or a duration like 42m`,
    );
  return String(time / 1000);
}
