// Opens the `level` database of one data root against other processes: in its place, or a copy of it while its disk is full.
// Called by `Database`.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Level } from 'level';
import { clearOverflow, readOverflow, takeOverflowRoom } from './overflow.js';
import { lacksRoom, openStandby } from './standby.js';
import { StoreError } from './store-error.js';

const SCHEMA = 1;
const SCHEMA_KEY = 'schema';
const RETRY_MS = 15;

export interface OpenDatabase {
  readonly level: Level<string, unknown>;
  /** Whether `level` is a copy, whose changes go to the overflow log. */
  readonly isStandby: boolean;
  close(): Promise<void>;
}

/** What kept the database from opening; level wraps it. */
function causeOf(error: unknown): NodeJS.ErrnoException | undefined {
  return error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
}

const isLocked = (error: unknown): boolean => causeOf(error)?.code === 'LEVEL_LOCKED';
const isFull = (error: unknown): boolean =>
  /no space left on device|disk quota exceeded/i.test((causeOf(error) ?? (error as Error)).message);

function openFailure(location: string, error: unknown): StoreError {
  const cause = causeOf(error) ?? (error as Error);
  if (/corrupt/i.test(cause.message)) {
    return new StoreError(
      `${location}: the database is damaged (${cause.message}); move it away and load the images again`,
      error,
    );
  }
  return new StoreError(`${location}: cannot open the database: ${cause.message}; check its permissions and the disk`, error);
}

async function checkSchema(level: Level<string, unknown>): Promise<void> {
  const found = await level.get(SCHEMA_KEY);
  if (found === undefined) return level.put(SCHEMA_KEY, SCHEMA);
  if (found === SCHEMA) return;
  throw new StoreError(
    `${level.location}: the database has schema ${JSON.stringify(found)}, this lamina knows ${SCHEMA}; use the version that wrote it`,
  );
}

async function openInPlace(location: string): Promise<OpenDatabase> {
  const level = new Level<string, unknown>(location, { valueEncoding: 'json' });
  try {
    await level.open();
    await checkSchema(level);
    const changes = readOverflow(location);
    if (changes.length > 0) {
      await level.batch(changes, { sync: true });
      clearOverflow(location);
    }
    takeOverflowRoom(location);
    return { level, isStandby: false, close: () => level.close() };
  } catch (error) {
    await level.close();
    throw error;
  }
}

async function openCopy(location: string): Promise<OpenDatabase | undefined> {
  const standby = await openStandby(location);
  return standby && { ...standby, isStandby: true };
}

/** Opens the database, waiting up to `waitMs` for another process to close it. The caller closes it. */
export async function openDatabase(location: string, waitMs: number): Promise<OpenDatabase> {
  const end = Date.now() + waitMs;
  let full = lacksRoom(location);
  for (;;) {
    let kept: unknown;
    try {
      const opened = full && existsSync(join(location, 'CURRENT')) ? await openCopy(location) : await openInPlace(location);
      if (opened) return opened;
    } catch (error) {
      kept = error;
      if (error instanceof StoreError) throw error;
      if (!full && isFull(error)) full = true;
      else if (!isLocked(error)) throw openFailure(location, error);
    }
    if (Date.now() >= end) {
      throw new StoreError(
        `${location}: another process has kept the database open for ${waitMs / 1000} s; try again when it is done`,
        kept,
      );
    }
    // Jitter: several waiting processes must not knock in step.
    await sleep(RETRY_MS * (0.5 + Math.random()));
  }
}
