// Which command the words after `lamina` mean. Loads only the file that it is in, for a quick start.

import type { CommandSpec } from './arguments.js';
import { type Commands, runCommand } from './engine.js';
import { groupHelp, groups, refuseMember } from './groups.js';

type Loader = () => Promise<Commands>;

const FILES: readonly (readonly [load: Loader, words: readonly string[]])[] = [
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
      ...['container prune', 'container inspect'],
    ],
  ],
  [
    async () => (await import('./image-commands.js')).commands,
    ['pull', 'push', 'save', 'tag', 'history', 'import', 'image prune', 'image inspect'],
  ],
  [async () => (await import('./build-command.js')).commands, ['build', 'builder prune']],
  [async () => (await import('./image-lists.js')).commands, ['image ls', 'image rm']],
  [
    async () => (await import('./volume-commands.js')).commands,
    ['ls', 'create', 'rm', 'prune', 'inspect', 'export', 'import', 'clone'].map((name) => `volume ${name}`),
  ],
  [
    async () => (await import('./network-commands.js')).commands,
    ['ls', 'create', 'rm', 'prune', 'connect', 'disconnect', 'inspect'].map((name) => `network ${name}`),
  ],
  [async () => (await import('./system-commands.js')).commands, ['info', 'events', 'system df', 'system prune']],
  [async () => (await import('./version-command.js')).commands, ['version']],
  [async () => (await import('./registry-commands.js')).commands, ['login', 'logout', 'search']],
  [async () => (await import('./stats-command.js')).commands, ['stats']],
];
const LOADERS = new Map(FILES.flatMap(([load, words]) => words.map((word) => [word, load] as const)));

/** Commands that may also stand behind the name of their group: `container run`, `image pull`. */
const GROUPED: Readonly<Record<string, readonly string[]>> = {
  container: [
    ...['run', 'create', 'start', 'attach', 'exec', 'ps', 'rm', 'wait', 'rename', 'logs', 'top', 'port', 'stop', 'restart'],
    ...['kill', 'pause', 'unpause', 'update', 'cp', 'diff', 'export', 'commit', 'stats'],
  ],
  image: ['pull', 'push', 'save', 'tag', 'history', 'import', 'build'],
  builder: ['build'],
  system: ['info', 'events'],
};
/** Commands of groups that are run elsewhere. */
const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, () => Promise<CommandSpec>>>>> = {
  image: { load: async () => (await import('./image.js')).LOAD },
};

/** Words of a group's own that lead elsewhere. */
function plain(group: string, name: string): string {
  if (name === 'list' || name === 'ls') return group === 'container' ? 'ps' : 'ls';
  return name === 'remove' ? 'rm' : name;
}

/** Names of all commands that talk to the engine. */
export const engineCommands: readonly string[] = [...[...LOADERS.keys()].filter((words) => !words.includes(' ')), ...groups];

async function runNamed(words: string, argv: readonly string[]): Promise<number | undefined> {
  const command = (await LOADERS.get(words)?.())?.[words];
  return command && runCommand(command, argv);
}

/** The commands of a group and what describes them. */
async function membersOf(group: string): Promise<[name: string, spec: CommandSpec][]> {
  const own = [...LOADERS.keys()].filter((words) => words.startsWith(`${group} `));
  const members: [string, CommandSpec][] = [];
  for (const words of [...own, ...(GROUPED[group] ?? [])]) {
    const spec = (await LOADERS.get(words)?.())?.[words]?.spec;
    if (spec) members.push([words === 'ps' ? 'ls' : words.replace(`${group} `, ''), spec]);
  }
  for (const [name, load] of Object.entries(ELSEWHERE[group] ?? {})) members.push([name, await load()]);
  return members;
}

async function runGroup(group: string, given: string | undefined): Promise<number> {
  const asked = given === '--help' || given === '-h';
  if (given !== undefined && !asked) return refuseMember(group, given);
  (asked ? process.stdout : process.stderr).write(groupHelp(group, await membersOf(group)));
  return 0;
}

/** Runs a command that talks to the engine; undefined when the words mean none. */
export async function dispatch(word: string, argv: readonly string[]): Promise<number | undefined> {
  const direct = await runNamed(word, argv);
  if (direct !== undefined) return direct;
  const [given = '', ...rest] = argv;
  const name = plain(word, given);
  const code = GROUPED[word]?.includes(name) ? await runNamed(name, rest) : await runNamed(`${word} ${name}`, rest);
  return code ?? (groups.includes(word) ? runGroup(word, argv[0]) : undefined);
}
