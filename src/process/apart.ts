// Work in a process of its own, because it is made of calls that block: others have their turn meanwhile. That process ends with
// this one, however this one ends (native/alone.cc). Called with the path of an entry point, which leaves the rest to serve.ts.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { aloneProgram } from '../native/load.js';

/** What went wrong there: the name and the words of its error. */
export class ApartError extends Error {
  constructor(
    override readonly name: string,
    message: string,
  ) {
    super(message);
  }
}

/** It ended without a word of its own. */
export class ApartDied extends Error {
  override readonly name = 'ApartDied';
}

/** What serve.ts writes. */
export type ApartReport = { readonly result: unknown } | { readonly error: { readonly name: string; readonly message: string } };

export interface ApartOptions {
  readonly signal?: AbortSignal;
  /** Its stdin. When that breaks off, so does the work. */
  readonly input?: Readable;
}

/** Descriptor of the request and of the report. */
export const REPORT_FD = 3;

function textOf(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('close', () => resolve(Buffer.concat(chunks).toString()));
    stream.on('error', () => undefined);
  });
}

/** Feeds it. Resolves with what broke the input off, which ends it. */
async function feed(child: ChildProcess, input: Readable): Promise<Error | undefined> {
  try {
    await pipeline(input, child.stdin as Writable);
    return undefined;
  } catch (error) {
    // It may have had enough, and then it says why.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return undefined;
    child.kill('SIGKILL');
    return error as Error;
  }
}

function parse(report: string): ApartReport | undefined {
  try {
    return JSON.parse(report) as ApartReport;
  } catch {
    return undefined;
  }
}

/**
 * Has the program at `path` do `work` (JSON) and resolves with its result. Errors: ApartError, ApartDied, the signal's reason,
 * what broke the input off. Whatever becomes of it, the process has ended by then.
 */
export async function runApart<T>(path: string, work: unknown, { signal, input }: ApartOptions = {}): Promise<T> {
  signal?.throwIfAborted();
  const command = [String(REPORT_FD + 1), String(process.pid), process.execPath, path];
  const stdio = [input ? 'pipe' : 'ignore', 'ignore', 'pipe', 'pipe'] as const;
  const child = spawn(aloneProgram(), command, {
    stdio: [...stdio],
    cwd: '/',
    killSignal: 'SIGKILL',
    ...(signal ? { signal } : {}),
  });
  const ended = new Promise<string>((resolve, reject) => {
    // An aborted one is waited for: what it writes is about to be removed.
    child.once('error', (error) => (child.pid === undefined ? reject(error) : undefined));
    child.once('close', (code, killer) => resolve(`ended with ${String(killer ?? code)}`));
  });
  const channel = child.stdio[REPORT_FD] as Readable & Writable;
  channel.end(JSON.stringify(work));
  const fed = input ? feed(child, input) : undefined;
  const said = Promise.all([textOf(channel), textOf(child.stderr as Readable)]);
  const end = await ended;
  const report = parse((await said)[0]);
  if (report && 'result' in report) return report.result as T;
  if (report) throw new ApartError(report.error.name, report.error.message);
  signal?.throwIfAborted();
  const broken = await fed;
  if (broken !== undefined) throw broken;
  throw new ApartDied((await said)[1].trim() || `the process that was to do it ${end}`);
}
