// Makes a directory and those above it. Used for every directory whose place a user may choose: mkdirSync's own `recursive` never
// returns below /proc, where mkdir(2) gives ENOENT although the parent is there.

import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { errnoText } from '../abi/errno.js';

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Whether a directory is there. Errors: ENOTDIR and what stat(2) gives, but ENOENT. */
function isThere(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat && !stat.isDirectory())
    throw Object.assign(new Error(`${path}: not a directory`), { code: 'ENOTDIR', errno: -20, path });
  return stat !== undefined;
}

/**
 * Makes the directory `path`, and those above it that are missing, with `mode` (less the umask). Returns the first that was made,
 * undefined when all were there. Errors: those of stat(2) and mkdir(2), with the `path` that could not be made.
 */
export function makeDirectories(path: string, mode: number): string | undefined {
  const missing: string[] = [];
  for (let at = resolve(path); !isThere(at); at = dirname(at)) missing.unshift(at);
  let first: string | undefined;
  for (const each of missing) {
    try {
      mkdirSync(each, { mode });
      first ??= each;
    } catch (error) {
      // Somebody else has made it meanwhile.
      if (codeOf(error) !== 'EEXIST' || !isThere(each)) throw error;
    }
  }
  return first;
}

/** A directory that a user has chosen cannot be made: which, why, and where to choose another. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
}

/** The same for a directory that `setting` names. Errors: DirectoryError. */
export function makeChosenDirectory(path: string, mode: number, setting: string): void {
  try {
    makeDirectories(path, mode);
  } catch (error) {
    const { errno: number = 0, path: where = path } = error as NodeJS.ErrnoException;
    const at = where === resolve(path) ? '' : ` (${where})`;
    throw new DirectoryError(`${path}: the directory cannot be made: ${errnoText(number)}${at}: choose another by ${setting}`);
  }
}
