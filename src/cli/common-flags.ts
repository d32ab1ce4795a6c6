// Flags that several commands have, in Docker's words, and what lists of NAME=VALUE mean.

import type { Flag } from './arguments.js';

export const FILTER: Flag = { short: 'f', takes: 'KEY=VALUE', many: true, help: 'Filter output based on conditions provided' };
export const PRUNE_FILTER: Flag = { takes: 'KEY=VALUE', many: true, help: 'Provide filter values' };
export const FORMAT: Flag = { takes: 'TEMPLATE', help: "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
export const INSPECT_FORMAT: Flag = { short: 'f', takes: 'TEMPLATE', help: "Format output: 'json' or a Go template" };
export const FORCE: Flag = { short: 'f', help: 'Do not prompt for confirmation' };
export const QUIET: Flag = { short: 'q', help: 'Only display names' };

/** `--label a=b --label c` as an object; without `=` the value is empty. */
export function pairs(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) =>
      entry.includes('=') ? [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] : [entry, ''],
    ),
  );
}

/** `NAME` takes this process's value. One that is not set here stays a bare name, which takes the image's value away. */
export function environment(entries: readonly string[]): string[] {
  return entries.map((entry) => {
    const value = process.env[entry];
    return entry.includes('=') || value === undefined ? entry : `${entry}=${value}`;
  });
}
