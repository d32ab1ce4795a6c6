// What puts content into volumes, and may take minutes, done by a process of its own (content-child.ts). What a look at the
// volume can tell is told without one, and a few files are copied without one. Called by container/, engine/ and cli/.

import { readdirSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { XattrScheme } from '../layer/format.js';
import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { openInside } from '../native/open-inside.js';
import { AT_FDCWD, Open, Resolve } from '../native/syscalls.js';
import { runApart } from '../process/apart.js';
import { mergedSource } from './merged-source.js';
import { isUnsettled, populateFew, type Populated } from './populate.js';
import { VolumeError } from './volume-error.js';

export type ContentWork =
  | { readonly op: 'copy'; readonly from: string; readonly to: string }
  | {
      readonly op: 'populate';
      readonly path: string;
      readonly layers: readonly string[];
      readonly destination: string;
      readonly scheme: XattrScheme;
      readonly within: string;
    }
  | { readonly op: 'settle'; readonly path: string };

function run<T>(work: ContentWork, signal?: AbortSignal): Promise<T> {
  return runApart(join(__dirname, 'content-child.js'), work, signal ? { signal } : {});
}

/** Ends an interrupted fill of the volume at `path` (its `_data`), or waits for one that goes on. Errors: VolumeError. */
export async function settleVolume(path: string): Promise<void> {
  if (isUnsettled(readdirSync(dirname(path)))) await run({ op: 'settle', path });
}

interface Place {
  /** Below `_data`, without symlinks, as bytes; '' is all of it. */
  readonly within: string;
  readonly isEmpty: boolean;
}

/** What openat2 says of a path that leads to no directory of the volume. */
const ELSEWHERE: readonly number[] = [-errno.ENOENT, -errno.ENOTDIR, -errno.ELOOP, -errno.EXDEV];

/** The directory of a volume that `subpath` leads to without leaving it; undefined when there is none. Errors: VolumeError. */
function placeIn(path: string, subpath: string): Place | undefined {
  const bytes = (text: string): string => Buffer.from(text).toString('latin1');
  const base = sys.openat2(AT_FDCWD, bytes(path), Open.PATH | Open.DIRECTORY, 0, 0);
  if (base < 0) throw new VolumeError(`${path}: ${errnoText(base)}: check the data root`);
  const fd = openInside(base, bytes(subpath), Open.RDONLY | Open.DIRECTORY, 0, Resolve.BENEATH);
  try {
    if (ELSEWHERE.includes(fd)) return undefined;
    if (fd < 0) throw new VolumeError(`${path}/${subpath}: ${errnoText(fd)}: check the data root`);
    const [top = '', place = ''] = [base, fd].map((each) => readlinkSync(`/proc/self/fd/${each}`, 'latin1'));
    const listing = sys.readdir(fd);
    return { within: place.slice(top.length + 1), isEmpty: typeof listing !== 'number' && listing.names.length === 0 };
  } finally {
    sys.close(base);
    if (fd >= 0) sys.close(fd);
  }
}

/**
 * See `populate`; `subpath` leads to the directory of the volume that is filled, which must be there.
 * When the process that does it dies, the volume is settled before this rejects.
 */
export async function fillVolume(
  path: string,
  layers: readonly string[],
  destination: string,
  scheme: XattrScheme,
  subpath = '.',
): Promise<Populated> {
  // In this order: what is not empty because it is being filled is then seen to be.
  const place = placeIn(path, subpath);
  if (!place) return 'no source';
  const { within, isEmpty } = place;
  const isSettled = !isUnsettled(readdirSync(dirname(path)));
  if (!isEmpty && isSettled) return 'not empty';
  const source = mergedSource(layers, destination, scheme);
  try {
    if (!source.directory) return 'no source';
    const done = isEmpty && isSettled ? await populateFew(path, source.directory, within) : undefined;
    if (done) return done;
  } finally {
    source.close();
  }
  try {
    return await run({ op: 'populate', path, layers, destination, scheme, within });
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
