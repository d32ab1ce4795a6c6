// Downloads that several pulls may wait for: a blob of a repository comes once, for as long as one of them wants it, and is there
// until the last is done with it. Used by layer-downloads.ts.

import { DownloadArea } from './download-area.js';
import { type Download, downloadBlob } from './download.js';

export type SharedSource = Pick<Download, 'client' | 'reference' | 'blob'> & {
  /** The data root. */
  readonly root: string;
};

type Progress = Download['progress'];

/** By data root, repository and digest: whoever has read a manifest of the repository may have the blobs that it names. */
const shared = new Map<string, SharedDownload>();

class SharedDownload {
  /** The blob's file, when it is complete. */
  readonly path: Promise<string>;
  readonly #stop = new AbortController();
  readonly #area: DownloadArea;
  readonly #users = new Set<Progress>();
  #current = 0;
  #isSpent = false;

  constructor(
    private readonly key: string,
    source: SharedSource,
  ) {
    this.#area = new DownloadArea(source.root);
    this.path = this.#run(source);
    // A failed one is not for those who come later.
    this.path.catch(() => this.#forget());
  }

  join(progress: Progress): void {
    this.#users.add(progress);
    if (this.#current > 0) progress(this.#current);
  }

  async leave(progress: Progress, isSpent: boolean): Promise<void> {
    this.#isSpent ||= isSpent;
    if (!this.#users.delete(progress) || this.#users.size > 0) return;
    this.#forget();
    this.#stop.abort();
    await this.path.catch(() => undefined);
    await this.#area.close(this.#isSpent);
  }

  #forget(): void {
    if (shared.get(this.key) === this) shared.delete(this.key);
  }

  async #run({ client, reference, blob }: SharedSource): Promise<string> {
    const path = this.#area.claim(blob.digest);
    const { signal } = this.#stop;
    // Whoever began may be the first to go.
    const own = client.fork(signal);
    const progress = (current: number): void => {
      this.#current = current;
      for (const each of this.#users) each(current);
    };
    try {
      await downloadBlob({ client: own, reference, blob, path, signal, progress });
      return path;
    } finally {
      own.close();
    }
  }
}

/** One pull's part in the download of a blob. */
export class DownloadShare {
  readonly #download: SharedDownload;

  /** Begins the download unless another pull has. `progress` hears how many bytes there are. */
  constructor(
    source: SharedSource,
    private readonly progress: Progress,
  ) {
    const key = [source.root, source.reference.repository, source.blob.digest, source.blob.size].join('\n');
    this.#download = shared.get(key) ?? new SharedDownload(key, source);
    shared.set(key, this.#download);
    this.#download.join(progress);
  }

  /** The blob's file, which stays until `leave`. Errors: those of `downloadBlob`, the signal's reason. */
  path(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(signal.reason as Error);
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop);
      this.#download.path.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }

  /** Ends the download when nobody else waits for it; what has arrived is kept for the next pull unless it is spent. */
  leave(isSpent: boolean): Promise<void> {
    return this.#download.leave(this.progress, isSpent);
  }
}
