// The store of one data root: its directories, its database (opened for one transaction at a time unless held), and
// the removal of what dead processes left. Opened by cli/ and engine/, passed to image/, volume/ and container/.

import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { databaseAt } from './database.js';
import type { Database } from './database.js';
import { removeTree } from '../process/remove-tree.js';
import { makeDirectories } from '../native/make-directories.js';
import { makeStaging, sweepStaging } from '../process/staging.js';
import { sweepStandby } from './standby.js';
import { StoreError } from './store-error.js';
import type { Transaction } from './transaction.js';

export interface StoreOptions {
  /** How long to wait for another process that has the database open; 10 s by default. */
  readonly waitMs?: number;
}

export class Store {
  private readonly database: Database;
  private held = false;
  /** The removal of layers that dead processes have left. */
  private clearing: Promise<void> = Promise.resolve();

  constructor(
    readonly root: string,
    private readonly options: StoreOptions = {},
  ) {
    this.database = databaseAt(root);
  }

  get tmp(): string {
    return join(this.root, 'tmp');
  }

  /** The directory of an unpacked layer's files; its parent is what is published and removed. */
  layerDir(key: string): string {
    return join(this.root, 'layers', key, 'diff');
  }

  /**
   * Runs `fn` with the database to itself: other processes wait, other calls of this process queue up. Keep it short.
   * A transaction must not start another.
   */
  transaction<T>(fn: (records: Transaction) => Promise<T>): Promise<T> {
    return this.database.use(this.options.waitMs ?? 10_000, (records) => this.sweepLayers(records), fn);
  }

  /** Keeps the database open between transactions in quick succession, for a process that has many. Ends with `close`. */
  async hold(): Promise<void> {
    if (!this.held) this.database.hold();
    this.held = true;
    await this.transaction(async () => undefined);
  }

  async close(): Promise<void> {
    if (this.held) await this.database.release();
    this.held = false;
    await this.clearing;
  }

  /** A private directory for unfinished work, on the filesystem of the layers. Owns: the caller removes it. */
  makeStaging(): string {
    return makeStaging(this.tmp);
  }

  /** On a full disk what is there already can wait. */
  private stagingIfRoom(): string | undefined {
    try {
      return this.makeStaging();
    } catch (error) {
      if (['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  }

  /**
   * Layers are published and recorded within one transaction, so whoever opens the database and sees a layer without
   * a record knows that its owner died in between.
   */
  private async sweepLayers(records: Transaction): Promise<void> {
    const known = new Set((await records.list('layer')).map((layer) => layer.key));
    const orphans = readdirSync(join(this.root, 'layers')).filter((name) => !known.has(name));
    if (orphans.length === 0) return;
    const staging = this.stagingIfRoom();
    if (staging === undefined) return;
    for (const name of orphans) renameSync(join(this.root, 'layers', name), join(staging, name));
    // Others wait for the database, not for this. What does not go now goes when this process has ended.
    const cleared = removeTree(staging).catch(() => undefined);
    this.clearing = this.clearing.then(() => cleared);
  }
}

/** Opens the store at `root`, making its directories and removing what dead processes left. The caller closes it. */
export function openStore(root: string, options: StoreOptions = {}): Store {
  try {
    // The layers hold setuid files and devices that only the containers may reach.
    for (const dir of [root, join(root, 'layers'), join(root, 'tmp')]) makeDirectories(dir, 0o700);
    sweepStaging(join(root, 'tmp'));
    sweepStandby();
    return new Store(root, options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StoreError(
      `${root}: cannot use this as the data root: ${code ?? message}; set LAMINA_ROOT to a directory that you may write`,
      error,
    );
  }
}

/** Runs `fn` with the store at `root` and closes it whatever happens. */
export async function withStore<T>(root: string, fn: (store: Store) => Promise<T>, options: StoreOptions = {}): Promise<T> {
  const store = openStore(root, options);
  try {
    return await fn(store);
  } finally {
    await store.close();
  }
}
