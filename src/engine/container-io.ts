// Streams of containers: attach, logs, exec.

import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { EngineError, badParameter, conflict, messageOf } from '../container/errors.js';
import { type ExecConfig } from '../container/exec.js';
import { isUp } from '../container/state.js';
import { logDetails } from '../container/log-options.js';
import { type LogEntry, type LogOptions, readLog } from '../container/log-reader.js';
import { StreamKind, frame } from '../container/supervisor-protocol.js';
import type { ContainerRecord } from '../store/index.js';
import type { Engine } from './engine.js';
import type { Call, Hijacked, Router } from './http.js';
import { parseMoment } from './moment.js';
import { EXEC_CONFIG, shaped } from './shape.js';
import { Opcode, webSocketOn } from './websocket.js';

const RAW = 'application/vnd.docker.raw-stream';
const MULTIPLEXED = 'application/vnd.docker.multiplexed-stream';

function contentType(call: Call, tty: boolean): string {
  const [, minor] = call.version;
  return tty || minor < 42 ? RAW : MULTIPLEXED;
}

/** Of a hijacked connection: who has not asked to upgrade it is told nothing of frames. */
function streamType(call: Call, tty: boolean): string {
  return call.request.headers.upgrade === undefined ? RAW : contentType(call, tty);
}

/** `ctrl-p,ctrl-q` or `a,b` as bytes. Errors: 400. */
export function parseDetachKeys(text: string): number[] {
  return text.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1) return key.charCodeAt(0);
    throw badParameter(`Invalid detach keys (${text}) provided`);
  });
}

/** Those that were asked for, else Docker's where there is a terminal. Errors: 400. */
function detachKeys(asked: string | null | undefined, tty: boolean): number[] {
  if (asked) return parseDetachKeys(asked);
  return tty ? parseDetachKeys('ctrl-p,ctrl-q') : [];
}

/** Joins a hijacked client and the supervisor's connection until one of them is done. */
function join(client: Hijacked, task: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    client.input.pipe(task);
    task.pipe(client.output);
    if (signal.aborted) task.destroy();
    signal.addEventListener('abort', () => task.destroy());
    client.input.on('error', () => task.destroy());
    client.output.on('error', () => task.destroy());
    task.on('error', () => undefined);
    task.on('close', () => {
      client.output.end();
      resolve();
    });
    // After the task's last word nothing that the client says matters.
    task.on('end', () => task.destroySoon());
  });
}

/** How the client is sent a line of the log; `raw`: stdout and stderr as one. */
function pieces(call: Call, record: ContainerRecord, raw: boolean): (entry: LogEntry) => Buffer {
  const isStamped = call.flag('timestamps');
  const details = call.flag('details') ? `${logDetails(record)} ` : '';
  return ({ time, log, stream }) => {
    const payload = Buffer.from((isStamped ? `${time} ` : '') + details + log);
    return raw ? payload : frame(StreamKind[stream], payload);
  };
}

/** Writes, and waits until the client has read enough for more. */
async function writeSlowly(out: Writable, piece: Buffer): Promise<void> {
  if (out.write(piece) || out.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      out.off('drain', done).off('close', done);
      resolve();
    };
    out.on('drain', done).on('close', done);
  });
}

async function logs(engine: Engine, call: Call): Promise<void> {
  const { registry } = engine.context;
  const record = registry.find(call.param());
  const wanted = { stdout: call.flag('stdout'), stderr: call.flag('stderr') };
  if (!wanted.stdout && !wanted.stderr) throw badParameter('Bad parameters: you must choose at least one stream');
  if (record.hostConfig.LogConfig?.Type === 'none') {
    throw new EngineError(501, 'configured logging driver does not support reading');
  }
  const moment = (name: string): number | undefined => {
    const text = call.query.get(name);
    return text === null || text === '' || text === '0' ? undefined : parseMoment(text);
  };
  const tail = call.query.get('tail') ?? 'all';
  const lines = /^\d+$/.test(tail) ? Number(tail) : undefined;
  const follow = call.flag('follow');
  const options: LogOptions = {
    tail: lines,
    since: moment('since'),
    until: moment('until'),
    follow,
    signal: call.signal,
    ended: follow && isUp(record) ? registry.wait(record.id, 'exit', call.signal).catch(() => undefined) : Promise.resolve(),
  };
  const out = call.stream(contentType(call, record.config.Tty ?? false));
  const pieceOf = pieces(call, record, record.config.Tty ?? false);
  for await (const entry of readLog(engine.context.logPath(record.id), options)) {
    if (!wanted[entry.stream]) continue;
    await writeSlowly(out, pieceOf(entry));
    if (call.signal.aborted) return;
  }
  out.end();
}

/** What the container has said before. */
async function writePast(engine: Engine, call: Call, record: ContainerRecord, out: Writable, raw: boolean): Promise<void> {
  const { signal } = call;
  const ended = Promise.resolve();
  const pieceOf = pieces(call, record, raw);
  const options: LogOptions = { tail: undefined, since: undefined, until: undefined, follow: false, signal, ended };
  for await (const entry of readLog(engine.context.logPath(record.id), options)) {
    if (signal.aborted) return;
    await writeSlowly(out, pieceOf(entry));
  }
}

/** `over`: what carries the streams; on a WebSocket stdout and stderr are one. */
async function attach(engine: Engine, call: Call, over: 'connection' | 'websocket'): Promise<void> {
  const record = engine.context.registry.find(call.param());
  if (record.state.status === 'paused') {
    throw conflict(`container ${record.id} is paused, unpause the container before attach`);
  }
  const tty = record.config.Tty ?? false;
  const raw = tty || over === 'websocket';
  const stream = call.flag('stream');
  const keys = detachKeys(call.query.get('detachKeys'), tty);
  // Before 1.42 a WebSocket had all streams, whatever was asked.
  const wants = (name: string): boolean => (over === 'websocket' && call.version[1] < 42) || call.flag(name);
  await call.discardBody();
  const supervisor = await engine.context.supervisor();
  // Attached before the answer goes out: what the client starts next is seen from its first byte.
  const task =
    stream && (isUp(record) || record.state.status === 'created' || record.state.status === 'exited')
      ? await supervisor.attach({
          task: record.id,
          tty,
          raw,
          stdin: wants('stdin') && (record.config.OpenStdin ?? false),
          stdout: wants('stdout'),
          stderr: wants('stderr'),
          detachKeys: keys,
        })
      : undefined;
  try {
    const client = over === 'connection' ? call.hijack(streamType(call, tty)) : webSocketOf(call);
    if (call.flag('logs')) await writePast(engine, call, record, client.output, raw);
    engine.context.publish('attach', record);
    if (task) await join(client, task, call.signal);
    else client.output.end();
  } finally {
    task?.destroy();
  }
}

function webSocketOf(call: Call): Hijacked {
  return webSocketOn(call.webSocket(), call.version[1] < 28 ? Opcode.text : Opcode.binary);
}

async function createExec(engine: Engine, call: Call): Promise<void> {
  const config = shaped(await call.requiredJson(), EXEC_CONFIG, '') as ExecConfig;
  const record = engine.context.registry.find(call.param());
  if (config.DetachKeys) parseDetachKeys(config.DetachKeys);
  call.answer(201, { Id: engine.execs.create(record, config).id });
}

async function startExec(engine: Engine, call: Call): Promise<void> {
  const shape = { Detach: 'boolean', Tty: 'boolean', ConsoleSize: ['number'] } as const;
  const { Detach: detach = false, ConsoleSize: size } = shaped(await call.requiredJson(), shape, '') as {
    Detach?: boolean;
    ConsoleSize?: [number, number];
  };
  const exec = engine.execs.get(call.param());
  if (detach) {
    await engine.execs.start(exec, size);
    return call.answer(200);
  }
  if (exec.state !== 'created') throw conflict(`exec ${exec.id} has already been started`);
  const { Tty: tty = false, AttachStdin: stdin = false, AttachStdout: stdout = true, AttachStderr: stderr = true } = exec.config;
  const keys = detachKeys(exec.config.DetachKeys, tty);
  const supervisor = await engine.context.supervisor();
  const task = await supervisor.attach({ task: exec.id, tty, stdin, stdout, stderr, detachKeys: keys });
  // The head goes out before the process starts: a client that reads it with a buffer would lose output that came with it.
  const client = call.hijack(streamType(call, tty));
  try {
    await engine.execs.start(exec, size);
  } catch (error) {
    task.destroy();
    const words = Buffer.from(`${messageOf(error)}\r\n`);
    client.output.end(tty ? words : frame(StreamKind.stdout, words));
    return;
  }
  await join(client, task, call.signal);
}

function inspectExec(engine: Engine, call: Call): void {
  const exec = engine.execs.get(call.param());
  const { Cmd: cmd, Tty: tty, User: user, Privileged: privileged } = exec.config;
  const [entrypoint = '', ...args] = cmd ?? [];
  call.answer(200, {
    ID: exec.id,
    Running: exec.state === 'running',
    ExitCode: exec.exitCode ?? null,
    ProcessConfig: { tty: tty ?? false, entrypoint, arguments: args, privileged: privileged ?? false, ...(user ? { user } : {}) },
    OpenStdin: exec.config.AttachStdin ?? false,
    OpenStderr: exec.config.AttachStderr ?? false,
    OpenStdout: exec.config.AttachStdout ?? false,
    CanRemove: false,
    ContainerID: exec.container,
    DetachKeys: '',
    Pid: exec.pid,
  });
}

export function containerIoRoutes(engine: Engine, router: Router): void {
  router.onStream('POST', '/containers/{}/attach', (call) => attach(engine, call, 'connection'));
  router.on('GET', '/containers/{}/attach/ws', (call) => attach(engine, call, 'websocket'));
  router.on('GET', '/containers/{}/logs', (call) => logs(engine, call));
  router.on('POST', '/containers/{}/exec', (call) => createExec(engine, call));
  router.onStream('POST', '/exec/*/start', (call) => startExec(engine, call));
  router.on('GET', '/exec/*/json', (call) => inspectExec(engine, call));
  router.on('POST', '/exec/*/resize', async (call) => {
    const [rows, columns] = [call.integer('h') ?? 0, call.integer('w') ?? 0];
    const exec = engine.execs.get(call.param());
    await (await engine.context.supervisor()).call('resize', { task: exec.id, rows, columns });
    call.answer(200);
  });
}
