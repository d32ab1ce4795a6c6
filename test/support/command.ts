// Runs a program with a time limit, and finds the processes and mounts that tests left. Used by mounts.ts and by tests.

import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { patient } from './patience.js';

export interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly limitMs?: number;
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs `argv` to its end; a program that passes the limit is killed and gives code 124. */
export function command(argv: readonly string[], options: CommandOptions = {}): Promise<Done> {
  const [program = '', ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: options.cwd, env: { ...process.env, ...options.env } });
    let stdout = '';
    let stderr = '';
    let late = false;
    const timer = setTimeout(
      () => {
        late = true;
        child.kill('SIGKILL');
        child.stdout.destroy();
        child.stderr.destroy();
      },
      patient(options.limitMs ?? 20_000),
    );
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('latin1')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('latin1')));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.once('error', (cause) => {
      clearTimeout(timer);
      resolve({ code: 127, stdout, stderr: cause.message });
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code: late ? 124 : (code ?? 128), stdout, stderr: late ? `${stderr}(killed: over its time limit)` : stderr });
    });
  });
}

/** Runs `argv` and throws, with its output, unless it exits 0. */
export async function mustCommand(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const done = await command(argv, options);
  if (done.code !== 0) throw new Error(`${argv.join(' ')}: exit ${done.code}: ${done.stderr.trim() || done.stdout.trim()}`);
  return done.stdout;
}

/** Waits until `holds` gives true; throws with `what` after the limit. */
export async function waitFor(what: string, holds: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const end = Date.now() + patient(limitMs);
  for (;;) {
    if (await holds()) return;
    if (Date.now() > end) throw new Error(`waited ${patient(limitMs)} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Pids of the living processes whose environment has an entry that begins with `start`, as in `NAME=value`. */
export function processesWith(start: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const entries = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0');
      if (entries.some((entry) => entry.startsWith(start))) found.push(Number(name));
    } catch {
      // Ended meanwhile, or not ours to read.
    }
  }
  return found;
}

/** Sends a signal to a process that may have ended meanwhile. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export interface MountEntry {
  readonly point: string;
  readonly minor: number;
  readonly type: string;
  /** Of the mount, not of its filesystem: `ro,nosuid`. */
  readonly options: string;
}

/** This namespace's mounts, without touching any of them. */
export function mountTable(): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const words = line.split(' ');
    const type = words[words.indexOf('-') + 1];
    if (words[4] === undefined || type === undefined) continue;
    const point = words[4].replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    entries.push({ point, minor: Number(words[2]?.split(':')[1]), type, options: words[5] ?? '' });
  }
  return entries;
}

/** Ends a FUSE connection from outside, which fails every request that waits in it. */
export function abortFuse(point: string): void {
  for (const entry of mountTable()) {
    if (entry.point !== point || !entry.type.startsWith('fuse')) continue;
    try {
      writeFileSync(`/sys/fs/fuse/connections/${entry.minor}/abort`, '1');
    } catch {
      // fusectl is not mounted here, or the connection has just ended.
    }
  }
}
