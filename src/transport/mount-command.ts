// mount(8) and umount(8) in child processes: the process that serves a mount must not walk into it.

import { spawn } from 'node:child_process';
import { own } from './children.js';

/** Milliseconds after which a mount command is taken for hung. */
const LIMIT = 20_000;

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
