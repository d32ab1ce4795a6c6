// Volumes in and out: a volume's content as an archive, another content in its place all at once, and copies. Called by engine/
// and content-child.ts.

import { chmodSync, closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { Rename } from '../native/syscalls.js';
import { removeTree } from '../process/remove-tree.js';
import { packTree } from '../tar/pack-tree.js';
import { CopyFailed, copyTree } from './copy-tree.js';
import { directorySource } from './source.js';
import { VolumeError } from './volume-error.js';

/** Beside `_data` while it is being replaced; what a dead process left there goes with the next import. */
const IMPORT = '.import';
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

/** The content of the volume at `path` (its `_data`) as a tar. Errors: PackError. */
export async function* exportVolume(path: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const fd = openSync(path, DIRECTORY);
  try {
    yield* packTree(fd, { top: '.', crossMounts: true, ...(signal ? { signal } : {}) });
  } finally {
    closeSync(fd);
  }
}

/** Puts content into the empty directory of an fd. */
export type Fill = (directory: number) => Promise<void> | void;

/** Fills the empty directory `path` and waits until all of it is on disk. Errors: VolumeError and those of `fill`. */
export async function fillDirectory(path: string, fill: Fill): Promise<void> {
  const fd = openSync(path, DIRECTORY);
  try {
    await fill(fd);
    must(sys.syncfs(fd), path, 'write it to disk');
  } finally {
    closeSync(fd);
  }
}

/**
 * Replaces the content of the volume at `path` (its `_data`) by what `fill` puts into an empty directory beside it, all of it on
 * disk by then: the two change places at once. `mustBeIdle` throws when something has the volume mounted; asked just before. One
 * at a time for each volume. Errors: VolumeError and those of `fill`; the volume has its old content then.
 */
export async function replaceContent(
  path: string,
  fill: (directory: string) => Promise<void>,
  mustBeIdle: () => void,
): Promise<void> {
  const fresh = join(dirname(path), IMPORT);
  const home = openSync(dirname(path), DIRECTORY);
  try {
    await removeTree(fresh);
    mkdirSync(fresh);
    chmodSync(fresh, 0o755);
    await fill(fresh);
    mustBeIdle();
    must(sys.renameat2(home, basename(path), home, IMPORT, Rename.EXCHANGE), path, 'put the new content in place');
  } finally {
    closeSync(home);
    // What stays goes with the next import, or when the daemon starts.
    await removeTree(fresh).catch(() => undefined);
  }
}

/** Removes what a killed import has left beside the volume at `path`. */
export function dropImport(path: string): Promise<void> {
  return removeTree(join(dirname(path), IMPORT));
}

function must(result: number, path: string, what: string): number {
  if (result >= 0) return result;
  throw new VolumeError(`volume ${path}: cannot ${what}: ${errnoText(result)}: free some space or check the data root`);
}

/** Copies the content of the volume at `from` into an empty directory; blocks are shared where the filesystem can. */
export function copyContent(from: string): Fill {
  return (directory) => {
    const source = openSync(from, DIRECTORY);
    try {
      copyTree(directorySource(source), directory, { lenient: process.geteuid?.() !== 0 });
    } catch (error) {
      if (error instanceof CopyFailed) must(error.errno, from, `copy ${Buffer.from(error.path, 'latin1').toString()}`);
      throw error;
    } finally {
      closeSync(source);
    }
  };
}
