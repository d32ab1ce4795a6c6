// Work in a process of its own, because it is made of calls that block: others have their turn meanwhile. That process ends with
// this one, however this one ends (native/alone.cc). Called with the path of an entry point, which leaves the rest to serve.ts.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { aloneProgram } from '../native/load.js';

/** An error as it is told: its name, its words and, for that of a system call, what Node says of it. */
export interface ToldError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly syscall?: string;
  /** Negative. */
  readonly errno?: number;
}

/** What went wrong there. */
export class ApartError extends Error implements ToldError {
  override readonly name: string;
  readonly code?: string;
  readonly syscall?: string;
  readonly errno?: number;

  constructor({ name, message, code, syscall, errno }: ToldError) {
    super(message);
    this.name = name;
    if (code !== undefined) this.code = code;
    if (syscall !== undefined) this.syscall = syscall;
    if (errno !== undefined) this.errno = errno;
  }
}

/** It ended without a word of its own. */
export class ApartDied extends Error {
  override readonly name = 'ApartDied';
}

/** A line of what serve.ts writes; the last says how it ended. */
export type ApartReport = { readonly told: unknown } | { readonly result: unknown } | { readonly error: ToldError };

export interface ApartOptions {
  readonly signal?: AbortSignal;
  /** Its stdin. When that breaks off, so does the work. */
  readonly input?: Readable;
  /** It has these descriptors from `FIRST_FILE_FD` on. */
  readonly files?: readonly number[];
  /** Called with what it tells while it works. */
  readonly told?: (message: unknown) => void;
}

/** Descriptor of the request and of the report. */
export const REPORT_FD = 3;
export const FIRST_FILE_FD = REPORT_FD + 1;

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

/** Hands on what it tells. Resolves with its last word, if it had one. */
async function listen(channel: Readable, told: (message: unknown) => void): Promise<ApartReport | undefined> {
  let last: ApartReport | undefined;
  // A line that breaks off is nothing said.
  for await (const line of linesOf(channel)) {
    const report = JSON.parse(line) as ApartReport;
    if ('told' in report) told(report.told);
    else last = report;
  }
  return last;
}

/** Complete lines until it closes. */
async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let text = '';
  try {
    for await (const chunk of stream.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // Reset by a process that was killed: how it ended says what there is to say.
  }
}

/**
 * Has the program at `path` do `work` (JSON) and resolves with its result. Errors: ApartError, ApartDied, the signal's reason,
 * what broke the input off. Whatever becomes of it, the process has ended by then.
 */
export async function runApart<T>(path: string, work: unknown, options: ApartOptions = {}): Promise<T> {
  const { signal, input, files = [], told = (): void => undefined } = options;
  signal?.throwIfAborted();
  const command = [String(FIRST_FILE_FD + files.length), String(process.pid), process.execPath, path];
  const stdio = [input ? 'pipe' : 'ignore', 'ignore', 'pipe', 'pipe', ...files] as const;
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
  const said = Promise.all([listen(channel, told), textOf(child.stderr as Readable)]);
  // Awaited when it has ended.
  said.catch(() => undefined);
  const end = await ended;
  const [report, complaint] = await said;
  if (report && 'result' in report) return report.result as T;
  if (report && 'error' in report) throw new ApartError(report.error);
  signal?.throwIfAborted();
  const broken = await fed;
  if (broken !== undefined) throw broken;
  throw new ApartDied(complaint.trim() || `the process that was to do it ${end}`);
}
