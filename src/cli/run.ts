// `lamina run` and `create`: a container is made from an image, which is pulled when it is missing.

import { existsSync, writeFileSync } from 'node:fs';
import { ApiError, type Client } from '../client/client.js';
import type { Arguments, CommandSpec } from './arguments.js';
import { start, startAttached } from './attached.js';
import { createBody } from './create-body.js';
import type { Command, Commands } from './command.js';
import { engine } from './engine.js';
import { wordsOf } from './failures.js';
import { exitCodeOf } from './exit-codes.js';
import { pullImage, withTag } from './pull.js';
import { CONTAINER_FLAGS, streamsOf } from './run-flags.js';

const RUN: CommandSpec = {
  command: 'lamina run',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create and run a new container from an image',
  flags: {
    ...CONTAINER_FLAGS,
    detach: { short: 'd', help: 'Run container in background and print container ID' },
    'detach-keys': { takes: 'KEYS', help: 'Override the key sequence for detaching a container' },
    quiet: { short: 'q', help: 'Suppress the pull output' },
    'sig-proxy': { help: 'Proxy received signals to the process (default true)' },
  },
  stopAtFirst: true,
};

const CREATE: CommandSpec = {
  command: 'lamina create',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create a new container',
  flags: { ...CONTAINER_FLAGS, quiet: { short: 'q', help: 'Suppress the pull output' } },
  stopAtFirst: true,
};

/** The terminal is not what the flags say; Docker ends with 1. */
class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

function isMissingImage(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && error.message.includes('No such image');
}

/** Makes the container, pulling its image when it is missing. */
async function createContainer(client: Client, args: Arguments, spec: CommandSpec, detached: boolean): Promise<string> {
  const cidfile = args.value('cidfile');
  if (cidfile !== undefined && existsSync(cidfile)) {
    throw new Error(`container ID file found, make sure the other container isn't running or delete ${cidfile}`);
  }
  const [image = ''] = args.rest;
  const body = createBody(args, spec.command, detached);
  const policy = args.value('pull') ?? 'missing';
  if (!['missing', 'always', 'never'].includes(policy)) {
    throw new Error(`invalid pull option: '${policy}': must be one of "always", "missing" or "never"`);
  }
  const make = (): Promise<{ Id: string; Warnings: readonly string[] | null }> =>
    client.json('POST', '/containers/create', { query: { name: args.value('name'), platform: args.value('platform') }, body });
  if (policy === 'always') await pullImage(client, image, args.has('quiet'), args.value('platform'));
  const { Id: id, Warnings: warnings } = await make().catch(async (error: unknown) => {
    if (!isMissingImage(error) || policy === 'never') throw error;
    if (!args.has('quiet')) process.stderr.write(`Unable to find image '${withTag(image)}' locally\n`);
    await pullImage(client, image, args.has('quiet'), args.value('platform'));
    return make();
  });
  for (const warning of warnings ?? []) process.stderr.write(`WARNING: ${warning}\n`);
  if (cidfile !== undefined) writeFileSync(cidfile, id);
  return id;
}

function runAttached(client: Client, id: string, args: Arguments): Promise<number> {
  const streams = streamsOf(args, RUN.command);
  const tty = args.has('tty');
  if (streams.stdin && tty && !process.stdin.isTTY) throw new TerminalError('the input device is not a TTY');
  return startAttached(client, id, args, { tty, streams, condition: args.has('rm') ? 'removed' : 'next-exit' });
}

const run: Command = {
  spec: RUN,
  takes: [1, Infinity],
  async run(args) {
    try {
      const client = await engine();
      const detached = args.has('detach');
      if (detached && args.all('attach').length > 0)
        throw new TerminalError('conflicting options: cannot specify both --attach and --detach');
      const id = await createContainer(client, args, RUN, detached);
      if (!detached) return await runAttached(client, id, args);
      // Also of one that cannot be started, which is there all the same.
      await start(client, id).finally(() => process.stdout.write(`${id}\n`));
      return 0;
    } catch (error) {
      if (['UsageError', 'VolumeSpecError', 'TerminalError'].includes((error as Error).name)) throw error;
      process.stderr.write(`lamina: ${wordsOf(error)}\n\nRun 'lamina run --help' for more information\n`);
      return exitCodeOf(error);
    }
  },
};

const create: Command = {
  spec: CREATE,
  takes: [1, Infinity],
  async run(args) {
    process.stdout.write(`${await createContainer(await engine(), args, CREATE, false)}\n`);
    return 0;
  },
};

export const commands: Commands = { run, create };
