// A taken-over connection and the terminal: Docker's frames told apart, raw mode, sizes, detach keys.

import { spawnSync } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';

/** Splits framed output (8 bytes of head: kind, length) into stdout and stderr. Resolves at its end. */
export async function demultiplex(source: Readable, stdout: Writable, stderr: Writable): Promise<void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = rest.length === 0 ? (chunk as Buffer<ArrayBuffer>) : Buffer.concat([rest, chunk as Buffer]);
    while (rest.length >= 8) {
      const length = rest.readUInt32BE(4);
      if (rest.length < 8 + length) break;
      await write(rest[0] === 2 ? stderr : stdout, rest.subarray(8, 8 + length));
      rest = rest.subarray(8 + length);
    }
  }
}

/** Passes raw output on. Resolves at its end. */
export async function copyRaw(source: Readable, stdout: Writable): Promise<void> {
  for await (const chunk of source) await write(stdout, chunk as Buffer);
}

function write(out: Writable, data: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (out.write(data)) resolve();
    else out.once('drain', resolve);
  });
}

/** `ctrl-p,ctrl-q` as bytes; undefined when it is none. */
export function parseDetachKeys(text: string): number[] | undefined {
  const keys = text.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    return key.length === 1 ? key.charCodeAt(0) : -1;
  });
  return keys.includes(-1) ? undefined : keys;
}

export interface InputOptions {
  readonly tty: boolean;
  /** Bytes that detach; none when empty. */
  readonly detachKeys: readonly number[];
  readonly onDetach: () => void;
}

/** Sends what is typed to the connection. Returns how to stop, which restores the terminal. */
export function sendInput(input: Readable, socket: Socket, { tty, detachKeys, onDetach }: InputOptions): () => void {
  const terminal = tty && 'setRawMode' in input ? (input as ReadStream) : undefined;
  terminal?.setRawMode(true);
  // Node's raw mode has the terminal put a CR before each LF (libuv, UV_TTY_MODE_RAW); the container's has done so already.
  if (terminal) spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  let matched = 0;
  const typed = (chunk: Buffer): void => {
    const out: number[] = [];
    for (const byte of chunk) {
      if (detachKeys.length > 0 && byte === detachKeys[matched]) {
        if (++matched === detachKeys.length) return onDetach();
        continue;
      }
      out.push(...detachKeys.slice(0, matched), byte);
      matched = 0;
    }
    if (out.length === 0) return;
    if (socket.write(Buffer.from(out))) return;
    input.pause();
    socket.once('drain', () => input.resume());
  };
  const ended = (): void => void socket.end();
  input.on('data', typed).on('end', ended);
  socket.on('error', () => undefined);
  return () => {
    input.off('data', typed).off('end', ended);
    input.pause();
    if ('unref' in input) (input as ReadStream).unref();
    terminal?.setRawMode(false);
  };
}

/** Tells `send` the terminal's size now and whenever it changes. Returns how to stop. */
export function followSize(output: WriteStream, send: (rows: number, columns: number) => void): () => void {
  const tell = (): void => send(output.rows, output.columns);
  tell();
  output.on('resize', tell);
  return () => output.off('resize', tell);
}
