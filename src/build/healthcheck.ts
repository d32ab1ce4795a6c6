// HEALTHCHECK: its options (Go durations) and its test. Pure.

import { parseDuration } from './duration.js';
import type { Healthcheck } from './host.js';
import type { Command } from './instructions.js';
import type { Flags } from './flags.js';

export interface Health {
  /** undefined is NONE. */
  readonly test: Command | undefined;
  readonly times: Omit<Healthcheck, 'Test'>;
}

const LEAST = 1e6;

/** In nanoseconds. Throws an Error. */
function duration(text: string, flag: string): number {
  const time = parseDuration(text);
  if (time === undefined) throw new Error(`time: invalid duration ${JSON.stringify(text)}`);
  if (time !== 0 && time < LEAST) throw new Error(`Interval ${JSON.stringify(flag)} cannot be less than 1ms`);
  return time;
}

function retries(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const count = Number(text);
  if (count < 0) throw new Error(`--retries cannot be negative (${count})`);
  return count;
}

function times(flags: Flags): Omit<Healthcheck, 'Test'> {
  const time = (flag: string): number | undefined => {
    const text = flags.get(flag);
    return text === undefined || text === '' ? undefined : duration(text, flag) || undefined;
  };
  const [interval, timeout] = [time('interval'), time('timeout')];
  const [period, start] = [time('start-period'), time('start-interval')];
  const count = flags.has('retries') ? retries(flags.get('retries') ?? '') : 0;
  return {
    ...(interval === undefined ? {} : { Interval: interval }),
    ...(timeout === undefined ? {} : { Timeout: timeout }),
    ...(period === undefined ? {} : { StartPeriod: period }),
    ...(start === undefined ? {} : { StartInterval: start }),
    ...(count === 0 ? {} : { Retries: count }),
  };
}

/** Parses what follows HEALTHCHECK. Throws an Error without the line. */
export function parseHealthcheck(text: string, flags: Flags, command: (text: string) => Command): Health {
  const [, word = '', rest = ''] = /^(\S*)\s*(.*)$/s.exec(text) ?? [];
  const type = word.toUpperCase();
  if (type === '') throw new Error('HEALTHCHECK requires at least one argument');
  if (type === 'NONE') {
    if (rest !== '') throw new Error('HEALTHCHECK NONE takes no arguments');
    return { test: undefined, times: {} };
  }
  if (type !== 'CMD') throw new Error(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`);
  const test = command(rest);
  if (rest === '' || ('exec' in test && test.exec.length === 0)) throw new Error('Missing command after HEALTHCHECK CMD');
  return { test, times: times(flags) };
}
