// The engine as commands reach it, and what is put into a request.

import { join } from 'node:path';
import { Client } from '../client/client.js';
import { EngineAbsent, ensureEngine, isServed } from '../client/socket.js';
import { type Arguments, type CommandSpec, UsageError } from './arguments.js';
import { socketPath } from './socket-path.js';

/** A client of the engine, which is started when it is absent. */
export async function engine(): Promise<Client> {
  const socket = socketPath();
  if (process.env['LAMINA_NO_START'] && !(await isServed(socket))) {
    throw new EngineAbsent(`no engine listens on ${socket}: start it with \`lamina daemon\``);
  }
  await ensureEngine(socket, [process.execPath, join(__dirname, 'start-lamina.js'), 'daemon']);
  return new Client(socket);
}

/** `--filter a=b --filter a=c` as the API wants it. */
export function filterQuery(
  args: Arguments,
  spec: CommandSpec,
  more: Readonly<Record<string, readonly string[]>> = {},
): string | undefined {
  const filters: Record<string, string[]> = Object.fromEntries(Object.entries(more).map(([key, values]) => [key, [...values]]));
  for (const text of args.all('filter')) {
    const equals = text.indexOf('=');
    if (equals < 1)
      throw new UsageError(`invalid argument "${text}" for "-f, --filter" flag: invalid filter '${text}'`, spec.command);
    const key = text.slice(0, equals).trim().toLowerCase();
    (filters[key] ??= []).push(text.slice(equals + 1).trim());
  }
  return Object.keys(filters).length > 0 ? JSON.stringify(filters) : undefined;
}

export function path(...parts: readonly string[]): string {
  return parts.map((part, i) => (i % 2 === 1 ? encodeURIComponent(part) : part)).join('');
}
