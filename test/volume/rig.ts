// A data root with a store, and directories that stand for layers, in one temporary directory per test.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeNow } from '../../src/process/remove-tree.js';
import { openStore, type Store, volumeRecords } from '../../src/store/index.js';
import type { VolumeRecords } from '../../src/volume/named.js';
import { scratchDir } from '../support/paths.js';

export class VolumeRig {
  readonly dir = scratchDir();
  readonly root = join(this.dir, 'root');
  readonly #store: Store = openStore(this.root);

  readonly records: VolumeRecords = volumeRecords(this.#store);

  /** A layer made by a shell script that runs in it. */
  layer(name: string, script: string): string {
    const path = join(this.dir, name);
    mkdirSync(path);
    execFileSync('bash', ['-euc', `umask 022\n${script}`], { cwd: path });
    return path;
  }

  /** An empty volume outside the store: `_data` in a home of its own. */
  volume(name = 'vol'): string {
    const path = join(this.dir, name, '_data');
    mkdirSync(path, { recursive: true });
    return path;
  }

  async dispose(): Promise<void> {
    await this.#store.close();
    removeNow(this.dir);
  }
}

/** The message that `run` fails with; 'no error' when it does not. */
export async function messageOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return 'no error';
}
