// What puts content into volumes, and may take minutes, done by a process of its own (content-child.ts). What a look at the
// volume can tell is told without one, and a few files are copied without one. Called by container/, engine/ and cli/.

import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { XattrScheme } from '../layer/format.js';
import { runApart } from '../process/apart.js';
import { mergedSource } from './merged-source.js';
import { isUnsettled, populateFew, type Populated } from './populate.js';

export type ContentWork =
  | { readonly op: 'copy'; readonly from: string; readonly to: string }
  | {
      readonly op: 'populate';
      readonly path: string;
      readonly layers: readonly string[];
      readonly destination: string;
      readonly scheme: XattrScheme;
    }
  | { readonly op: 'settle'; readonly path: string };

function run<T>(work: ContentWork, signal?: AbortSignal): Promise<T> {
  return runApart(join(__dirname, 'content-child.js'), work, signal ? { signal } : {});
}

/** Ends an interrupted fill of the volume at `path` (its `_data`), or waits for one that goes on. Errors: VolumeError. */
export async function settleVolume(path: string): Promise<void> {
  if (isUnsettled(readdirSync(dirname(path)))) await run({ op: 'settle', path });
}

/** See `populate`. When the process that does it dies, the volume is settled before this rejects. */
export async function fillVolume(
  path: string,
  layers: readonly string[],
  destination: string,
  scheme: XattrScheme,
): Promise<Populated> {
  // In this order: what is not empty because it is being filled is then seen to be.
  const isEmpty = readdirSync(path).length === 0;
  const isSettled = !isUnsettled(readdirSync(dirname(path)));
  if (!isEmpty && isSettled) return 'not empty';
  const source = mergedSource(layers, destination, scheme);
  try {
    if (!source.directory) return 'no source';
    const done = isEmpty && isSettled ? await populateFew(path, source.directory) : undefined;
    if (done) return done;
  } finally {
    source.close();
  }
  try {
    return await run({ op: 'populate', path, layers, destination, scheme });
  } catch (error) {
    await settleVolume(path).catch(() => undefined);
    throw error;
  }
}

/**
 * Copies the content of the volume at `from` into the empty directory `to`, and waits until it is on disk. Errors: VolumeError,
 * the signal's reason.
 */
export function copyVolume(from: string, to: string, signal: AbortSignal): Promise<void> {
  return run({ op: 'copy', from, to }, signal);
}
