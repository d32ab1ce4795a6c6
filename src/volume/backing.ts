// The host path behind a bind volume, made when `-v` names what is not there yet. Called by cli/ before a mount.

import { mkdirSync, statSync } from 'node:fs';
import { VolumeError, VolumeSpecError } from './volume-error.js';

/**
 * The path to mount: a directory, or a single file. A missing one becomes a directory when `create`.
 * Errors: VolumeSpecError, with Docker's words.
 */
export function openSource(path: string, create: boolean): string {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat) return path;
    if (!create) throw new VolumeSpecError(`invalid mount config for type "bind": bind source path does not exist: ${path}`);
    mkdirSync(path, { recursive: true, mode: 0o755 });
    return path;
  } catch (cause) {
    if (cause instanceof VolumeSpecError) throw cause;
    const reason = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? 'a symlink that leads nowhere is there' : (cause as Error).message;
    throw new VolumeError(`error while creating mount source path '${path}': ${reason}: create it, or check the path`, cause);
  }
}
