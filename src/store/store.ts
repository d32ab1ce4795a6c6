// The store of one data root: its directories, its database (opened for one transaction at a time unless held), and
// the removal of what dead processes left. Opened by cli/ and engine/, passed to image/, volume/ and container/.

import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Level } from 'level';
import { openDatabase, Transaction } from './database.js';
import { removeTree } from './remove-tree.js';
import { makeStaging, sweepStaging } from './staging.js';
import { StoreError } from './store-error.js';

export interface StoreOptions {
  /** How long to wait for another process that has the database open; 10 s by default. */
  readonly waitMs?: number;
}

export class Store {
  private level: Level<string, unknown> | undefined;
  private held = false;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    readonly root: string,
    private readonly options: StoreOptions = {},
  ) {}

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
    const run = this.tail.then(async () => {
      const level = await this.open();
      try {
        return await fn(new Transaction(level));
      } finally {
        if (!this.held) await this.shut();
      }
    });
    this.tail = run.catch(() => undefined);
    return run;
  }

  /** Keeps the database open between transactions, for a process that is its only user. Ends with `close`. */
  async hold(): Promise<void> {
    this.held = true;
    await this.transaction(async () => undefined);
  }

  async close(): Promise<void> {
    this.held = false;
    await this.tail;
    await this.shut();
  }

  /** A private directory for unfinished work, on the filesystem of the layers. Owns: the caller removes it. */
  makeStaging(): string {
    return makeStaging(this.tmp);
  }

  private async open(): Promise<Level<string, unknown>> {
    if (this.level) return this.level;
    this.level = await openDatabase(join(this.root, 'db'), this.options.waitMs ?? 10_000);
    await this.sweepLayers(this.level);
    return this.level;
  }

  private async shut(): Promise<void> {
    const level = this.level;
    this.level = undefined;
    await level?.close();
  }

  /**
   * Layers are published and recorded within one transaction, so whoever has the database open and sees a layer
   * without a record knows that its owner died in between.
   */
  private async sweepLayers(level: Level<string, unknown>): Promise<void> {
    const records = new Transaction(level);
    const known = new Set((await records.list('layer')).map((layer) => layer.key));
    const orphans = readdirSync(join(this.root, 'layers')).filter((name) => !known.has(name));
    if (orphans.length === 0) return;
    const staging = this.makeStaging();
    for (const name of orphans) renameSync(join(this.root, 'layers', name), join(staging, name));
    removeTree(staging);
  }
}

/** Opens the store at `root`, making its directories and removing what dead processes left. The caller closes it. */
export function openStore(root: string, options: StoreOptions = {}): Store {
  const store = new Store(root, options);
  try {
    // The layers hold setuid files and devices that only the containers may reach.
    for (const dir of [root, join(root, 'layers'), store.tmp]) mkdirSync(dir, { recursive: true, mode: 0o700 });
    sweepStaging(store.tmp);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StoreError(`${root}: cannot use this as the data root: ${code ?? message}; set LAMINA_ROOT to a directory that you may write`, error);
  }
  return store;
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
