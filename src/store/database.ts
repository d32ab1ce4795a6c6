// The `level` database of one data root, open for one use at a time unless held. Used by `Store`; everything else sees it as a
// `Transaction`.

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type OpenDatabase, openDatabase } from './open-database.js';
import { lacksRoom } from './standby.js';
import { Transaction } from './transaction.js';

/** How long a holder keeps the database open after a use. */
const LINGER_MS = 150;

/** One for each location in this process; see `databaseAt`. */
export class Database {
  private opened: OpenDatabase | undefined;
  private holds = 0;
  private lingering: NodeJS.Timeout | undefined;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(private readonly location: string) {}

  /** Runs `fn` with the database to itself, after `prepare` if it had to be opened. */
  use<T>(waitMs: number, prepare: (records: Transaction) => Promise<void>, fn: (records: Transaction) => Promise<T>): Promise<T> {
    return this.queue(async () => {
      // The disk has filled up, or has room again.
      if (this.opened && this.opened.isStandby !== lacksRoom(this.location)) await this.close();
      const fresh = this.opened === undefined;
      this.opened ??= await openDatabase(this.location, waitMs);
      const records = new Transaction(this.opened.level, this.opened.isStandby ? this.location : undefined);
      try {
        if (fresh) await prepare(records);
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
    const opened = this.opened;
    this.opened = undefined;
    await opened?.close();
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
