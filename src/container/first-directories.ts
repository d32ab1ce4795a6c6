// Directories that a container has from its creation on, before anything runs in it, as Docker's: the working directory, and in a
// step of a build the places of the volumes. Used by create.ts.

import { cleanPath } from '../volume/clean-path.js';
import { mergedSource } from '../volume/merged-source.js';
import { VolumeSpecError } from '../volume/volume-error.js';
import type { ContainerRecord } from '../store/index.js';
import { makeInRoot } from './archive.js';
import type { Context } from './context.js';
import { failure } from './errors.js';

/** Whether the image has the directory. Errors: 500, Docker's words, for a file there. */
function isThere(context: Context, { layers }: ContainerRecord, path: string): boolean {
  try {
    const source = mergedSource(layers, path, context.scheme);
    source.close();
    return source.directory !== undefined;
  } catch (error) {
    if (error instanceof VolumeSpecError) throw failure(`Cannot mkdir: ${path} is not a directory`, error);
    throw error;
  }
}

/** Makes what the image lacks of them. Whether there was any. Errors: EngineError, SupervisorError. */
export async function makeFirstDirectories(context: Context, record: ContainerRecord, isStep: boolean): Promise<boolean> {
  const { WorkingDir: cwd, Volumes: volumes } = record.config;
  const wanted = [...(cwd ? [cwd] : []), ...(isStep ? Object.keys(volumes ?? {}) : [])].map(cleanPath);
  const missing = [...new Set(wanted)].filter((path) => path !== '/' && !isThere(context, record, path));
  if (missing.length > 0) await makeInRoot(context, record, missing);
  return missing.length > 0;
}
