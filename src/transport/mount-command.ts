// mount(8) and umount(8) in child processes: the process that serves a mount must not walk into it.

import { spawn } from 'node:child_process';
import { withinProgram } from '../native/load.js';
import { own } from './children.js';

/** Milliseconds after which a mount command is taken for hung. */
const LIMIT = 20_000;

/**
 * Runs a mount command at `path` inside `root`, `{}` standing for it among `args`: walked to without a symlink and held, since
 * whoever shares a volume in there may be swapping what is on the way.
 */
export function runMountWithin(
  root: string,
  path: string,
  command: string,
  args: readonly string[],
  fd?: number,
): Promise<string | undefined> {
  return runMount(withinProgram(), ['run', root, path, command, ...args], fd);
}

/** Makes what is mounted at `path` inside `root` and below it private and, if asked, read-only. */
export function sealWithin(root: string, path: string, readOnly: boolean): Promise<string | undefined> {
  return runMount(withinProgram(), ['seal', root, path, ...(readOnly ? ['ro'] : [])]);
}

/** Unmounts what is on `path` inside `root`, held likewise. */
export function unmountWithin(root: string, path: string): Promise<string | undefined> {
  return runMount(withinProgram(), ['umount', root, path]);
}

/** Runs a mount command, `fd` being its fd 3; its complaint, or undefined on success. */
export function runMount(command: string, args: readonly string[], fd?: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const stdio = ['ignore', 'ignore', 'pipe', ...(fd === undefined ? [] : [fd])] as const;
    const child = own(spawn(command, args, { stdio: [...stdio], timeout: LIMIT }));
    let complaint = '';
    child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) => resolve(code === 0 ? undefined : complaint.trim() || `${command} failed`));
  });
}
