// The input and output of one task and those who are attached to it. It exists before the task starts (`run` attaches
// first) and outlives the daemon. Used by supervisor.ts and task.ts.

import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { type AttachRequest, StreamKind, frame } from './supervisor-protocol.js';
import type { TaskLog } from './task-log.js';

/** An attached client that is this far behind stops the task's output. */
const MOST_QUEUED = 4 << 20;

/** Finds the detach keys in what a client types, also when they come in pieces. */
class DetachKeys {
  #matched = 0;

  constructor(private readonly keys: readonly number[]) {}

  /** What is to be passed on; undefined when the sequence is complete. */
  pass(chunk: Buffer): Buffer | undefined {
    if (this.keys.length === 0) return chunk;
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte === this.keys[this.#matched]) {
        if (++this.#matched === this.keys.length) return undefined;
        continue;
      }
      out.push(...this.keys.slice(0, this.#matched));
      this.#matched = byte === this.keys[0] ? 1 : 0;
      if (this.#matched === 0) out.push(byte);
    }
    return Buffer.from(out);
  }
}

interface Client {
  readonly socket: Socket;
  readonly request: AttachRequest;
}

export class Streams {
  readonly #clients = new Set<Client>();
  #stdin: Writable | undefined;
  #stdinOnce = false;
  #started = false;

  get isIdle(): boolean {
    return !this.#started && this.#clients.size === 0;
  }

  attach(socket: Socket, request: AttachRequest): void {
    const client = { socket, request };
    this.#clients.add(client);
    socket.on('close', () => this.#clients.delete(client));
    socket.on('error', () => socket.destroy());
    if (this.#started || !request.stdin) this.#listen(client);
  }

  /** The task runs: what clients have typed meanwhile reaches it. */
  start(stdin: Writable | undefined, stdinOnce: boolean): void {
    this.#started = true;
    this.#stdin = stdin;
    this.#stdinOnce = stdinOnce;
    stdin?.on('error', () => (this.#stdin = undefined));
    for (const client of this.#clients) if (client.request.stdin) this.#listen(client);
  }

  /** Passes output on to the log and all clients, as fast as the slowest of them takes it. */
  follow(source: Readable, kind: 'stdout' | 'stderr', log: TaskLog | undefined): void {
    source.on('data', (chunk: Buffer) => {
      const behind = [...this.#clients].filter((client) => !this.#send(client, kind, chunk));
      const logged = log?.write(kind, chunk) ?? true;
      if (behind.length === 0 && logged) return;
      source.pause();
      let waiting = behind.length + (logged ? 0 : 1);
      const resume = (): void => {
        if (--waiting === 0) source.resume();
      };
      for (const { socket } of behind) {
        const once = (): void => {
          socket.off('drain', once).off('close', once);
          resume();
        };
        socket.on('drain', once).on('close', once);
      }
      if (!logged) log?.drained(resume);
    });
  }

  /** The task is over: clients get the rest and the end. */
  end(): void {
    for (const { socket } of this.#clients) socket.end();
    this.#clients.clear();
    this.#stdin?.destroy();
    this.#started = false;
  }

  #send({ socket, request }: Client, kind: 'stdout' | 'stderr', chunk: Buffer): boolean {
    if (!(kind === 'stdout' ? request.stdout : request.stderr) || socket.destroyed) return true;
    socket.write((request.raw ?? request.tty) ? chunk : frame(StreamKind[kind], chunk));
    return socket.writableLength < MOST_QUEUED;
  }

  #listen({ socket, request }: Client): void {
    const keys = new DetachKeys(request.detachKeys);
    socket.on('data', (chunk: Buffer) => {
      const typed = keys.pass(chunk);
      if (typed === undefined) return void socket.end();
      const stdin = this.#stdin;
      if (!request.stdin || !stdin || typed.length === 0) return;
      if (stdin.write(typed)) return;
      socket.pause();
      stdin.once('drain', () => socket.resume());
    });
    socket.on('end', () => {
      if (request.stdin && this.#stdinOnce && !request.tty) this.#stdin?.end();
    });
    socket.resume();
  }
}
