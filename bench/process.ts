// Child processes with a time limit: every touch of a mount by the bench goes through `run`, because a file system
// under test may hang. An interrupt (main.ts) kills what runs, makes later `run`s fail, and leaves cleanup able to run.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

export interface RunOptions {
  /** Milliseconds until the whole process group is killed. Default 300,000. */
  limit?: number;
  cwd?: string;
  /** A file for stderr: for commands that leave a server behind, which must not be left with a broken pipe. */
  log?: string;
  /** Runs although the bench was interrupted: for cleanup. */
  evenInterrupted?: boolean;
}

const running = new Set<ChildProcess>();
let interrupted = false;

/** Kills every running child and refuses new ones, so that all awaiting code ends through its own error path. */
export function interrupt(): void {
  interrupted = true;
  for (const child of running) killGroup(child);
}

/** Whether the bench was interrupted. */
export function wasInterrupted(): boolean {
  return interrupted;
}

/** Kills a child started by `start` or `run` with all its group. */
export function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // already gone
  }
}

const environment = { ...process.env, LC_ALL: 'C', GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };

/**
 * Starts a command in its own process group with stdout piped, and stderr too unless a descriptor is given for it.
 * The caller ends it.
 */
export function start(command: readonly string[], cwd?: string, stderr: number | 'pipe' = 'pipe'): ChildProcess {
  const [file, ...args] = command;
  if (file === undefined) throw new Error('empty command');
  return spawn(file, args, { cwd, detached: true, env: environment, stdio: ['ignore', 'pipe', stderr] });
}

/**
 * Runs a command to its end and returns its stdout.
 * Errors: rejects with the command, its exit code and its stderr when it fails or outlives its limit.
 */
export function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  if (interrupted && !options.evenInterrupted) return Promise.reject(new Error('interrupted'));
  const log = options.log === undefined ? undefined : openSync(options.log, 'w');
  const child = start(command, options.cwd, log);
  if (log !== undefined) closeSync(log);
  running.add(child);
  return new Promise<string>((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const seconds = (options.limit ?? 300_000) / 1000;
    const settle = (problem?: string): void => {
      running.delete(child);
      clearTimeout(timer);
      // a server that kept our pipes open must not keep the bench alive
      child.stdout?.destroy();
      child.stderr?.destroy();
      const said = options.log === undefined ? Buffer.concat(err).toString() : readFileSync(options.log, 'utf8');
      if (problem === undefined) resolve(Buffer.concat(out).toString());
      else reject(new Error(`${command.join(' ').slice(0, 300)}: ${problem}\n${said.trim()}`));
    };
    const timer = setTimeout(() => {
      killGroup(child);
      // a process in an uninterruptible wait does not die of SIGKILL
      setTimeout(() => settle(`did not end within ${seconds} s`), 2000).unref();
    }, seconds * 1000);
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', (cause) => settle(cause.message));
    child.on('exit', (code, signal) => {
      const problem = code === 0 ? undefined : signal ? `killed by ${signal}` : `exit code ${code}`;
      const late = setTimeout(() => settle(problem), 500);
      child.on('close', () => {
        clearTimeout(late);
        settle(problem);
      });
    });
  });
}

/** Polls `condition` every `every` ms until it holds. Errors: rejects after `limit` ms, naming `what`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limit = 10_000,
  every = 20,
): Promise<void> {
  const deadline = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${limit / 1000} s`);
    await pause(every);
  }
}

/** Lets `ms` milliseconds pass: for a measuring window, never to wait for a condition. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
