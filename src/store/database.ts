// The `level` database of one data root: opened against other processes for one use at a time unless held, typed
// reads, one atomic batch per change. Used by `Store`; everything else sees it as a `Transaction`.

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Level } from 'level';
import type { Change, Table, Tables } from './records.js';
import { fillReserve, isOnReserve, releaseReserve, releaseReserveIfFull } from './reserve.js';
import { StoreError } from './store-error.js';

const SCHEMA = 1;
const SCHEMA_KEY = 'schema';
const RETRY_MS = 15;
/** Opening writes a few kilobytes; the space of what has just been removed may take a moment to be free. */
const FULL_MS = 5000;
/** How long a holder keeps the database open after a use. */
const LINGER_MS = 150;

/** Reads and changes of records while the database is this process's alone. Valid only inside `Store.transaction`. */
export class Transaction {
  private hasFailed = false;

  constructor(private readonly level: Level<string, unknown>) {}

  get<T extends Table>(table: T, key: string): Promise<Tables[T] | undefined> {
    return this.level.get(`${table}!${key}`) as Promise<Tables[T] | undefined>;
  }

  /** All records of a table, by key; with `prefix` those whose key starts with it. */
  list<T extends Table>(table: T, prefix = ''): Promise<Tables[T][]> {
    const from = `${table}!${prefix}`;
    return this.level.values({ gte: from, lt: `${from}\u{10FFFF}` }).all() as Promise<Tables[T][]>;
  }

  /**
   * Applies all changes or none; durable when it resolves. When it fails, the transaction is over. On a full disk what adds
   * records is refused: see reserve.ts.
   */
  async commit(changes: readonly Change[]): Promise<void> {
    const batch = changes.map(({ table, key, value }) =>
      value === undefined
        ? { type: 'del' as const, key: `${table}!${key}` }
        : { type: 'put' as const, key: `${table}!${key}`, value: value },
    );
    if (this.hasFailed) throw new Error('a transaction goes no further when a commit has failed');
    if (isOnReserve(this.level.location) && (await this.adds(changes)))
      throw new StoreError(`${this.level.location}: no space left on device; remove something first`);
    this.hasFailed = true;
    await this.level.batch(batch, { sync: true });
    this.hasFailed = false;
  }

  /** Whether there are more records afterwards. */
  private async adds(changes: readonly Change[]): Promise<boolean> {
    let more = 0;
    for (const { table, key, value } of changes) {
      if (value === undefined) more--;
      else if ((await this.get(table, key)) === undefined) more++;
    }
    return more > 0;
  }

  /**
   * Whether the database may be used on. LevelDB goes on behind the piece that a failed write has left in its log, and the
   * next open drops everything from that piece on (log_reader.cc): nothing may follow it.
   */
  get isSound(): boolean {
    return !this.hasFailed;
  }
}

/** What kept the database from opening; level wraps it. */
function causeOf(error: unknown): NodeJS.ErrnoException | undefined {
  return error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
}

const isLocked = (error: unknown): boolean => causeOf(error)?.code === 'LEVEL_LOCKED';
const isFull = (error: unknown): boolean => /no space left on device|disk quota exceeded/i.test(causeOf(error)?.message ?? '');

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

/** One for each location in this process; see `databaseAt`. */
export class Database {
  private level: Level<string, unknown> | undefined;
  private holds = 0;
  private lingering: NodeJS.Timeout | undefined;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(private readonly location: string) {}

  /** Runs `fn` with the database to itself, after `opened` if it had to be opened. */
  use<T>(waitMs: number, opened: (records: Transaction) => Promise<void>, fn: (records: Transaction) => Promise<T>): Promise<T> {
    return this.queue(async () => {
      const fresh = this.level === undefined;
      this.level ??= await openDatabase(this.location, waitMs);
      const records = new Transaction(this.level);
      try {
        if (fresh) await opened(records);
        return await fn(records);
      } finally {
        if (!records.isSound) await this.close();
      }
    });
  }

  /** Keeps it open between uses that follow each other quickly, until as many calls of `release`. */
  hold(): void {
    this.holds++;
  }

  release(): Promise<void> {
    this.holds--;
    return this.queue(async () => undefined);
  }

  /** Runs `task` after all tasks before it, and closes the database afterwards unless it is held. */
  private queue<T>(task: () => Promise<T>): Promise<T> {
    clearTimeout(this.lingering);
    const run = this.tail.then(async () => {
      try {
        return await task();
      } finally {
        if (this.holds === 0) await this.close();
        else this.linger();
      }
    });
    this.tail = run.catch(() => undefined);
    return run;
  }

  /** Whoever holds it lets others in when it has had no use for a while. */
  private linger(): void {
    clearTimeout(this.lingering);
    this.lingering = setTimeout(() => {
      this.tail = this.tail.then(() => this.close()).catch(() => undefined);
    }, LINGER_MS);
  }

  private async close(): Promise<void> {
    const level = this.level;
    this.level = undefined;
    if (level === undefined) return;
    fillReserve(this.location);
    await level.close();
  }
}

const databases = new Map<string, Database>();

/**
 * The database of `root`, the same for all callers. LevelDB's lock is a POSIX record lock, and a second open in one
 * process, though it fails, closes a descriptor of the lock file, which gives up the lock to other processes
 * (env_posix.cc LockFile, fcntl_locking(2)). For the same reason no other thread may open it.
 */
export function databaseAt(root: string): Database {
  const location = join(realpathSync(root), 'db');
  const known = databases.get(location) ?? new Database(location);
  databases.set(location, known);
  return known;
}

/** Opens the database, waiting up to `waitMs` for another process to close it. The caller closes it. */
async function openDatabase(location: string, waitMs: number): Promise<Level<string, unknown>> {
  const start = Date.now();
  const end = start + waitMs;
  for (;;) {
    const level = new Level<string, unknown>(location, { valueEncoding: 'json' });
    try {
      releaseReserveIfFull(location);
      await level.open();
      await checkSchema(level);
      return level;
    } catch (error) {
      await level.close();
      if (error instanceof StoreError) throw error;
      const room = isFull(error) && Date.now() - start < FULL_MS;
      if (room) releaseReserve(location);
      if (!isLocked(error) && !room) throw openFailure(location, error);
      if (Date.now() >= end) {
        throw new StoreError(
          `${location}: another process has kept the database open for ${waitMs / 1000} s; try again when it is done`,
          error,
        );
      }
    }
    // Jitter: several waiting processes must not knock in step.
    await sleep(RETRY_MS * (0.5 + Math.random()));
  }
}
