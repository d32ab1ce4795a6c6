// Typed reads and changes of records, one atomic batch per change. Made by `Database`; everything else holds it only inside
// `Store.transaction`.

import type { Level } from 'level';
import { type Operation, appendOverflow } from './overflow.js';
import type { Change, Table, Tables } from './records.js';
import { StoreError } from './store-error.js';

/** Reads and changes of records while the database is this process's alone. Valid only inside `Store.transaction`. */
export class Transaction {
  private hasFailed = false;

  /** `overflow` is the directory of the overflow log where `level` is but a copy of a database whose disk is full. */
  constructor(
    private readonly level: Level<string, unknown>,
    private readonly overflow: string | undefined,
  ) {}

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
   * records is refused: what room there is is for removing.
   */
  async commit(changes: readonly Change[]): Promise<void> {
    const batch = changes.map(({ table, key, value }): Operation =>
      value === undefined ? { type: 'del', key: `${table}!${key}` } : { type: 'put', key: `${table}!${key}`, value: value },
    );
    if (this.hasFailed) throw new Error('a transaction goes no further when a commit has failed');
    if (this.overflow !== undefined && ((await this.adds(changes)) || !appendOverflow(this.overflow, batch)))
      throw new StoreError(`${this.overflow}: no space left on device; remove something first`);
    this.hasFailed = true;
    await this.level.batch(batch, { sync: this.overflow === undefined });
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
