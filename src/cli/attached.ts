// A container, or a command in one, at this terminal: its streams, its size, its signals, its exit code. Used by run, start,
// attach and exec.

import type { Socket } from 'node:net';
import type { Client } from '../client/client.js';
import { copyRaw, demultiplex, followSize, parseDetachKeys, sendInput } from '../client/streams.js';
import type { Arguments } from './arguments.js';
import { path } from './engine.js';
import type { Streams } from './run-flags.js';

/** What `attach` and `exec` end with when the user has left, as Docker's do. */
export const DETACHED = 'read escape sequence';

interface Session {
  readonly tty: boolean;
  readonly streams: Streams;
  readonly detachKeys: string;
  readonly resize: (rows: number, columns: number) => void;
}

/** Joins the terminal and a connection until either is done. Returns whether the user detached. */
export async function converse(socket: Socket, { tty, streams, detachKeys, resize }: Session): Promise<boolean> {
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

function attach(client: Client, id: string, streams: Streams): Promise<Socket> {
  return client.hijack(path('/containers/', id, '/attach'), { query: { stream: true, ...streams } });
}

/** The keys that leave `target`, and how it hears of the terminal's size. */
export function terminalOf(client: Client, args: Arguments, target: string): Pick<Session, 'detachKeys' | 'resize'> {
  const resize = (rows: number, columns: number): void => {
    client.call('POST', `${target}/resize`, { query: { h: rows, w: columns } }).then(
      (response) => response.resume(),
      () => undefined,
    );
  };
  return { detachKeys: args.value('detach-keys') ?? 'ctrl-p,ctrl-q', resize };
}

export async function start(client: Client, id: string): Promise<void> {
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

/** A container and how it is joined. */
interface Joined {
  readonly tty: boolean;
  readonly streams: Streams;
}

/**
 * Starts a container at this terminal. Returns its exit code, 0 when the user has left it.
 * @param condition when it counts as ended: Docker's of `wait`
 */
export async function startAttached(
  client: Client,
  id: string,
  args: Arguments,
  { tty, streams, condition }: Joined & { readonly condition: string },
): Promise<number> {
  const socket = await attach(client, id, streams);
  const waiting = awaitExit(client, id, condition);
  const stop = tty || args.isOff('sig-proxy') ? () => undefined : proxySignals(client, id);
  try {
    await start(client, id).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
    const session = { tty, streams, ...terminalOf(client, args, path('/containers/', id)) };
    if (await converse(socket, session)) return 0;
    return await waiting.code;
  } finally {
    stop();
    waiting.cancel();
  }
}

/** Joins a container that runs. Returns its exit code. Errors: the user has left it. */
export async function followRunning(client: Client, id: string, args: Arguments, { tty, streams }: Joined): Promise<number> {
  // Asked before its output ends: a container may be gone by then.
  const waiting = awaitExit(client, id, '');
  const socket = await attach(client, id, streams);
  const stop = tty || args.isOff('sig-proxy') ? () => undefined : proxySignals(client, id);
  try {
    const session = { tty, streams, ...terminalOf(client, args, path('/containers/', id)) };
    if (await converse(socket, session)) throw new Error(DETACHED);
    return await waiting.code;
  } finally {
    stop();
    waiting.cancel();
  }
}
