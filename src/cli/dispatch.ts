// Which command a word means. Loads only the file it is in, for a quick start.

import { type Command, runCommand } from './engine.js';

type Loader = () => Promise<Readonly<Record<string, Command>>>;

const run: Loader = async () => (await import('./run.js')).commands;
const containers: Loader = async () => (await import('./containers.js')).commands;
const files: Loader = async () => (await import('./files.js')).commands;
const objects: Loader = async () => (await import('./objects.js')).commands;

/** Words after `lamina`, and those after `lamina container`. */
const CONTAINER: Readonly<Record<string, Loader>> = {
  ...Object.fromEntries(['run', 'create', 'start', 'attach', 'exec'].map((name) => [name, run])),
  ...Object.fromEntries(
    ['ps', 'rm', 'wait', 'rename', 'logs', 'top', 'port', 'stop', 'restart', 'kill', 'pause', 'unpause', 'update'].map((name) => [
      name,
      containers,
    ]),
  ),
  ...Object.fromEntries(['cp', 'diff', 'export', 'commit'].map((name) => [name, files])),
};
const TOP: Readonly<Record<string, Loader>> = {
  ...CONTAINER,
  inspect: containers,
  ...Object.fromEntries(['pull', 'save', 'tag', 'history', 'import', 'info', 'events', 'build'].map((name) => [name, objects])),
};
const IMAGE: readonly string[] = ['pull', 'save', 'tag', 'history', 'import', 'build'];
const ALIASES: Readonly<Record<string, string>> = { ls: 'ps', list: 'ps', remove: 'rm' };

/** Names of all commands that talk to the engine. */
export const engineCommands: readonly string[] = [...Object.keys(TOP), 'container', 'network', 'system'];

async function runNamed(loader: Loader, name: string, argv: readonly string[]): Promise<number> {
  const command = (await loader())[name];
  if (!command) throw new Error(`no command ${name}`);
  return runCommand(command, argv);
}

/** A command of a group: `volume create`. undefined when the group has none of that name. */
async function runGrouped(group: string, name: string, argv: readonly string[]): Promise<number | undefined> {
  const { groups } = await import('./objects.js');
  const command = groups[group]?.[{ list: 'ls', remove: 'rm' }[name] ?? name];
  return command && runCommand(command, argv);
}

function groupHelp(group: string, names: readonly string[]): number {
  process.stdout.write(`Usage:  lamina ${group} COMMAND\n\nCommands: ${[...names].sort().join(', ')}\n`);
  return 0;
}

/** Runs a command that talks to the engine; undefined when the words mean none. */
export async function dispatch(word: string, argv: readonly string[]): Promise<number | undefined> {
  const [name = '', ...rest] = argv;
  if (word === 'container') {
    if (name === 'prune') return runNamed(containers, 'prune', rest);
    if (name === 'inspect') return runGrouped('container', name, rest);
    const plain = ALIASES[name] ?? name;
    const loader = CONTAINER[plain];
    return loader ? runNamed(loader, plain, rest) : groupHelp(word, [...Object.keys(CONTAINER), 'ls', 'prune', 'inspect']);
  }
  if (word === 'image') {
    return IMAGE.includes(name) ? runNamed(objects, name, rest) : undefined;
  }
  if (word === 'network') return (await runGrouped(word, name, rest)) ?? groupHelp(word, ['ls', 'create', 'rm', 'inspect']);
  if (word === 'volume') return runGrouped(word, name, rest);
  if (word === 'system') {
    if (name === 'info' || name === 'events') return runNamed(objects, name, rest);
    return groupHelp(word, ['info', 'events']);
  }
  const loader = TOP[word];
  return loader && runNamed(loader, word, argv);
}
