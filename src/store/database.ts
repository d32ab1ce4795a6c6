// The `level` database of one data root: opening against other processes, typed reads, one atomic batch per change.
// Owned by `Store`; everything else sees it as a `Transaction`.

import { setTimeout as sleep } from 'node:timers/promises';
import { Level } from 'level';
import type { Change, Table, Tables } from './records.js';
import { StoreError } from './store-error.js';

const SCHEMA = 1;
const SCHEMA_KEY = 'schema';
const RETRY_MS = 15;

/** Reads and changes of records while the database is this process's alone. Valid only inside `Store.transaction`. */
export class Transaction {
  constructor(private readonly level: Level<string, unknown>) {}

  get<T extends Table>(table: T, key: string): Promise<Tables[T] | undefined> {
    return this.level.get(`${table}!${key}`) as Promise<Tables[T] | undefined>;
  }

  /** All records of a table, by key; with `prefix` those whose key starts with it. */
  list<T extends Table>(table: T, prefix = ''): Promise<Tables[T][]> {
    const from = `${table}!${prefix}`;
    return this.level.values({ gte: from, lt: `${from}\u{10FFFF}` }).all() as Promise<Tables[T][]>;
  }

  /** Applies all changes or none; durable when it resolves. */
  async commit(changes: readonly Change[]): Promise<void> {
    const batch = changes.map(({ table, key, value }) =>
      value === undefined
        ? { type: 'del' as const, key: `${table}!${key}` }
        : { type: 'put' as const, key: `${table}!${key}`, value: value as unknown },
    );
    await this.level.batch(batch, { sync: true });
  }
}

function isLocked(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && (cause as NodeJS.ErrnoException).code === 'LEVEL_LOCKED';
}

function openFailure(location: string, error: unknown): StoreError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error);
  if (/corrupt/i.test(cause.message)) {
    return new StoreError(`${location}: the database is damaged (${cause.message}); move it away and load the images again`, error);
  }
  return new StoreError(`${location}: cannot open the database: ${cause.message}; check its permissions and the disk`, error);
}

async function checkSchema(level: Level<string, unknown>): Promise<void> {
  const found = await level.get(SCHEMA_KEY);
  if (found === undefined) return level.put(SCHEMA_KEY, SCHEMA);
  if (found === SCHEMA) return;
  await level.close();
  throw new StoreError(`${level.location}: the database has schema ${String(found)}, this lamina knows ${SCHEMA}; use the version that wrote it`);
}

/** Opens the database, waiting up to `waitMs` for another process to close it. The caller closes it. */
export async function openDatabase(location: string, waitMs: number): Promise<Level<string, unknown>> {
  const end = Date.now() + waitMs;
  for (;;) {
    const level = new Level<string, unknown>(location, { valueEncoding: 'json' });
    try {
      await level.open();
      await checkSchema(level);
      return level;
    } catch (error) {
      if (error instanceof StoreError) throw error;
      if (!isLocked(error)) throw openFailure(location, error);
      if (Date.now() >= end) {
        throw new StoreError(`${location}: another process has kept the database open for ${waitMs / 1000} s; try again when it is done`, error);
      }
    }
    // Jitter: several waiting processes must not knock in step.
    await sleep(RETRY_MS * (0.5 + Math.random()));
  }
}
