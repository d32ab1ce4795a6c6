// The load generator (load.cc) as functions: compiled when missing or older than its source, one process per sample.

import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run, type RunOptions } from './process.js';

export const root = join(__dirname, '../..');
const source = join(root, 'bench/load.cc');
/** The compiled load generator. */
export const program = join(root, 'build/bench/load');

export interface Sample {
  op: string;
  /** Operations, entries or bytes done: what the subcommand in load.cc counts. */
  n: number;
  /** Nanoseconds they took together. */
  ns: number;
  exit_ns?: number;
}

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Compiles the load generator if needed. */
export async function build(): Promise<void> {
  if (modified(program) > modified(source)) return;
  mkdirSync(dirname(program), { recursive: true });
  await run(['g++', '-O2', '-std=c++17', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
}

function isSample(value: unknown): value is Sample {
  return (
    typeof value === 'object' &&
    value !== null &&
    'n' in value &&
    'ns' in value &&
    typeof value.n === 'number' &&
    typeof value.ns === 'number'
  );
}

/** Runs one subcommand of load.cc and returns its line. Errors: rejects with load's own explanation. */
export async function load(args: readonly string[], options: RunOptions = {}): Promise<Sample> {
  const line: unknown = JSON.parse(await run([program, ...args], options));
  if (!isSample(line)) throw new Error(`load ${args[0] ?? ''}: unexpected output`);
  return line;
}

/** Seconds from start to exit of a shell script, without the time Node needs to start it. */
export async function timeScript(script: string, cwd: string): Promise<number> {
  return (await load(['run', 'sh', '-ec', script], { cwd })).ns / 1e9;
}
