// Options of Docker's `local` driver: a filesystem that mount(8) puts on the volume's directory while containers use it.
// Called by container/ and engine/.

import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { VolumeSpecError } from './volume-error.js';

export type DriverOptions = Readonly<Record<string, string>>;

const KNOWN: readonly string[] = ['device', 'o', 'size', 'type'];
/** What an option cannot do without. */
const NEEDS: Readonly<Record<string, readonly string[]>> = { device: ['type'], type: ['device'], o: ['device', 'type'] };
const LIMIT_MS = 30_000;

/** Errors: VolumeSpecError, in Docker's words. */
export function checkDriverOptions(options: DriverOptions): void {
  for (const key of Object.keys(options)) {
    if (!KNOWN.includes(key)) throw new VolumeSpecError(`invalid option: ${JSON.stringify(key)}`);
    if (key === 'size') throw new VolumeSpecError('quota size requested but no quota support');
    for (const needed of NEEDS[key] ?? []) {
      if (!options[needed]) throw new VolumeSpecError(`missing required option: ${JSON.stringify(needed)}`);
    }
  }
}

/** Whether something is mounted on the volume's directory while it is used. */
export function isMountedVolume(options: DriverOptions | undefined): options is DriverOptions {
  return options?.['device'] !== undefined;
}

function run(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, [...args], { timeout: LIMIT_MS, killSignal: 'SIGKILL' }, (error, _, stderr) => {
      resolve(error ? stderr.trim().split('\n')[0] || error.message : undefined);
    });
  });
}

/** Mounts what the options say on `path`. Errors: VolumeSpecError with mount(8)'s words. */
export async function mountDriver(path: string, options: DriverOptions): Promise<void> {
  const { type = '', device = '', o = '' } = options;
  const complaint = await run('mount', ['-t', type, ...(o === '' ? [] : ['-o', o]), '--', device, path]);
  if (complaint === undefined) return;
  throw new VolumeSpecError(
    `failed to mount local volume: mount ${device}:${path}, flags: ${o}: ${complaint}: check the options of the volume`,
  );
}

/** Takes it off again; one that stays busy is detached. Resolves with the complaint. */
export async function unmountDriver(path: string): Promise<string | undefined> {
  // A root that has just been unmounted lets go of its volumes a moment later.
  for (let tries = 0; tries < 5; tries++) {
    if ((await run('umount', ['--', path])) === undefined) return undefined;
    await delay(20 << tries);
  }
  return run('umount', ['--lazy', '--', path]);
}
