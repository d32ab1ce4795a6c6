// A process in a container from start to end: its pipes or terminal, runc, its exit code. The supervisor is its parent, for
// runc leaves it behind and orphans come to a subreaper (prctl(2)). Used by supervisor.ts.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { own } from '../transport/children.js';
import { runcArguments } from './runc.js';
import { type Streams } from './streams.js';
import type { TaskExit, TaskRequest } from './supervisor-protocol.js';
import { TaskLog } from './task-log.js';

const LONGEST_SOCKET_PATH = 107;
/** Output of what a task left running in the background is waited for this long after its end. */
const DRAIN_MS = 1000;

/** runc could not start the process; its words. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

function must<T>(result: T | number, what: string): T {
  if (typeof result === 'number' && result < 0) throw new StartError(`${what}: ${errnoText(result)}`);
  return result as T;
}

/** The ends of a task's stdio that runc hands on, and our own. */
interface Stdio {
  readonly given: readonly [number, number, number];
  readonly stdin: Socket | undefined;
  readonly outputs: readonly (readonly [Readable, 'stdout' | 'stderr'])[];
}

function readingEnd(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: false });
}

/** Pipes, not sockets: programs open /dev/stdout, which a socket refuses (ENXIO). */
function makePipes(withStdin: boolean): Stdio {
  const [outR, outW] = must<[number, number]>(sys.pipe(), 'pipe');
  const [errR, errW] = must<[number, number]>(sys.pipe(), 'pipe');
  const outputs = [[readingEnd(outR), 'stdout'] as const, [readingEnd(errR), 'stderr'] as const];
  if (!withStdin) return { given: [openSync('/dev/null', 'r'), outW, errW], stdin: undefined, outputs };
  const [inR, inW] = must<[number, number]>(sys.pipe(), 'pipe');
  return { given: [inR, outW, errW], stdin: new Socket({ fd: inW, readable: false, writable: true }), outputs };
}

export class Task {
  readonly #streams: Streams;
  readonly #outputs: Readable[] = [];
  #log: TaskLog | undefined;
  #master: number | undefined;
  #pid = 0;
  #exit: TaskExit | undefined;
  #ending = false;

  constructor(
    readonly request: TaskRequest,
    streams: Streams,
    private readonly ended: (task: Task) => void,
  ) {
    this.#streams = streams;
  }

  get pid(): number {
    return this.#pid;
  }
  get exit(): TaskExit | undefined {
    return this.#exit;
  }

  /** Runs runc to start it. Errors: StartError; nothing is left then. */
  async start(): Promise<number> {
    const { request } = this;
    if (request.log) this.#log = new TaskLog(request.log);
    try {
      await (request.tty ? this.#startOnTerminal() : this.#startOnPipes());
    } catch (error) {
      await this.#log?.end();
      throw error;
    }
    return this.#pid;
  }

  signal(signal: number): boolean {
    // Without a pid the signal would be for our own group.
    if (this.#exit || this.#ending || this.#pid === 0) return false;
    try {
      // Not yet reaped, so the pid is its own.
      return process.kill(this.#pid, signal);
    } catch {
      return false;
    }
  }

  resize(rows: number, columns: number): void {
    if (this.#master !== undefined) sys.setWindowSize(this.#master, rows, columns);
  }

  /** Takes note of its end, if it has ended. Called at each SIGCHLD. */
  reap(): void {
    if (this.#ending || this.#pid === 0) return;
    const code = sys.reapChild(this.#pid);
    if (code === -errno.EAGAIN) return;
    this.#ending = true;
    void this.#finish({ code: code < 0 ? 255 : code, at: Date.now() });
  }

  async #finish(exit: TaskExit): Promise<void> {
    const closed = this.#outputs.map((output) =>
      output.closed ? Promise.resolve() : new Promise<void>((resolve) => output.once('close', resolve)),
    );
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([Promise.all(closed), new Promise<void>((resolve) => (timer = setTimeout(resolve, DRAIN_MS)))]);
    clearTimeout(timer);
    for (const output of this.#outputs) output.destroy();
    await this.#log?.end();
    this.#streams.end();
    this.#master = undefined;
    this.#exit = exit;
    this.ended(this);
  }

  async #startOnPipes(): Promise<void> {
    const stdio = makePipes(this.request.stdin);
    try {
      await this.#runc([], [...stdio.given]);
    } catch (error) {
      // What is in them are runc's own words.
      for (const [output] of stdio.outputs) output.destroy();
      stdio.stdin?.destroy();
      throw error;
    } finally {
      for (const fd of stdio.given) closeSync(fd);
    }
    for (const [output, kind] of stdio.outputs) this.#follow(output, kind);
    this.#streams.start(stdio.stdin, this.request.stdinOnce);
  }

  async #startOnTerminal(): Promise<void> {
    const path = this.#consolePath();
    rmSync(path, { force: true });
    const listening = must(sys.listenUnix(path), `console socket ${path}`);
    try {
      await this.#runc(['--console-socket', path], ['ignore', 'ignore', 'ignore']);
      const connection = must(sys.acceptUnix(listening), 'runc opened no terminal');
      this.#master = must(sys.receiveFd(connection), 'runc sent no terminal');
      sys.close(connection);
    } finally {
      sys.close(listening);
      rmSync(path, { force: true });
    }
    if (this.request.size) this.resize(...this.request.size);
    const terminal = new ReadStream(this.#master);
    this.#follow(terminal, 'stdout');
    this.#streams.start(this.request.stdin ? terminal : undefined, false);
  }

  #follow(output: Readable, kind: 'stdout' | 'stderr'): void {
    this.#outputs.push(output);
    // A terminal whose other end is closed reads EIO.
    output.on('error', () => output.destroy());
    this.#streams.follow(output, kind, this.#log);
  }

  /** A socket's path has room for 107 bytes: not for the bundle's, which holds the whole id. */
  #consolePath(): string {
    const name = `${this.request.task.slice(0, 12)}.tty`;
    const path = join(dirname(this.request.bundle), name);
    return Buffer.byteLength(path) <= LONGEST_SOCKET_PATH ? path : join(tmpdir(), `lamina-${name}`);
  }

  #file(kind: string): string {
    return join(this.request.bundle, `${this.request.task.slice(0, 16)}.${kind}`);
  }

  async #runc(more: readonly string[], stdio: (number | 'ignore')[]): Promise<void> {
    const { bundle, container, process: spec } = this.request;
    const pidFile = this.#file('pid');
    const logFile = this.#file('runc');
    const words = spec
      ? ['exec', '--detach', '--process', this.#writeProcess(spec), '--pid-file', pidFile, ...more, container]
      : ['run', '--detach', '--bundle', bundle, '--pid-file', pidFile, ...more, container];
    const args = [...runcArguments(bundle), '--log', logFile, '--log-format', 'json', ...words];
    try {
      const child = spawn('runc', args, { stdio, cwd: bundle });
      const code = await this.#exitOf(child);
      if (code !== 0) throw new StartError(readFailure(logFile, code));
      this.#pid = Number(readFileSync(pidFile, 'latin1'));
    } finally {
      for (const path of [pidFile, logFile, this.#file('process')]) rmSync(path, { force: true });
    }
  }

  #writeProcess(spec: object): string {
    const path = this.#file('process');
    writeFileSync(path, JSON.stringify(spec), { mode: 0o600 });
    return path;
  }

  #exitOf(child: ChildProcess): Promise<number> {
    own(child);
    return new Promise((resolve, reject) => {
      child.on('error', (cause: NodeJS.ErrnoException) => {
        reject(new StartError(cause.code === 'ENOENT' ? 'runc is not installed: install the package runc' : cause.message));
      });
      child.on('exit', (code) => resolve(code ?? 255));
    });
  }
}

/** The last error in runc's log. */
function readFailure(path: string, code: number): string {
  try {
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    for (const line of lines.reverse()) {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
      if (level === 'error' || level === 'fatal') return msg ?? line;
    }
  } catch {
    // It ended before it could write one.
  }
  return `runc ended with exit code ${code}`;
}
