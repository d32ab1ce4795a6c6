// Short runs of the system's network tools.

import { execFile } from 'node:child_process';
import { NetworkError } from './network-error.js';

const LIMIT_MS = 10_000;

/** Runs a tool; resolves with its output. Errors: NetworkError with its words. */
export function run(tool: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(tool, [...args], { timeout: LIMIT_MS, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const why = missing ? 'it is not installed' : stderr.trim() || error.message;
      reject(new NetworkError('failed', `${tool} ${args.join(' ')}: ${why}`));
    });
  });
}

/** Whether a tool succeeds. */
export async function succeeds(tool: string, ...args: readonly string[]): Promise<boolean> {
  return run(tool, ...args).then(
    () => true,
    () => false,
  );
}
