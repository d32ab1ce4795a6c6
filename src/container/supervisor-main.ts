// Entry point of the supervisor's process: `supervisor-main.js SOCKET`. Its stderr is its log.

import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { sys } from '../native/load.js';
import { Supervisor } from './supervisor.js';

const LOCK_EX_NB = 2 | 4;
const O_CLOEXEC = 0o2000000;
const socket = process.argv[2] ?? '';

function log(message: string): void {
  process.stderr.write(`${new Date().toISOString()} ${message}\n`);
}

/**
 * Closes what came from the daemon and whoever started it: its database, which does not set close-on-exec, must not stay open
 * here for as long as we live, and runc must inherit nothing of the host (CVE-2024-21626). What is Node's own is close-on-exec.
 */
function closeInherited(): void {
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    if (fd <= 2) continue;
    try {
      const flags = /^flags:\t(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
      if (flags !== undefined && (parseInt(flags, 8) & O_CLOEXEC) === 0) closeSync(fd);
    } catch {
      // The listing's own.
    }
  }
}

// One for each run directory; the lock goes with the process.
const lock = openSync(dirname(socket), 'r');
if (sys.flock(lock, LOCK_EX_NB) !== 0) {
  closeSync(lock);
  process.exit(0);
}
process.chdir('/');
closeInherited();
for (const signal of ['SIGHUP', 'SIGINT', 'SIGPIPE', 'SIGTERM'] as const) process.on(signal, () => undefined);
process.on('uncaughtException', (error) => log(`unexpected: ${error.stack ?? error.message}`));
process.on('unhandledRejection', (error) => log(`unexpected: ${error instanceof Error ? error.stack : String(error)}`));
new Supervisor(socket, log);
