// The daemon's side of the supervisor: finds or starts it, calls it, hears of ends of tasks, and opens the connections that
// carry attached clients.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { type Socket, createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeChosenDirectory } from '../native/make-directories.js';
import { LineReader } from './line-reader.js';
import { OWNER } from './orphans.js';
import type { AttachRequest, ControlMessage, Operation, Operations, TaskExit } from './supervisor-protocol.js';

/** The supervisor refused or failed; its words. */
export class SupervisorError extends Error {
  override readonly name = 'SupervisorError';
}

const START_LIMIT_MS = 10_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface SupervisorEvents {
  exit(task: string, exit: TaskExit): void;
  /** It died, and with it all mounts: containers are to be ended. */
  lost(): void;
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true });
    socket.once('connect', () => resolve(socket.off('error', reject)));
    socket.once('error', reject);
  });
}

export class SupervisorClient {
  readonly #waiting = new Map<number, Waiting>();
  #connection: Socket | undefined;
  #next = 0;
  #closed = false;

  constructor(
    private readonly run: string,
    /** Mark of what it runs; see orphans.ts. */
    private readonly owner: string,
    private readonly events: SupervisorEvents,
  ) {}

  get #path(): string {
    return join(this.run, 'supervisor.sock');
  }

  /** Whether one runs; connects to it. */
  async find(): Promise<boolean> {
    try {
      this.#use(await connect(this.#path));
      return true;
    } catch {
      return false;
    }
  }

  /** Connects, starting one if none runs. Errors: SupervisorError. */
  async start(): Promise<void> {
    if (await this.find()) return;
    makeChosenDirectory(this.run, 0o711, 'LAMINA_RUN');
    const log = openSync(join(this.run, 'supervisor.log'), 'a', 0o600);
    const child = spawn(process.execPath, [join(__dirname, 'supervisor-main.js'), this.#path], {
      detached: true,
      cwd: '/',
      env: { ...process.env, [OWNER]: this.owner },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
    const state = { failed: false };
    child.on('error', () => (state.failed = true)).on('exit', (code) => (state.failed ||= code !== 0));
    for (const end = Date.now() + START_LIMIT_MS; !(await this.find()); await delay(2)) {
      if (state.failed || Date.now() > end) {
        throw new SupervisorError(`the mount server did not start: read ${join(this.run, 'supervisor.log')}`);
      }
    }
  }

  call<O extends Operation>(op: O, request: Operations[O]['request']): Promise<Operations[O]['answer']> {
    const connection = this.#connection;
    if (!connection) return Promise.reject(new SupervisorError('the mount server is not running'));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (value) => resolve(value as Operations[O]['answer']), reject });
      connection.write(`${JSON.stringify({ id, op, request })}\n`);
    });
  }

  /** A connection that carries a client's bytes. Resolves when the client counts as attached. */
  async attach(request: AttachRequest): Promise<Socket> {
    const socket = await connect(this.#path);
    socket.write(`${JSON.stringify({ attach: request })}\n`);
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      new LineReader(socket).once((_, rest) => {
        socket.off('error', reject);
        if (rest.length > 0) socket.unshift(rest);
        resolve(socket);
      });
    });
  }

  /** False once it has died, also while its last answers are still being taken in. */
  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Lets go of it; it runs on. */
  close(): void {
    this.#closed = true;
    this.#connection?.destroy();
  }

  #use(socket: Socket): void {
    this.#connection = socket;
    socket.write('{"control":true}\n');
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#lost(socket));
    new LineReader(socket).each(Buffer.alloc(0), (line) => this.#hear(JSON.parse(line) as ControlMessage));
  }

  #lost(socket: Socket): void {
    if (this.#connection !== socket) return;
    this.#connection = undefined;
    for (const { reject } of this.#waiting.values()) reject(new SupervisorError('the mount server has died'));
    this.#waiting.clear();
    if (!this.#closed) this.events.lost();
  }

  #hear(message: ControlMessage): void {
    if ('event' in message) return this.events.exit(message.task, message.exit);
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('error' in message) waiting?.reject(new SupervisorError(message.error));
    else waiting?.resolve(message.result);
  }
}
