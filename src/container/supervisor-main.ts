// Entry point of the supervisor's process: `supervisor-main.js SOCKET`. Its stderr is its log.

import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sys } from '../native/load.js';
import { OWNER } from './orphans.js';
import { Supervisor } from './supervisor.js';

const LOCK_EX_NB = 2 | 4;
const socket = process.argv[2] ?? '';

function log(message: string): void {
  process.stderr.write(`${new Date().toISOString()} ${message}\n`);
}

/** The daemon's database does not set close-on-exec: its files must not stay open here for as long as we live. */
function closeDatabase(root: string): void {
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${join(root, 'db')}/`)) closeSync(Number(fd));
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
closeDatabase((process.env[OWNER] ?? '').replace(/^[a-z]+:/, ''));
for (const signal of ['SIGHUP', 'SIGINT', 'SIGPIPE', 'SIGTERM'] as const) process.on(signal, () => undefined);
process.on('uncaughtException', (error) => log(`unexpected: ${error.stack ?? error.message}`));
process.on('unhandledRejection', (error) => log(`unexpected: ${error instanceof Error ? error.stack : String(error)}`));
new Supervisor(socket, log);
