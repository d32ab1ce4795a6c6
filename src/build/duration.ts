// Durations as Go writes them: `1m30s`, `1.5h`, `200ms`. Also read by engine/ and cli/. Pure.

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Nanoseconds; undefined for what is no duration. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)];
  const sum = parts.reduce((total, [, number = '', unit = '']) => total + Number(number) * (UNITS[unit] ?? NaN), 0);
  return Number.isFinite(sum) ? Math.round(sum) : undefined;
}
