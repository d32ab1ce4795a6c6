// The database of a full disk: LevelDB cannot be opened without making files, so a copy of it in the run directory, which is memory,
// is opened instead. Changes to the copy are lost; `Transaction` writes them to the overflow log. Used by `openDatabase`.

import { copyFileSync, existsSync, readdirSync, statSync, statfsSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Level } from 'level';
import { makeChosenDirectory } from '../native/make-directories.js';
import { removeNow } from '../process/remove-tree.js';
import { runDirectory } from '../process/run-directory.js';
import { makeStaging, sweepStaging } from '../process/staging.js';
import { OVERFLOW_BYTES, readOverflow } from './overflow.js';

/** Opening makes a log, a table, a manifest and CURRENT. */
const FILES = 8;

/** Whether the disk of the database at `location` has too little room to use it there. */
export function lacksRoom(location: string): boolean {
  const { bavail, bsize, files, ffree } = statfsSync(dirname(location)); // it may not be there yet
  // Some filesystems do not count files.
  return bavail * bsize < OVERFLOW_BYTES || (files > 0 && ffree < FILES);
}

/** What LevelDB keeps its records in. */
function ownFiles(location: string): string[] {
  return readdirSync(location).filter((name) => /^(CURRENT|MANIFEST-\d+|\d+\.(log|ldb|sst))$/.test(name));
}

/** Its files and their sizes: it makes new ones whenever it is opened, and lengthens them. */
function fingerprint(location: string): string {
  return ownFiles(location)
    .map((name) => `${name} ${statSync(join(location, name)).size}\n`)
    .join('');
}

/** Links what is shared: the lock, and tables, which are never written again. */
function copy(location: string, directory: string): void {
  symlinkSync(join(location, 'LOCK'), join(directory, 'LOCK'));
  for (const name of ownFiles(location)) {
    const put = /\.(ldb|sst)$/.test(name) ? symlinkSync : copyFileSync;
    put(join(location, name), join(directory, name));
  }
}

export interface Standby {
  readonly level: Level<string, unknown>;
  /** Closes the copy and removes it. */
  close(): Promise<void>;
}

const place = (): string => join(runDirectory(), 'standby');

/** Removes the copies of processes that have died. */
export function sweepStandby(): void {
  if (existsSync(place())) sweepStaging(place());
}

/**
 * Opens a copy of the database at `location` with the changes of its overflow log, holding LevelDB's lock of the database itself.
 * Returns undefined when it was written meanwhile. Errors: those of `Level.open`, LEVEL_LOCKED among them, and of the copying.
 */
export async function openStandby(location: string): Promise<Standby | undefined> {
  makeChosenDirectory(place(), 0o700, 'LAMINA_RUN');
  sweepStandby();
  const directory = makeStaging(place());
  const level = new Level<string, unknown>(directory, { valueEncoding: 'json', createIfMissing: false });
  const close = async (): Promise<void> => {
    await level.close();
    removeNow(directory);
  };
  try {
    const before = fingerprint(location);
    copy(location, directory);
    await level.open();
    if (fingerprint(location) === before) {
      await level.batch(readOverflow(location));
      return { level, close };
    }
  } catch (error) {
    await close();
    // A file that was there a moment ago.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  await close();
  return undefined;
}
