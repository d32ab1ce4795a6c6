// Further processes in running containers. Kept in memory only, as Docker does: an exec ends with its container, and one
// that ran while the daemon was replaced is forgotten when it ends.

import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerRecord } from '../store/index.js';
import type { Context } from './context.js';
import { EngineError, badParameter, conflict, messageOf, notFound } from './errors.js';
import { baseEnv, mergeEnv, processSpec } from './oci-spec.js';
import { SIGKILL } from './signals.js';
import { isUp } from './state.js';
import type { TaskExit } from './supervisor-protocol.js';
import { timerMs } from './timers.js';
import { UnknownUser, userDatabase } from './users.js';

export interface ExecConfig {
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly DetachKeys?: string;
  readonly Tty?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Privileged?: boolean;
  readonly User?: string;
  readonly WorkingDir?: string;
}

export interface Exec {
  readonly id: string;
  readonly container: string;
  readonly config: ExecConfig;
  state: 'created' | 'running' | 'ended';
  pid: number;
  exitCode: number | undefined;
}

/** What a command of the engine's own has done. */
export interface Ran {
  readonly exitCode: number;
  /** Its beginning. */
  readonly output: string;
  /** It was killed at its limit. */
  readonly late: boolean;
}

const MOST_OUTPUT = 4096;
const LAST_WORDS_MS = 2000;

export class Execs {
  readonly #execs = new Map<string, Exec>();
  /** Those who wait for the end of a command of `run`. */
  readonly #ends = new Map<string, () => void>();

  constructor(private readonly context: Context) {}

  get(id: string): Exec {
    const found = this.#execs.get(id);
    if (!found) throw notFound(`No such exec instance: ${id}`);
    return found;
  }

  of(container: string): string[] {
    return [...this.#execs.values()].filter((exec) => exec.container === container && exec.state !== 'ended').map(({ id }) => id);
  }

  create(record: ContainerRecord, config: ExecConfig): Exec {
    if (!config.Cmd || config.Cmd.length === 0) throw badParameter('No exec command specified');
    this.#mustRun(record);
    const id = randomBytes(32).toString('hex');
    const exec: Exec = { id, container: record.id, config, state: 'created', pid: 0, exitCode: undefined };
    this.#execs.set(id, exec);
    this.context.publish(`exec_create: ${config.Cmd.join(' ')}`, record, { execID: id });
    return exec;
  }

  async start(exec: Exec, size?: readonly [number, number]): Promise<void> {
    if (exec.state !== 'created') throw conflict(`exec ${exec.id} has already been started`);
    const record = this.context.registry.find(exec.container);
    this.#mustRun(record);
    exec.state = 'running';
    try {
      const supervisor = await this.context.supervisor();
      this.context.publish(`exec_start: ${(exec.config.Cmd ?? []).join(' ')}`, record, { execID: exec.id });
      const { pid } = await supervisor.call('start', {
        task: exec.id,
        container: record.id,
        bundle: this.context.bundle(record.id),
        process: this.#process(record, exec.config),
        tty: exec.config.Tty ?? false,
        stdin: exec.config.AttachStdin ?? false,
        stdinOnce: true,
        ...(size ? { size } : {}),
      });
      exec.pid = pid;
    } catch (error) {
      exec.state = 'ended';
      throw this.#explain(exec, error);
    }
  }

  /**
   * Runs a command of the engine's own to its end, or to the limit, which kills it.
   * Errors: EngineError when it cannot be started.
   */
  async run(record: ContainerRecord, command: readonly string[], limitMs: number, signal: AbortSignal): Promise<Ran> {
    const exec = this.create(record, { Cmd: command, AttachStdout: true, AttachStderr: true });
    let timer: NodeJS.Timeout | undefined;
    let leave = (): void => undefined;
    const left = new Promise<void>((resolve) => (leave = resolve));
    signal.addEventListener('abort', leave);
    try {
      const supervisor = await this.context.supervisor();
      const unframed = { tty: true, stdin: false, stdout: true, stderr: true, detachKeys: [] };
      const output = await supervisor.attach({ task: exec.id, ...unframed });
      const kept: Buffer[] = [];
      let length = 0;
      output.on('data', (chunk: Buffer) => {
        const piece = chunk.subarray(0, MOST_OUTPUT - length);
        length += piece.length;
        if (piece.length > 0) kept.push(piece);
      });
      output.on('error', () => undefined).on('end', () => output.destroy());
      output.resume();
      const ended = new Promise<void>((resolve) => this.#ends.set(exec.id, resolve));
      const said = new Promise((resolve) => output.once('close', resolve));
      await this.start(exec).catch((error: unknown) => {
        output.destroy();
        throw error;
      });
      const state = { late: false };
      const kill = (): void => {
        state.late = true;
        supervisor.call('signal', { task: exec.id, signal: SIGKILL }).catch(() => undefined);
      };
      timer = setTimeout(kill, timerMs(limitMs));
      await Promise.race([ended, left]);
      // Its last words may still be on their way; a child that it left behind may hold the line for ever.
      await Promise.race([said, left, delay(LAST_WORDS_MS, undefined, { ref: false })]);
      output.destroy();
      return { exitCode: exec.exitCode ?? -1, output: Buffer.concat(kept).toString(), late: state.late };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
      this.#ends.delete(exec.id);
      this.#execs.delete(exec.id);
    }
  }

  /** The supervisor says that it has ended. */
  async exited(id: string, exit: TaskExit): Promise<void> {
    const exec = this.#execs.get(id);
    if (exec) {
      exec.state = 'ended';
      exec.exitCode = exit.code;
      const record = this.context.registry.get(exec.container);
      if (record) this.context.publish('exec_die', record, { execID: id, exitCode: String(exit.code) });
    }
    this.#ends.get(id)?.();
    await (await this.context.supervisor()).call('forget', { task: id });
  }

  /** Its container is gone. */
  forget(container: string): void {
    for (const [id, exec] of this.#execs) if (exec.container === container) this.#execs.delete(id);
  }

  #mustRun(record: ContainerRecord): void {
    if (record.state.status === 'paused') throw conflict(`container ${record.id} is paused, unpause the container before exec`);
    if (!isUp(record)) throw conflict(`container ${record.id} is not running`);
  }

  #process(record: ContainerRecord, config: ExecConfig): object {
    const user = userDatabase(record.layers, this.context.scheme).find(
      config.User || (record.config.User ?? ''),
      record.hostConfig.GroupAdd ?? [],
    );
    const tty = config.Tty ?? false;
    const own = baseEnv(record, record.config.Hostname ?? '', tty, user);
    const env = mergeEnv(this.context.networks.environment(record), own);
    return processSpec(record, {
      args: config.Cmd ?? [],
      env: mergeEnv(env, config.Env ?? []),
      cwd: config.WorkingDir || record.config.WorkingDir || '/',
      tty,
      user,
      privileged: (config.Privileged ?? false) || (record.hostConfig.Privileged ?? false),
    });
  }

  /** Docker's words; the exit code is what the command line shows. */
  #explain(exec: Exec, error: unknown): EngineError {
    if (error instanceof UnknownUser) {
      exec.exitCode = 126;
      return badParameter(error.message);
    }
    const said = messageOf(error).replace(/^exec failed: /, '');
    const text = `OCI runtime exec failed: exec failed: ${said}: unknown`;
    exec.exitCode = /permission denied|is a directory/.test(said) ? 126 : /not found|no such file/.test(said) ? 127 : 128;
    return error instanceof EngineError ? error : badParameter(text);
  }
}
