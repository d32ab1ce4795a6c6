// The engine as commands reach it, and what commands have in common.

import { join } from 'node:path';
import { ApiError, Client } from '../client/client.js';
import { EngineAbsent, ensureEngine, isServed } from '../client/socket.js';
import { type Arguments, type CommandSpec, UsageError, helpText, parseArguments } from './arguments.js';
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

export interface Command {
  readonly spec: CommandSpec;
  /** Fewest and most arguments. */
  readonly takes: readonly [number, number];
  run(args: Arguments): Promise<number>;
}

/** Commands of one file by the words that mean them: `run`, `volume create`. */
export type Commands = Readonly<Record<string, Command>>;

const COUNTS = ['no arguments', '1 argument', '2 arguments'];

function checkCount({ spec, takes: [least, most] }: Command, count: number): void {
  if (count >= least && count <= most) return;
  const exactly = least === most;
  const words = COUNTS[exactly || count < least ? least : most] ?? `${least} arguments`;
  const how = exactly ? (least === 0 ? 'accepts' : 'requires exactly') : count < least ? 'requires at least' : 'accepts at most';
  const usage = `${spec.command} ${spec.usage}`.split('\n')[0] ?? '';
  throw new UsageError(
    `'${spec.command}' ${exactly && least > 1 ? 'requires' : how} ${words}\n\nUsage:  ${usage}`,
    spec.command,
    1,
  );
}

/** Runs a command with its arguments. Returns the exit code. */
export async function runCommand(command: Command, argv: readonly string[]): Promise<number> {
  const args = parseArguments(command.spec, argv);
  if (args.has('help')) {
    process.stdout.write(helpText(command.spec));
    return 0;
  }
  checkCount(command, args.rest.length);
  return command.run(args);
}

/** Prints an error as Docker's command line does. */
export function complain(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(error instanceof ApiError ? `Error response from daemon: ${text}\n` : `lamina: ${text}\n`);
}

/** Does `each` for all names and prints them; one that fails does not keep the others from it. */
export async function forEach(names: readonly string[], each: (name: string) => Promise<string | undefined>): Promise<number> {
  let code = 0;
  for (const name of names) {
    try {
      const said = await each(name);
      if (said !== undefined) process.stdout.write(`${said}\n`);
    } catch (error) {
      complain(error);
      code = 1;
    }
  }
  return code;
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
