// `lamina start` and `attach`: containers that are there already.

import type { Client } from '../client/client.js';
import { followRunning, start, startAttached } from './attached.js';
import type { Command, Commands } from './command.js';
import { engine, path } from './engine.js';
import { complain } from './failures.js';

interface Inspected {
  readonly Id: string;
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean };
  readonly State: { readonly Running: boolean; readonly ExitCode: number };
}

function inspect(client: Client, name: string): Promise<Inspected> {
  return client.json('GET', path('/containers/', name, '/json'));
}

/** Starts all that can be. Returns the exit code. */
async function startAll(client: Client, names: readonly string[]): Promise<number> {
  const failed: string[] = [];
  for (const name of names) {
    try {
      await start(client, name);
      process.stdout.write(`${name}\n`);
    } catch (error) {
      complain(error);
      failed.push(name);
    }
  }
  if (failed.length > 0) process.stderr.write(`Error: failed to start containers: ${failed.join(', ')}\n`);
  return failed.length > 0 ? 1 : 0;
}

const startCommand: Command = {
  spec: {
    command: 'lamina start',
    usage: '[OPTIONS] CONTAINER [CONTAINER...]',
    summary: 'Start one or more stopped containers',
    flags: {
      attach: { short: 'a', help: 'Attach STDOUT/STDERR and forward signals' },
      'sig-proxy': { help: 'Proxy all received signals to the process (default true)' },
      interactive: { short: 'i', help: "Attach container's STDIN" },
      'detach-keys': { takes: 'KEYS', help: 'Override the key sequence for detaching a container' },
    },
  },
  takes: [1, Infinity],
  async run(args) {
    const client = await engine();
    if (!args.has('attach') && !args.has('interactive')) return startAll(client, args.rest);
    if (args.rest.length > 1) throw new Error('you cannot start and attach multiple containers at once');
    const { Id: id, Config: config } = await inspect(client, args.rest[0] ?? '');
    const streams = { stdin: args.has('interactive') && config.OpenStdin, stdout: true, stderr: true };
    return startAttached(client, id, args, { tty: config.Tty, streams, condition: 'next-exit' });
  },
};

const attach: Command = {
  spec: {
    command: 'lamina attach',
    usage: '[OPTIONS] CONTAINER',
    summary: 'Attach local standard input, output, and error streams to a running container',
    flags: {
      'no-stdin': { help: 'Do not attach STDIN' },
      'sig-proxy': { help: 'Proxy all received signals to the process (default true)' },
      'detach-keys': { takes: 'KEYS', help: 'Override the key sequence for detaching a container' },
    },
  },
  takes: [1, 1],
  async run(args) {
    const client = await engine();
    const { Id: id, Config: config, State: state } = await inspect(client, args.rest[0] ?? '');
    if (!state.Running) throw new Error('cannot attach to a stopped container, start it first');
    const streams = { stdin: !args.has('no-stdin') && config.OpenStdin, stdout: true, stderr: true };
    return followRunning(client, id, args, { tty: config.Tty, streams });
  },
};

export const commands: Commands = { start: startCommand, attach };
