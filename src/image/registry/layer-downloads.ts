// The layers of one pull: three downloads at a time, each begun before the unpacker asks for it, and what to tell of them.
// Used by pull.ts.

import { closeSync, openSync } from 'node:fs';
import type { Piece } from '../archive.js';
import type { Descriptor } from '../descriptor.js';
import type { Reference } from '../reference.js';
import type { RegistryClient } from './client.js';
import { DownloadShare } from './shared-downloads.js';

/** A line of Docker's progress stream. */
export interface TransferEvent {
  /** First 12 digits of the layer's digest; absent for lines about the whole. */
  readonly id?: string;
  readonly status: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

export type Report = (event: TransferEvent) => void;

const AT_ONCE = 3;
const REPORT_MS = 100;

export const shortId = (digest: string): string => digest.slice(0, 12);

/** Reports at most ten times a second, and the end. */
export function paced(report: (current: number) => void, total: number): (current: number) => void {
  let last = 0;
  return (current) => {
    const now = Date.now();
    if (now - last < REPORT_MS && current < total) return;
    last = now;
    report(current);
  };
}

export class LayerDownloads {
  private readonly pieces = new Map<string, Promise<Piece>>();
  private readonly descriptors: number[] = [];
  private readonly shares: DownloadShare[] = [];
  private readonly waiting: (() => void)[] = [];
  private running = 0;

  constructor(
    private readonly source: { readonly client: RegistryClient; readonly reference: Reference; readonly root: string },
    private readonly stop: AbortController,
    private readonly signal: AbortSignal,
    private readonly report: Report,
  ) {}

  /** Begins the download, once; the file when it is complete. A failure stops all others. */
  get(blob: Descriptor): Promise<Piece> {
    const known = this.pieces.get(blob.digest);
    if (known) return known;
    const piece = this.run(blob);
    // Who asks for it later sees the failure then.
    piece.catch((error: unknown) => this.stop.abort(error));
    this.pieces.set(blob.digest, piece);
    return piece;
  }

  /** Ends the downloads that nobody else waits for and closes all files; `isSpent` drops them, else they are for the next pull. */
  async close(isSpent: boolean): Promise<void> {
    this.stop.abort();
    await Promise.allSettled(this.pieces.values());
    for (const fd of this.descriptors.splice(0)) closeSync(fd);
    await Promise.all(this.shares.splice(0).map((share) => share.leave(isSpent)));
  }

  private async run(blob: Descriptor): Promise<Piece> {
    const id = shortId(blob.digest);
    this.report({ id, status: 'Pulling fs layer', progressDetail: {} });
    if (this.running === AT_ONCE) {
      this.report({ id, status: 'Waiting', progressDetail: {} });
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    } else {
      this.running++;
    }
    try {
      this.signal.throwIfAborted();
      const progress = paced(
        (current) => this.report({ id, status: 'Downloading', progressDetail: { current, total: blob.size } }),
        blob.size,
      );
      const share = new DownloadShare({ ...this.source, blob }, progress);
      this.shares.push(share);
      const path = await share.path(this.signal);
      this.report({ id, status: 'Download complete', progressDetail: {} });
      const fd = openSync(path, 'r');
      this.descriptors.push(fd);
      return { fd, offset: 0, size: blob.size };
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }
}
