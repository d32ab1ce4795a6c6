// Which command the words after `lamina` mean. Loads only the file that it is in, for a quick start. Called by main.ts;
// completion.ts lists the words.

import type { Command, Commands } from './command.js';
import { groupHelp, groups, refuseMember } from './groups.js';
import type { CommandSpec } from './arguments.js';

type Loader = () => Promise<Commands>;

const FILES: readonly (readonly [load: Loader, words: readonly string[]])[] = [
  [async () => (await import('./mount.js')).commands, ['mount']],
  [async () => (await import('./mounted.js')).commands, ['umount', 'ls', 'stats TARGET']],
  [async () => (await import('./run.js')).commands, ['run', 'create']],
  [async () => (await import('./attach-commands.js')).commands, ['start', 'attach']],
  [async () => (await import('./exec-command.js')).commands, ['exec']],
  [async () => (await import('./ps.js')).commands, ['ps']],
  [async () => (await import('./inspect.js')).commands, ['inspect']],
  [async () => (await import('./cp.js')).commands, ['cp']],
  [async () => (await import('./files.js')).commands, ['diff', 'export', 'commit']],
  [
    async () => (await import('./container-commands.js')).commands,
    [
      ...['rm', 'wait', 'rename', 'logs', 'top', 'port', 'stop', 'restart', 'kill', 'pause', 'unpause', 'update'],
      'container inspect',
    ],
  ],
  [async () => (await import('./stats-command.js')).commands, ['stats']],
  [
    async () => (await import('./image-commands.js')).commands,
    ['pull', 'push', 'save', 'tag', 'history', 'import', 'image inspect'],
  ],
  [async () => (await import('./image-lists.js')).commands, ['image ls', 'image rm']],
  [async () => (await import('./image-load.js')).commands, ['image load']],
  [async () => (await import('./build-command.js')).commands, ['build']],
  [
    async () => (await import('./volume-commands.js')).commands,
    ['ls', 'create', 'rm', 'inspect', 'export', 'import', 'clone'].map((name) => `volume ${name}`),
  ],
  [
    async () => (await import('./network-commands.js')).commands,
    ['ls', 'create', 'rm', 'connect', 'disconnect', 'inspect'].map((name) => `network ${name}`),
  ],
  [
    async () => (await import('./prune-commands.js')).commands,
    ['container', 'network', 'volume', 'image', 'builder', 'system'].map((group) => `${group} prune`),
  ],
  [async () => (await import('./daemon.js')).commands, ['daemon']],
  [async () => (await import('./system-commands.js')).commands, ['info', 'events', 'system df']],
  [async () => (await import('./version-command.js')).commands, ['version']],
  [async () => (await import('./registry-commands.js')).commands, ['login', 'logout', 'search']],
  [async () => (await import('./completion.js')).commands, ['completion']],
];
const LOADERS = new Map(FILES.flatMap(([load, words]) => words.map((word) => [word, load] as const)));

/** Commands that may also stand behind the name of their group: `container run`, `image pull`. */
const GROUPED: ReadonlyMap<string, readonly string[]> = new Map([
  [
    'container',
    [
      ...['run', 'create', 'start', 'attach', 'exec', 'ps', 'rm', 'wait', 'rename', 'logs', 'top', 'port', 'stop', 'restart'],
      ...['kill', 'pause', 'unpause', 'update', 'cp', 'diff', 'export', 'commit', 'stats'],
    ],
  ],
  ['image', ['pull', 'push', 'save', 'tag', 'history', 'import', 'build']],
  ['builder', ['build']],
  ['system', ['info', 'events']],
]);

/** Other words for a command. */
const ALIASES: ReadonlyMap<string, readonly [word: string, ...rest: string[]]> = new Map([
  ['images', ['image', 'ls']],
  ['rmi', ['image', 'rm']],
  ['load', ['image', 'load']],
  ['unmount', ['umount']],
]);

/** Words of a group's own that lead elsewhere. */
function plain(group: string, name: string): string {
  if (name === 'list' || name === 'ls') return group === 'container' ? 'ps' : 'ls';
  return name === 'remove' ? 'rm' : name;
}

/** What may stand behind `lamina`. */
export const words: readonly string[] = [
  ...[...LOADERS.keys()].filter((each) => !each.includes(' ')),
  ...ALIASES.keys(),
  ...groups,
  'help',
];

async function load(name: string): Promise<Command | undefined> {
  return (await LOADERS.get(name)?.())?.[name];
}

/** The command that the words mean, and what is left of them for it; undefined when they mean none. */
export async function findCommand(
  word: string,
  argv: readonly string[],
): Promise<{ command: Command; argv: readonly string[] } | undefined> {
  const [other, ...more] = ALIASES.get(word) ?? [];
  if (other !== undefined) return findCommand(other, [...more, ...argv]);
  // A path is a mount's target; everything else is a container.
  const isTarget = word === 'stats' && argv.some((each) => each.includes('/') || each === '--json');
  const direct = await load(isTarget ? 'stats TARGET' : word);
  if (direct) return { command: direct, argv };
  const [given = '', ...rest] = argv;
  const name = plain(word, given);
  const member = await load(GROUPED.get(word)?.includes(name) ? name : `${word} ${name}`);
  return member && { command: member, argv: rest };
}

/** The commands of a group and what describes them. */
async function membersOf(group: string): Promise<[name: string, spec: CommandSpec][]> {
  const own = [...LOADERS.keys()].filter((each) => each.startsWith(`${group} `));
  const members: [string, CommandSpec][] = [];
  for (const name of [...own, ...(GROUPED.get(group) ?? [])]) {
    const spec = (await load(name))?.spec;
    if (spec) members.push([name === 'ps' ? 'ls' : name.replace(`${group} `, ''), spec]);
  }
  return members;
}

/** What a group says that was given none of its commands. Returns the exit code. */
export async function runGroup(group: string, given: string | undefined): Promise<number> {
  const asked = given === '--help' || given === '-h';
  if (given !== undefined && !asked) return refuseMember(group, given);
  (asked ? process.stdout : process.stderr).write(groupHelp(group, await membersOf(group)));
  return 0;
}
