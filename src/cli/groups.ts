// Groups of commands (`lamina volume COMMAND`): what they are for, which commands they have, and the help that lists these.
// Called by dispatch.ts and main.ts.

import type { CommandSpec } from './arguments.js';

/** What a group is for, in Docker's words. */
const SUMMARIES: Readonly<Record<string, string>> = {
  builder: 'Manage builds',
  container: 'Manage containers',
  image: 'Manage images',
  network: 'Manage networks',
  system: 'Manage the engine',
  volume: 'Manage volumes',
};

export const groups: readonly string[] = Object.keys(SUMMARIES);

/** Docker's: names of commands take this much room at least. */
const NARROWEST = 11;

/** Help of a group in Docker's layout: a line for each command, by its name. */
export function groupHelp(group: string, specs: readonly (readonly [name: string, spec: CommandSpec])[]): string {
  const width = Math.max(NARROWEST, ...specs.map(([name]) => name.length));
  const lines = specs.map(([name, { summary }]) => `  ${name.padEnd(width)} ${summary}\n`).sort();
  const more = `Run 'lamina ${group} COMMAND --help' for more information on a command.\n`;
  return `Usage:  lamina ${group} COMMAND\n\n${SUMMARIES[group] ?? ''}\n\nCommands:\n${lines.join('')}\n${more}`;
}

/** Tells that a group has no such command. Returns the exit code. */
export function refuseMember(group: string, given: string): number {
  const words = given.startsWith('--')
    ? `unknown flag: ${given.replace(/=.*$/s, '')}`
    : given.startsWith('-')
      ? `unknown shorthand flag: '${given.charAt(1)}' in ${given}`
      : `lamina: unknown command: lamina ${group} ${given}`;
  process.stderr.write(`${words}\n\nUsage:  lamina ${group} COMMAND\n\nRun 'lamina ${group} --help' for more information\n`);
  return given.startsWith('-') ? 125 : 1;
}
