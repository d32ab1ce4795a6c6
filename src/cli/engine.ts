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

/** The line that tells how a command is used. */
function usageLine({ command, usage }: CommandSpec): string {
  return `Usage:  ${command} ${usage}`.split('\n')[0] ?? '';
}

/** Commands of one file by the words that mean them: `run`, `volume create`. */
export type Commands = Readonly<Record<string, Command>>;

const COUNTS = ['no arguments', '1 argument', '2 arguments'];

function checkCount({ spec, takes: [least, most] }: Command, count: number): void {
  if (count >= least && count <= most) return;
  const exactly = least === most;
  const words = COUNTS[exactly || count < least ? least : most] ?? `${least} arguments`;
  const how = exactly ? (least === 0 ? 'accepts' : 'requires') : count < least ? 'requires at least' : 'requires at most';
  throw new UsageError(`'${spec.command}' ${how} ${words}`, spec.command, 1);
}

/** Runs a command with its arguments. Returns the exit code. Errors: Told. */
export async function runCommand(command: Command, argv: readonly string[]): Promise<number> {
  try {
    const args = parseArguments(command.spec, argv);
    if (args.has('help')) {
      process.stdout.write(helpText(command.spec));
      return 0;
    }
    checkCount(command, args.rest.length);
    return await command.run(args);
  } catch (error) {
    throw new Told(tell(error, command.spec));
  }
}

/** A command has failed and said why: what it had open no longer matters. */
export class Told extends Error {
  override readonly name = 'Told';

  constructor(readonly exitCode: number) {
    super(`exit ${exitCode}`);
  }
}

/** Prints why a command failed, as Docker's does. Returns the exit code. */
function tell(error: unknown, spec: CommandSpec): number {
  const words = wordsOf(error);
  const help = `Run '${spec.command} --help' for more information\n`;
  const isFlag = words.startsWith('invalid argument ');
  if (error instanceof UsageError || isFlag) {
    // Docker's names itself before a wrong number of arguments, not before a wrong flag.
    const code = isFlag ? 125 : (error as UsageError).exitCode;
    process.stderr.write(`${code === 1 ? 'lamina: ' : ''}${words}\n\n${usageLine(spec)}\n\n${help}`);
    return code;
  }
  if ((error as Error).name === 'VolumeSpecError') {
    process.stderr.write(`lamina: ${words}\n\n${help}`);
    return 125;
  }
  process.stderr.write(`${words}\n`);
  return (error as { exitCode?: number }).exitCode ?? 1;
}

/** An error in Docker's words: what the engine said is told as such. */
export function wordsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return error instanceof ApiError ? `Error response from daemon: ${text}` : text;
}

/** Prints an error as Docker's command line does. */
export function complain(error: unknown): void {
  process.stderr.write(`${wordsOf(error)}\n`);
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
