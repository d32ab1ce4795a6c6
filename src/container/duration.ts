// How long ago, in Docker's words (go-units HumanDuration). Used by engine/ and cli/. Pure.

const STEPS: readonly (readonly [limitHours: number, hours: number, unit: string])[] = [
  [48, 1, 'hours'],
  [14 * 24, 24, 'days'],
  [60 * 24, 7 * 24, 'weeks'],
  [730 * 24, 30 * 24, 'months'],
  [Infinity, 365 * 24, 'years'],
];

/** "Less than a second", "About a minute", "3 weeks". */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 1) return 'Less than a second';
  if (seconds < 60) return seconds === 1 ? '1 second' : `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes === 1 ? 'About a minute' : `${minutes} minutes`;
  // From here on half an hour counts as one.
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return 'About an hour';
  const [, each = 1, unit = ''] = STEPS.find(([limit]) => hours < limit) ?? [];
  return `${Math.floor(hours / each)} ${unit}`;
}
