// Volumes in and out: a volume's content as an archive, an archive as a volume's content all at once, and copies. Called by
// engine/.

import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { Rename } from '../native/syscalls.js';
import { packTree } from '../tar/pack-tree.js';
import { CopyFailed, copyTree } from './copy-tree.js';
import { removeBelow } from './open-below.js';
import { readAttributes, writeAttributes } from './attributes.js';
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

/**
 * Replaces the content of the volume at `path` (its `_data`) by what `fill` puts into an empty directory beside it: the two
 * directories change places at once, when all is on disk. The caller has made sure that nothing has the volume mounted.
 * Errors: VolumeError and those of `fill`; the volume has its old content then.
 */
export async function replaceContent(path: string, fill: (directory: number) => Promise<void>): Promise<void> {
  const home = openSync(dirname(path), DIRECTORY);
  try {
    must(removeBelow(home, IMPORT), path, 'remove what an import left');
    mkdirSync(join(dirname(path), IMPORT), { mode: 0o755 });
    const fresh = openSync(join(dirname(path), IMPORT), DIRECTORY);
    try {
      await fill(fresh);
      must(sys.syncfs(fresh), path, 'write it to disk');
      must(sys.renameat2(home, basename(path), home, IMPORT, Rename.EXCHANGE), path, 'put the new content in place');
    } finally {
      closeSync(fresh);
    }
  } finally {
    removeBelow(home, IMPORT);
    closeSync(home);
  }
}

function must(result: number, path: string, what: string): number {
  if (result >= 0) return result;
  throw new VolumeError(`volume ${path}: cannot ${what}: ${errnoText(result)}: free some space or check the data root`);
}

/** Copies the content of one volume over that of another; blocks are shared where the filesystem can. Errors: VolumeError. */
export async function cloneContent(from: string, to: string): Promise<void> {
  const source = openSync(from, DIRECTORY);
  try {
    await replaceContent(to, (directory) => {
      try {
        copyTree(directorySource(source), directory, { lenient: process.geteuid?.() !== 0 });
      } catch (error) {
        if (error instanceof CopyFailed) must(error.errno, from, `copy ${Buffer.from(error.path, 'latin1').toString()}`);
        throw error;
      }
      const attributes = readAttributes(source, '', (each) => each);
      if (typeof attributes !== 'number') writeAttributes(directory, '', attributes, process.geteuid?.() !== 0);
      return Promise.resolve();
    });
  } finally {
    closeSync(source);
  }
}
