// Where the engine listens, and how it comes to: the first client that finds nobody there starts it.

import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const START_LIMIT_MS = 20_000;
/** What a daemon says that finds another one at its data root. */
const LOST_RACE = 'another daemon has the data root';

/** The engine does not answer and cannot be started. */
export class EngineAbsent extends Error {
  override readonly name = 'EngineAbsent';
}

export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/**
 * Starts the engine if nobody listens. Of several that are started at once one serves, and the others end.
 * @param command program and arguments of the engine
 * Errors: EngineAbsent with what the engine said.
 */
export async function ensureEngine(path: string, command: readonly string[]): Promise<void> {
  if (await isServed(path)) return;
  const directory = mkdtempSync(join(tmpdir(), 'lamina-start-'));
  const log = join(directory, 'log');
  const fd = openSync(log, 'w', 0o600);
  try {
    const [program = '', ...args] = command;
    const child = spawn(program, args, { detached: true, stdio: ['ignore', fd, fd], cwd: '/' });
    child.unref();
    const state = { ended: false };
    const end = (): void => void (state.ended = true);
    child.on('exit', end).on('error', end);
    for (const limit = Date.now() + START_LIMIT_MS; Date.now() < limit; await delay(5)) {
      if (await isServed(path)) return;
      // The loser of a race ends before the winner, which may have much to recover, listens.
      if (state.ended && !readFileSync(log, 'utf8').includes(LOST_RACE)) break;
    }
    if (await isServed(path)) return;
    throw new EngineAbsent(`the engine did not start on ${path}: ${readFileSync(log, 'utf8').trim() || 'it said nothing'}`);
  } finally {
    closeSync(fd);
    rmSync(directory, { recursive: true, force: true });
  }
}
