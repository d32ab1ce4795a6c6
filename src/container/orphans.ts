// Short-lived programs (CNI plugins, mount, runc) that a killed daemon or supervisor had running: they go on without it, and
// what they are at must be over before anybody takes it down. Known by a mark in their environment. Used by engine/ and
// supervisor-client.ts.

import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Environment variable of a daemon or supervisor, inherited by what it runs; its value is `<kind>:<data root>`. */
export const OWNER = 'LAMINA_OWNER';

const LIMIT_MS = 10_000;

function isOwned(pid: string, owner: string): boolean {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    return entries.includes(`${OWNER}=${Buffer.from(owner).toString('latin1')}`);
  } catch {
    return false;
  }
}

/** Waits until no process but this one has that owner. Resolves with those that go on after all, for the log. */
export async function waitForOrphans(owner: string): Promise<string[]> {
  for (const end = Date.now() + LIMIT_MS; ; await delay(10)) {
    const pids = readdirSync('/proc').filter(
      (name) => /^\d+$/.test(name) && name !== String(process.pid) && isOwned(name, owner),
    );
    if (pids.length === 0 || Date.now() > end) return pids;
  }
}
