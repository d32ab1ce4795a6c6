// The host path behind a bind volume: found, made when `-v` names what is not there yet, and checked before anything is
// mounted. Called by cli/ and container/.

import { accessSync, chmodSync, constants, lstatSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectories } from '../native/make-directories.js';
import { VolumeError, VolumeSpecError } from './volume-error.js';

/** Cause and next step of an errno. */
const EXPLAINED: Readonly<Record<string, string>> = {
  EACCES: 'permission denied: use a path that you may read, or run as its owner',
  EPERM: 'operation not permitted: use a path that you may read, or run as its owner',
  ENOENT: 'no such file or directory: nothing can be made there, check the path',
  ENOTDIR: 'not a directory: a file is where a directory must be, check the path',
  EEXIST: 'a symbolic link that leads nowhere is there: make its target, or check the path',
  ENOTCONN: 'transport endpoint is not connected: the server of a mount there died, unmount that first',
  ENOSPC: 'no space left on device: free some space',
  EDQUOT: 'disk quota exceeded: free some space',
  EROFS: 'read-only file system: check the path',
  ELOOP: 'too many levels of symbolic links: check the path',
  ENAMETOOLONG: 'file name too long: check the path',
};

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

function explain(what: string, error: unknown): VolumeError {
  return new VolumeError(`${what}: ${EXPLAINED[codeOf(error)] ?? `${(error as Error).message}: check the path`}`, error);
}

/** Makes a directory and those above it, 0755 whatever the umask is. */
function makeDirectory(path: string): void {
  // What leads nowhere would be a directory made in a place that nobody named.
  if (lstatSync(path, { throwIfNoEntry: false })) throw Object.assign(new Error('dangling link'), { code: 'EEXIST' });
  const first = makeDirectories(path, 0o755);
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) chmodSync(made, 0o755);
}

/**
 * The path to mount: a directory, or a single file, socket or device; symlinks are followed. A missing one becomes a
 * directory when `create` (Docker: `-v` does, `--mount` does not).
 * Errors: VolumeSpecError, with Docker's words, when it is missing and not to be made; VolumeError when it cannot be used.
 */
export function openSource(path: string, create: boolean): string {
  try {
    const isDirectory = statSync(path).isDirectory();
    accessSync(path, isDirectory ? constants.R_OK | constants.X_OK : constants.R_OK);
    return path;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && !(create && codeOf(error) === 'ENOTDIR')) throw explain(`volume source ${path}`, error);
  }
  if (!create) throw new VolumeSpecError(`invalid mount config for type "bind": bind source path does not exist: ${path}`);
  try {
    makeDirectory(path);
    return path;
  } catch (error) {
    throw explain(`error while creating mount source path '${path}'`, error);
  }
}
