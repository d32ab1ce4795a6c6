// The mount server of the engine: holds the /dev/fuse fds of all containers, and is the parent of their processes, keeps
// their stdio and writes their logs. It outlives the daemon, which may be killed or upgraded meanwhile and finds all
// running. It never touches a container's root itself. Started by supervisor-client.ts through supervisor-main.ts.

import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { procStat } from '../native/proc-stat.js';
import { sys } from '../native/load.js';
import { ownChildren } from '../transport/children.js';
import { planMount } from '../transport/check.js';
import { listen as listenForStats } from '../transport/control.js';
import { removeRecord, writeRecord } from '../transport/registry.js';
import { MountServer, type ServedMount } from '../transport/server.js';
import { LineReader } from './line-reader.js';
import { Streams } from './streams.js';
import type { AttachRequest, ControlMessage, Greeting, Operation, Operations, TaskRequest } from './supervisor-protocol.js';
import { Task } from './task.js';

type Handlers = {
  [O in Operation]: (request: Operations[O]['request']) => Operations[O]['answer'] | Promise<Operations[O]['answer']>;
};

export class Supervisor {
  readonly #mountServer: MountServer;
  readonly #mounts = new Map<string, ServedMount>();
  readonly #tasks = new Map<string, Task>();
  readonly #streams = new Map<string, Streams>();
  readonly #daemons = new Set<Socket>();
  /** Operations under way. */
  readonly #changes = new Set<Promise<unknown>>();
  /** Tasks whose pid is not known yet. */
  #starting = 0;
  readonly #server: Server;

  constructor(
    private readonly socket: string,
    private readonly log: (message: string) => void,
  ) {
    this.#mountServer = new MountServer(log);
    sys.becomeSubreaper();
    process.on('SIGCHLD', () => this.#reap());
    rmSync(socket, { force: true });
    this.#server = createServer({ allowHalfOpen: true }, (connection) => this.#greet(connection));
    this.#server.listen(socket);
  }

  readonly #handlers: Handlers = {
    list: () => this.#list(),
    mount: async ({ id, mount, image }) => {
      const served = await this.#mountServer.mount(planMount(mount));
      const { record, path } = writeRecord(served, image);
      const control = listenForStats(record.socket, served);
      this.#mounts.set(id, served);
      void served.ended.then(() => {
        control.close();
        removeRecord(path);
        if (this.#mounts.get(id) === served) this.#mounts.delete(id);
      });
      return null;
    },
    unmount: async ({ id }) => {
      await this.#mounts.get(id)?.withdraw();
      return null;
    },
    start: (request) => this.#start(request),
    signal: ({ task, signal }) => this.#tasks.get(task)?.signal(signal) ?? false,
    resize: ({ task, rows, columns }) => {
      this.#tasks.get(task)?.resize(rows, columns);
      return null;
    },
    forget: ({ task }) => {
      if (this.#tasks.get(task)?.exit) this.#tasks.delete(task);
      if (!this.#tasks.has(task) && this.#streams.get(task)?.isIdle !== false) this.#streams.delete(task);
      return null;
    },
    stop: () => {
      if ([...this.#tasks.values()].some((task) => !task.exit) || this.#mounts.size > 0) return false;
      setImmediate(() => void this.#stop());
      return true;
    },
  };

  /** What the last daemon had begun is over first: it counts as done, or is not there. */
  async #list(): Promise<Operations['list']['answer']> {
    await Promise.allSettled(this.#changes);
    return {
      pid: process.pid,
      tasks: [...this.#tasks.values()].map(({ request: { task, container }, pid, exit }) => ({
        task,
        container,
        pid,
        ...(exit ? { exit } : {}),
      })),
      mounts: [...this.#mounts.keys()],
    };
  }

  async #stop(): Promise<void> {
    rmSync(this.socket, { force: true });
    this.#server.close();
    await this.#mountServer.close();
    process.exit(0);
  }

  async #start(request: TaskRequest): Promise<{ pid: number }> {
    if (this.#tasks.has(request.task)) throw new Error(`task ${request.task} has been started`);
    const task = new Task(request, this.#streamsOf(request.task), (ended) => this.#announce(ended));
    this.#tasks.set(request.task, task);
    this.#starting++;
    try {
      return { pid: await task.start() };
    } catch (error) {
      this.#tasks.delete(request.task);
      this.#streams.get(request.task)?.end();
      this.#streams.delete(request.task);
      throw error;
    } finally {
      this.#starting--;
      // It may have ended before its pid was known.
      setImmediate(() => this.#reap());
    }
  }

  #streamsOf(task: string): Streams {
    const known = this.#streams.get(task) ?? new Streams();
    this.#streams.set(task, known);
    return known;
  }

  #announce(task: Task): void {
    this.#streams.delete(task.request.task);
    if (!task.exit) return;
    for (const daemon of this.#daemons) this.#tell(daemon, { event: 'exit', task: task.request.task, exit: task.exit });
  }

  #reap(): void {
    for (const task of this.#tasks.values()) task.reap();
    // A child that nobody knows may be a container that ended before runc said its pid.
    if (this.#starting > 0) return;
    const tasks = new Set([...this.#tasks.values()].map((task) => task.pid));
    // What else came to us (what runc or a container left behind) must not stay a zombie.
    for (const pid of childrenOf())
      if (!tasks.has(pid) && !ownChildren.has(pid) && procStat(pid)?.state === 'Z') sys.reapChild(pid);
  }

  #greet(connection: Socket): void {
    connection.on('error', () => connection.destroy());
    const lines = new LineReader(connection);
    lines.once((text, rest) => {
      const greeting = parse(text) as Greeting | undefined;
      if (greeting && 'attach' in greeting) return this.#attach(connection, greeting.attach, rest);
      if (!greeting || !('control' in greeting)) return void connection.destroy();
      this.#daemons.add(connection);
      connection.on('close', () => this.#daemons.delete(connection));
      connection.on('end', () => connection.end());
      lines.each(rest, (line) => void this.#answer(connection, line));
    });
  }

  #attach(connection: Socket, request: AttachRequest, rest: Buffer): void {
    connection.write('\n');
    if (rest.length > 0) connection.unshift(rest);
    this.#streamsOf(request.task).attach(connection, request);
    connection.on('close', () => {
      const streams = this.#streams.get(request.task);
      if (streams?.isIdle && !this.#tasks.has(request.task)) this.#streams.delete(request.task);
    });
  }

  async #answer(connection: Socket, line: string): Promise<void> {
    const message = parse(line) as { id: number; op: Operation; request: unknown } | undefined;
    if (!message) return void connection.destroy();
    try {
      this.#tell(connection, { id: message.id, result: await this.#handle(message.op, message.request) });
    } catch (error) {
      const known = error instanceof Error;
      if (known && !/^(Start|Mount)Error$/.test(error.name)) this.log(`${message.op}: ${error.stack ?? error.message}`);
      this.#tell(connection, { id: message.id, error: known ? error.message : String(error) });
    }
  }

  async #handle(op: Operation, request: unknown): Promise<unknown> {
    const handler = this.#handlers[op] as (request: unknown) => unknown;
    if (op === 'list') return handler(request);
    const change = Promise.resolve(handler(request));
    this.#changes.add(change);
    try {
      return await change;
    } finally {
      this.#changes.delete(change);
    }
  }

  #tell(connection: Socket, message: ControlMessage): void {
    if (!connection.destroyed) connection.write(`${JSON.stringify(message)}\n`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Pids of this process's children, whichever thread they came to (proc(5), task/TID/children). */
function childrenOf(): number[] {
  const threads = readdirSync('/proc/self/task');
  return threads.flatMap((thread) => {
    try {
      return readFileSync(`/proc/self/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}
