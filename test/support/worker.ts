// A child process that runs operations (ops.py) for a test. Every batch has a time limit; a batch that passes it
// kills the child and rejects with `Hung`, which says the operation that did not return. Used by mounts.ts and run.ts.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Op, Outcome } from './ops.js';
import { checkout } from './paths.js';
import { patient } from './patience.js';

/** An operation did not return in time, or the child died under it. */
export class Hung extends Error {
  override readonly name = 'Hung';
  constructor(
    /** Index of the operation that was running. */
    readonly index: number,
    reason: string,
  ) {
    super(reason);
  }
}

interface Pending {
  readonly ops: readonly Op[];
  readonly outcomes: Outcome[];
  readonly timer: NodeJS.Timeout;
  resolve(outcomes: Outcome[]): void;
  reject(reason: Error): void;
}

export class Worker {
  private readonly child: ChildProcess;
  private readonly pending = new Map<number, Pending>();
  private readonly exited: Promise<void>;
  private nextId = 1;
  private stderr = '';

  /** `prefix` runs the child elsewhere: a program and its arguments before those of the child. */
  constructor(prefix: readonly string[] = []) {
    const argv = [...prefix, 'python3', '-B'];
    this.child = spawn(argv[0] ?? '', [...argv.slice(1), join(checkout, 'test', 'support', 'ops.py')], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.exited = new Promise((resolve) => {
      this.child.once('close', () => {
        this.failAll(`the operations process ended: ${this.stderr.trim()}`);
        resolve();
      });
      this.child.once('error', (cause) => {
        this.stderr += cause.message;
        resolve();
      });
    });
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.child.stdin?.on('error', () => undefined);
    if (this.child.stdout) createInterface({ input: this.child.stdout }).on('line', (line) => this.line(line));
  }

  /** Runs `ops` with `cwd` as current directory, one after the other, whatever each ends with. */
  run(cwd: string, ops: readonly Op[], usualMs = 15_000): Promise<Outcome[]> {
    const id = this.nextId++;
    const limitMs = patient(usualMs);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.expire(id, limitMs), limitMs);
      this.pending.set(id, { ops, outcomes: [], timer, resolve, reject });
      this.child.stdin?.write(`${JSON.stringify({ id, cwd, ops })}\n`);
    });
  }

  /** Runs `ops` and throws at the first that fails: for preparing and inspecting, not for cases. */
  async must(cwd: string, ops: readonly Op[], limitMs?: number): Promise<unknown[]> {
    const outcomes = await this.run(cwd, [{ op: 'all', ops }], limitMs);
    const only = outcomes[0];
    if (only === undefined || !('v' in only)) throw new Error(`${cwd}: ${JSON.stringify(only)}`);
    return only.v as unknown[];
  }

  /** Ends the child and waits for it. */
  async end(): Promise<void> {
    this.child.stdin?.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), patient(5_000));
    await this.exited;
    clearTimeout(timer);
  }

  private line(text: string): void {
    const [id, index, result] = JSON.parse(text) as [number, number, Outcome | null];
    const entry = this.pending.get(id);
    if (entry === undefined) return;
    if (index >= 0 && result) {
      entry.outcomes.push(result);
      return;
    }
    this.pending.delete(id);
    clearTimeout(entry.timer);
    if (result) entry.reject(new Hung(0, JSON.stringify(result)));
    else entry.resolve(entry.outcomes);
  }

  private expire(id: number, limitMs: number): void {
    const entry = this.pending.get(id);
    if (entry === undefined) return;
    this.pending.delete(id);
    this.child.kill('SIGKILL');
    const at = entry.outcomes.length;
    entry.reject(new Hung(at, `operation ${at} ${JSON.stringify(entry.ops[at])} did not return within ${limitMs} ms`));
  }

  private failAll(reason: string): void {
    for (const entry of this.pending.values()) {
      clearTimeout(entry.timer);
      entry.reject(new Hung(entry.outcomes.length, reason));
    }
    this.pending.clear();
  }
}
