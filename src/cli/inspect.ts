// `inspect`, of any kind of object or of one.

import type { Client } from '../client/client.js';
import type { Arguments } from './arguments.js';
import { INSPECT_FORMAT } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, path } from './engine.js';
import { forEach } from './failures.js';
import { formatted } from './table.js';

const KINDS: Readonly<Record<string, string>> = {
  container: '/containers/',
  image: '/images/',
  network: '/networks/',
  volume: '/volumes/',
};

async function inspectOne(client: Client, name: string, type: string | undefined, size: boolean): Promise<unknown> {
  for (const [kind, base] of Object.entries(KINDS)) {
    if (type !== undefined && type !== kind) continue;
    const suffix = kind === 'container' || kind === 'image' ? '/json' : '';
    try {
      return await client.json('GET', path(base, name, suffix), { query: { size: kind === 'container' && size } });
    } catch (error) {
      if (type !== undefined || (error as { status?: number }).status !== 404) throw error;
    }
  }
  throw new Error(`Error: No such object: ${name}`);
}

/** Of any kind when `type` is undefined. */
async function inspectObjects(args: Arguments, type: string | undefined): Promise<number> {
  const client = await engine();
  if (type !== undefined && !(type in KINDS))
    throw new Error(`unknown type: ${JSON.stringify(type)}: must be one of "${Object.keys(KINDS).join('", "')}"`);
  const found: unknown[] = [];
  const code = await forEach(args.rest, async (name) => {
    found.push(await inspectOne(client, name, type, args.has('size')));
    return undefined;
  });
  const format = args.value('format');
  if (format === undefined) process.stdout.write(`${JSON.stringify(found, null, 4)}\n`);
  else if (format === 'json') process.stdout.write(`${JSON.stringify(found)}\n`);
  else if (found.length === 0) process.stdout.write('\n');
  else for (const each of found) process.stdout.write(`${formatted(each, format)}\n`);
  return code;
}

const inspect: Command = {
  spec: {
    command: 'lamina inspect',
    usage: '[OPTIONS] NAME|ID [NAME|ID...]',
    summary: 'Return low-level information on containers, images, volumes and networks',
    flags: {
      format: INSPECT_FORMAT,
      size: { short: 's', help: 'Display total file sizes if the type is container' },
      type: { takes: 'TYPE', help: 'Only inspect objects of the given type' },
    },
  },
  takes: [1, Infinity],
  async run(args) {
    return inspectObjects(args, args.value('type'));
  },
};

/** `lamina image inspect` and its like. */
export function inspectKind(kind: string): Command {
  return {
    spec: {
      command: `lamina ${kind} inspect`,
      usage: `[OPTIONS] ${kind.toUpperCase()} [${kind.toUpperCase()}...]`,
      summary: `Display detailed information on one or more ${kind}s`,
      flags: { format: INSPECT_FORMAT },
    },
    takes: [1, Infinity],
    run: (args) => inspectObjects(args, kind),
  };
}

export const commands: Commands = { inspect };
