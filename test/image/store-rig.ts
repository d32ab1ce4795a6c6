// A store in a temporary directory for one test, and what must be true of it after a failed load.

import { existsSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { loadImage } from '../../src/image/index.js';
import type { Loaded, LoadOptions } from '../../src/image/index.js';
import { openStore } from '../../src/store/index.js';
import type { Store } from '../../src/store/index.js';
import { scratchDir } from '../support/paths.js';
import { Readable } from 'node:stream';

export class StoreRig {
  readonly dir = scratchDir();
  readonly root = join(this.dir, 'root');
  readonly store: Store = openStore(this.root);

  /** Loads bytes as from standard input. */
  load(bytes: Buffer, options?: LoadOptions): Promise<Loaded> {
    return loadImage(this.store, Readable.from([bytes]), options);
  }

  /** What is on disk and in the database beyond an empty store: nothing after a failed load. */
  async residue(): Promise<string[]> {
    const found: string[] = [];
    await this.store.transaction(async (records) => {
      for (const table of ['image', 'reference', 'layer'] as const)
        for (const record of await records.list(table)) found.push(JSON.stringify(record));
    });
    // What was swept is gone by then.
    await this.store.close();
    return [...found, ...readdirSync(join(this.root, 'layers')), ...readdirSync(join(this.root, 'tmp'))];
  }

  async dispose(): Promise<void> {
    await this.store.close();
    if (existsSync(this.dir)) rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The message of the error that `run` fails with; throws when it succeeds. */
export async function failure(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  throw new Error('it succeeded');
}

function isCounted(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) !== '/dev/null';
  } catch {
    return false; // that of the listing
  }
}

/** How many descriptors this process has open, but for /dev/null: libuv keeps one in reserve from its first stream on. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').filter(isCounted).length;
}
