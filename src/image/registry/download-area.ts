// Blobs on their way in: <root>/download/<owner>/<digest> while they are written and read, <root>/download/kept/<digest> when it was
// interrupted, for the next to go on from. A pull that was killed leaves its directory, which the next one takes over.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { abandonedStaging, makeStaging } from '../../process/staging.js';

const KEPT_MS = 7 * 24 * 3600 * 1000;

/** Keeps what killed pulls have left, and drops what nobody has come back for. `root` is the data root. */
export function settleDownloads(root: string): void {
  const top = join(root, 'download');
  const kept = join(top, 'kept');
  if (!existsSync(kept)) return;
  for (const name of abandonedStaging(top)) if (name !== 'kept') keepAll(join(top, name), kept);
  for (const name of readdirSync(kept)) dropOld(join(kept, name));
}

export class DownloadArea {
  private readonly kept: string;
  private readonly own: string;

  /** `root` is the data root. */
  constructor(root: string) {
    const top = join(root, 'download');
    this.kept = join(top, 'kept');
    mkdirSync(this.kept, { recursive: true, mode: 0o700 });
    settleDownloads(root);
    this.own = makeStaging(top);
  }

  /** Where the blob is to be; what an earlier pull had of it is there already. */
  claim(digest: string): string {
    const path = join(this.own, digest);
    if (!existsSync(path)) moved(join(this.kept, digest), path);
    return path;
  }

  /** `isSpent` drops the blobs, else what has arrived is kept. */
  async close(isSpent: boolean): Promise<void> {
    // A few large files: not for a process of its own, nor for this thread.
    if (isSpent) await rm(this.own, { recursive: true, force: true });
    else keepAll(this.own, this.kept);
  }
}

function keepAll(directory: string, kept: string): void {
  let names: string[] = [];
  try {
    names = readdirSync(directory);
  } catch (error) {
    // Another process takes it over at the same time.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  for (const name of names) {
    const path = join(directory, name);
    if (sizeOf(path) > sizeOf(join(kept, name))) moved(path, join(kept, name));
  }
  rmSync(directory, { recursive: true, force: true });
}

function dropOld(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat && Date.now() - stat.mtimeMs > KEPT_MS) rmSync(path, { force: true });
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? -1;
}

/** Another process may have been quicker. */
function moved(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
