// `lamina run`, `create`, `start -a`, `attach` and `exec`: containers and the terminal.

import { existsSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { ApiError, type Client } from '../client/client.js';
import { copyRaw, demultiplex, followSize, parseDetachKeys, sendInput } from '../client/streams.js';
import type { Arguments, CommandSpec } from './arguments.js';
import { type Command, type Commands, complain, engine, path, wordsOf } from './engine.js';
import { pullImage, withTag } from './pull.js';
import { createBody, environment } from './create-body.js';
import { CONTAINER_FLAGS, type Streams, streamsOf } from './run-flags.js';

const ENGINE_FAILED = 125;
const CANNOT_RUN = 126;
const NOT_FOUND = 127;
/** What `attach` and `exec` end with, as Docker's do. */
const DETACHED = 'read escape sequence';

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

/** Docker's rule: what the engine said decides. */
function exitCodeOf(error: unknown): number {
  const text = error instanceof Error ? error.message : '';
  if (!(error instanceof ApiError)) return ENGINE_FAILED;
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(text)) return NOT_FOUND;
  if (/permission denied|is a directory/.test(text)) return CANNOT_RUN;
  return ENGINE_FAILED;
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
  const make = (): Promise<{ Id: string }> =>
    client.json('POST', '/containers/create', { query: { name: args.value('name'), platform: args.value('platform') }, body });
  if (policy === 'always') await pullImage(client, image, args.has('quiet'), args.value('platform'));
  const { Id: id } = await make().catch(async (error: unknown) => {
    if (!isMissingImage(error) || policy === 'never') throw error;
    if (!args.has('quiet')) process.stderr.write(`Unable to find image '${withTag(image)}' locally\n`);
    await pullImage(client, image, args.has('quiet'), args.value('platform'));
    return make();
  });
  if (cidfile !== undefined) writeFileSync(cidfile, id);
  return id;
}

interface Session {
  readonly tty: boolean;
  readonly streams: Streams;
  readonly detachKeys: string;
  readonly resize: (rows: number, columns: number) => void;
}

/** Joins the terminal and a connection until either is done. Returns whether the user detached. */
async function converse(socket: Socket, { tty, streams, detachKeys, resize }: Session): Promise<boolean> {
  const keys = parseDetachKeys(detachKeys);
  if (!keys) throw new Error(`invalid detach keys (${detachKeys}) provided`);
  const state = { detached: false };
  const leave = (): void => {
    state.detached = true;
    socket.destroy();
  };
  const stopInput = streams.stdin
    ? sendInput(process.stdin, socket, { tty, detachKeys: tty ? keys : [], onDetach: leave })
    : () => undefined;
  if (!streams.stdin) socket.end();
  const stopSize = tty && process.stdout.isTTY ? followSize(process.stdout, resize) : () => undefined;
  try {
    await (tty ? copyRaw(socket, process.stdout) : demultiplex(socket, process.stdout, process.stderr));
  } catch (error) {
    if (!state.detached) throw error;
  } finally {
    stopInput();
    stopSize();
    socket.destroy();
  }
  return state.detached;
}

/** Passes on the signals that this process gets; a terminal's keys reach the container themselves. */
function proxySignals(client: Client, id: string): () => void {
  const passed = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const;
  const handlers = passed.map((signal) => {
    const handler = (): void => {
      client.call('POST', path('/containers/', id, '/kill'), { query: { signal } }).then(
        (response) => response.resume(),
        () => undefined,
      );
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

function attach(
  client: Client,
  id: string,
  streams: Streams,
  more: Readonly<Record<string, boolean | string>> = {},
): Promise<Socket> {
  return client.hijack(path('/containers/', id, '/attach'), { query: { stream: true, ...streams, ...more } });
}

/** The keys that leave `target`, and how it hears of the terminal's size. */
function terminalOf(client: Client, args: Arguments, target: string): Pick<Session, 'detachKeys' | 'resize'> {
  const resize = (rows: number, columns: number): void => {
    client.call('POST', `${target}/resize`, { query: { h: rows, w: columns } }).then(
      (response) => response.resume(),
      () => undefined,
    );
  };
  return { detachKeys: args.value('detach-keys') ?? 'ctrl-p,ctrl-q', resize };
}

async function start(client: Client, id: string): Promise<void> {
  (await client.call('POST', path('/containers/', id, '/start'))).resume();
}

/** Asks for the exit code; whoever has left no longer waits for it, which would keep this process. */
function awaitExit(client: Client, id: string, condition: string): { code: Promise<number>; cancel: () => void } {
  const abort = new AbortController();
  const asked = client.json<{ StatusCode: number }>('POST', path('/containers/', id, '/wait'), {
    query: { condition },
    signal: abort.signal,
  });
  const code = asked.then(({ StatusCode }) => StatusCode);
  code.catch(() => undefined);
  return { code, cancel: () => abort.abort() };
}

async function runAttached(client: Client, id: string, args: Arguments): Promise<number> {
  const streams = streamsOf(args, RUN.command);
  const tty = args.has('tty');
  if (streams.stdin && tty && !process.stdin.isTTY) throw new TerminalError('the input device is not a TTY');
  const socket = await attach(client, id, streams);
  const condition = args.has('rm') ? 'removed' : 'next-exit';
  const waiting = awaitExit(client, id, condition);
  const stop = tty || args.isOff('sig-proxy') ? () => undefined : proxySignals(client, id);
  const session = { tty, streams, ...terminalOf(client, args, path('/containers/', id)) };
  try {
    await start(client, id).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
    if (await converse(socket, session)) return 0;
    return await waiting.code;
  } finally {
    stop();
    waiting.cancel();
  }
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

interface Inspected {
  readonly Id: string;
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean };
  readonly State: { readonly Running: boolean; readonly ExitCode: number };
}

function inspect(client: Client, name: string): Promise<Inspected> {
  return client.json('GET', path('/containers/', name, '/json'));
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
    if (!args.has('attach') && !args.has('interactive')) {
      const failed: string[] = [];
      for (const name of args.rest) {
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
    if (args.rest.length > 1) throw new Error('you cannot start and attach multiple containers at once');
    const { Id: id, Config: config } = await inspect(client, args.rest[0] ?? '');
    const streams = { stdin: args.has('interactive') && config.OpenStdin, stdout: true, stderr: true };
    const socket = await attach(client, id, streams);
    const waiting = awaitExit(client, id, 'next-exit');
    const stop = config.Tty || args.isOff('sig-proxy') ? () => undefined : proxySignals(client, id);
    try {
      await start(client, id);
      if (await converse(socket, { tty: config.Tty, streams, ...terminalOf(client, args, path('/containers/', id)) })) return 0;
      return await waiting.code;
    } finally {
      stop();
      waiting.cancel();
    }
  },
};

const attachCommand: Command = {
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
    // Asked before its output ends: a container may be gone by then.
    const waiting = awaitExit(client, id, '');
    const socket = await attach(client, id, streams);
    const stop = config.Tty || args.isOff('sig-proxy') ? () => undefined : proxySignals(client, id);
    try {
      if (await converse(socket, { tty: config.Tty, streams, ...terminalOf(client, args, path('/containers/', id)) }))
        throw new Error(DETACHED);
      return await waiting.code;
    } finally {
      stop();
      waiting.cancel();
    }
  },
};

const exec: Command = {
  spec: {
    command: 'lamina exec',
    usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
    summary: 'Execute a command in a running container',
    flags: {
      detach: { short: 'd', help: 'Detached mode: run command in the background' },
      'detach-keys': { takes: 'KEYS', help: 'Override the key sequence for detaching a container' },
      env: { short: 'e', takes: 'NAME=VALUE', many: true, help: 'Set environment variables' },
      interactive: { short: 'i', help: 'Keep STDIN open even if not attached' },
      privileged: { help: 'Give extended privileges to the command' },
      tty: { short: 't', help: 'Allocate a pseudo-TTY' },
      user: { short: 'u', takes: 'NAME|UID[:GROUP|GID]', help: 'Username or UID' },
      workdir: { short: 'w', takes: 'DIR', help: 'Working directory inside the container' },
    },
    stopAtFirst: true,
  },
  takes: [2, Infinity],
  async run(args) {
    const client = await engine();
    const [name = '', ...words] = args.rest;
    const tty = args.has('tty');
    const stdin = args.has('interactive');
    if (stdin && tty && !process.stdin.isTTY) throw new Error('the input device is not a TTY');
    const body = {
      AttachStdin: stdin,
      AttachStdout: !args.has('detach'),
      AttachStderr: !args.has('detach'),
      Detach: args.has('detach'),
      Tty: tty,
      Env: environment(args.all('env')),
      Cmd: words,
      Privileged: args.has('privileged'),
      User: args.value('user') ?? '',
      WorkingDir: args.value('workdir') ?? '',
    };
    const { Id: id } = await client.json<{ Id: string }>('POST', path('/containers/', name, '/exec'), { body });
    if (args.has('detach')) {
      (await client.call('POST', path('/exec/', id, '/start'), { body: { Detach: true, Tty: tty } })).resume();
      return 0;
    }
    try {
      const socket = await client.hijack(path('/exec/', id, '/start'), { body: { Detach: false, Tty: tty } });
      const streams = { stdin, stdout: true, stderr: true };
      if (await converse(socket, { tty, streams, ...terminalOf(client, args, path('/exec/', id)) })) throw new Error(DETACHED);
      return (await client.json<{ ExitCode: number | null }>('GET', path('/exec/', id, '/json'))).ExitCode ?? 0;
    } catch (error) {
      complain(error);
      const code = exitCodeOf(error);
      return code === ENGINE_FAILED ? 1 : code;
    }
  },
};

export const commands: Commands = { run, create, start: startCommand, attach: attachCommand, exec };
