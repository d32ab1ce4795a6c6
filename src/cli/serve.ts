// Mounts and stays as its server: what `lamina mount` and `mount.lamina` have in common. In the background the process
// leaves the terminal once the mount is usable and reports that on the fd its launcher waits on.

import { closeSync, openSync } from 'node:fs';
import { sys } from '../native/load.js';
import { planMount, type MountRequest } from '../transport/check.js';
import { listen } from '../transport/control.js';
import { removeRecord, writeRecord } from '../transport/registry.js';
import { MountServer, type ServedMount } from '../transport/server.js';
import { fail, reportReady } from './ready.js';

export interface ServeOptions {
  foreground: boolean;
  /** Shown by `lamina ls`. */
  image?: string;
  /** After the mount is usable and before the terminal is left. */
  announce?: (mount: ServedMount) => void;
  /** When it could not be mounted, to take back what was made for it. */
  failed?: () => Promise<void>;
  /** After the mount has ended, or failed. */
  ended?: () => void;
}

function leaveTerminal(): void {
  sys.setsid();
  process.chdir('/');
  const nowhere = openSync('/dev/null', 'r+');
  for (const fd of [0, 1, 2]) sys.dup2(nowhere, fd);
  closeSync(nowhere);
}

/**
 * Unmounts on a signal; a busy mount is detached, and this process serves it until its last user leaves. The set
 * returned fills with the signals that came.
 */
function unmountOnSignals(mount: ServedMount): ReadonlySet<string> {
  const came = new Set<string>();
  const end = (): void => {
    mount
      .unmount(false)
      .catch(() => mount.unmount(true))
      .catch(() => process.exit(1));
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      came.add(signal);
      end();
    });
  }
  return came;
}

/** The record of a mount, which is taken down when there can be none. */
async function recorded(mount: ServedMount, image: string | undefined): Promise<ReturnType<typeof writeRecord>> {
  try {
    return writeRecord(mount, image);
  } catch (error) {
    await mount.unmount(true);
    throw error;
  }
}

/** Mounts, serves until the mount ends, and exits. Errors of the request: a message, exit 1. */
export async function serve(request: MountRequest, options: ServeOptions): Promise<void> {
  let signalled: ReadonlySet<string> = new Set();
  let logTo = (message: string): void => void process.stderr.write(`lamina: ${message}\n`);
  try {
    // The worker takes as long to start as the checks take; they run side by side.
    const server = new MountServer((message) => logTo(message));
    const mount = await server.mount(planMount(request));
    signalled = unmountOnSignals(mount);
    const { record, path } = await recorded(mount, options.image);
    options.announce?.(mount);
    if (!options.foreground) {
      leaveTerminal();
      logTo = () => undefined;
    }
    reportReady(0);
    listen(record.socket, mount);
    await mount.ended;
    removeRecord(path);
    options.ended?.();
  } catch (error) {
    options.ended?.();
    await options.failed?.().catch((cause: unknown) => logTo(String(cause)));
    fail((error as Error).message, 1);
  }
  process.exit(signalled.has('SIGTERM') && options.foreground ? 1 : 0);
}
