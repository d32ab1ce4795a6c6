// What a command is and how one is run: its words parsed, its help, the number of its arguments, and its failure told.

import { type Arguments, type CommandSpec, UsageError, helpText, parseArguments } from './arguments.js';
import { type Tell, tellAsDocker } from './failures.js';

export interface Command {
  readonly spec: CommandSpec;
  /** Fewest and most arguments; a command without looks at them itself. */
  readonly takes?: readonly [number, number];
  /** How its failures are told, if not as Docker's are. */
  readonly tell?: Tell;
  /** The same without an engine: used while none runs that could be asked. */
  readonly offline?: () => Promise<Offline>;
  /** Gives the exit code; none when this process stays, to serve. */
  run(args: Arguments): Promise<number | undefined>;
}

/** How a command reads the data root itself. */
export interface Offline {
  /** The flags that it understands; for others an engine is started. */
  readonly flags: readonly string[];
  readonly tell: Tell;
  run(args: Arguments): Promise<number>;
}

/** Commands of one file by the words that mean them: `run`, `volume create`. */
export type Commands = Readonly<Record<string, Command>>;

/** A command has failed and said why: what it had open no longer matters. */
export class Told extends Error {
  override readonly name = 'Told';

  constructor(readonly exitCode: number) {
    super(`exit ${exitCode}`);
  }
}

const COUNTS = ['no arguments', '1 argument', '2 arguments'];

function checkCount({ spec, takes: [least, most] = [0, Infinity] }: Command, count: number): void {
  if (count >= least && count <= most) return;
  const exactly = least === most;
  const words = COUNTS[exactly || count < least ? least : most] ?? `${least} arguments`;
  const how = exactly ? (least === 0 ? 'accepts' : 'requires') : count < least ? 'requires at least' : 'requires at most';
  throw new UsageError(`'${spec.command}' ${how} ${words}`, spec.command, 1);
}

/** The way without an engine, when there is one for these arguments and no engine runs. */
async function offlineOf({ spec, offline }: Command, args: Arguments): Promise<Offline | undefined> {
  if (!offline) return undefined;
  const { isServed } = await import('../client/socket.js');
  if (await isServed((await import('./socket-path.js')).socketPath())) return undefined;
  const way = await offline();
  return Object.keys(spec.flags).every((name) => !args.has(name) || way.flags.includes(name)) ? way : undefined;
}

/** Runs a command with its arguments. Returns the exit code; none when the process stays, to serve. Errors: Told. */
export async function runCommand(command: Command, argv: readonly string[]): Promise<number | undefined> {
  const { spec } = command;
  let { tell = tellAsDocker } = command;
  try {
    const args = parseArguments(spec, argv);
    if (args.has('help')) {
      process.stdout.write(helpText(spec));
      return 0;
    }
    checkCount(command, args.rest.length);
    const offline = await offlineOf(command, args);
    tell = offline?.tell ?? tell;
    return await (offline ?? command).run(args);
  } catch (error) {
    throw new Told(tell(error, spec));
  }
}
