// One blob of a registry into a file: goes on where an earlier try ended, checks size and digest. Used by
// shared-downloads.ts.

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Descriptor } from '../descriptor.js';
import type { Reference } from '../reference.js';
import { RETRIES } from './client.js';
import type { RegistryClient } from './client.js';
import { refusal } from './manifest.js';
import { RegistryError } from './registry-error.js';
import { discard, readRefusal } from './transport.js';
import type { Reply } from './transport.js';

export interface Download {
  readonly client: RegistryClient;
  readonly reference: Reference;
  readonly blob: Descriptor;
  /** May exist, with the beginning of the blob. */
  readonly path: string;
  readonly signal?: AbortSignal;
  /** Bytes of the blob that are there. */
  readonly progress: (current: number) => void;
}

/** Bytes that make a connection worth another. */
const MIN_PROGRESS = 16 << 10;

class BlobWriter {
  private hash: Hash = createHash('sha256');
  at = 0;

  constructor(
    private readonly file: FileHandle,
    private readonly download: Download,
  ) {}

  /** Counts in what the file holds from before. */
  async readExisting(): Promise<void> {
    const { path, blob, signal } = this.download;
    const { size } = await this.file.stat();
    if (size > blob.size) return this.restart();
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>) {
      this.hash.update(chunk);
      this.at += chunk.length;
    }
  }

  async restart(): Promise<void> {
    await this.file.truncate(0);
    this.hash = createHash('sha256');
    this.at = 0;
  }

  async take(chunk: Buffer): Promise<void> {
    const { blob, progress } = this.download;
    if (this.at + chunk.length > blob.size)
      throw new RegistryError('broken', `the registry sends more than the ${blob.size} bytes of sha256:${blob.digest}`);
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await this.file.write(chunk, done, chunk.length - done, this.at);
      this.hash.update(chunk.subarray(done, done + bytesWritten));
      done += bytesWritten;
      this.at += bytesWritten;
    }
    progress(this.at);
  }

  get isComplete(): boolean {
    return this.at === this.download.blob.size;
  }

  digest(): string {
    return this.hash.copy().digest('hex');
  }
}

/** Whether the answer goes on from `at`; false when it starts anew. */
function continues(reply: Reply, at: number): boolean {
  if (reply.status !== 206) return false;
  return Number(/^bytes (\d+)-/.exec(reply.header('content-range') ?? '')?.[1] ?? NaN) === at;
}

async function transfer({ client, reference, blob }: Download, writer: BlobWriter): Promise<void> {
  const headers = writer.at > 0 ? { Range: `bytes=${writer.at}-` } : undefined;
  const reply = await client.request(`blobs/sha256:${blob.digest}`, { method: 'GET', headers });
  if (reply.status === 416 || (reply.status === 206 && !continues(reply, writer.at))) {
    discard(reply);
    return writer.restart();
  }
  if (reply.status !== 200 && reply.status !== 206)
    throw refusal(
      { status: reply.status, url: reply.url, data: await readRefusal(reply) },
      reference,
      `blob sha256:${blob.digest} not found: blob unknown to registry`,
    );
  if (reply.status === 200 && writer.at > 0) await writer.restart();
  try {
    for await (const chunk of reply.body as AsyncIterable<Buffer>) await writer.take(chunk);
  } finally {
    reply.body.destroy();
  }
}

/** Downloads until it is all there and right. Errors: RegistryError, the signal's reason, those of the disk. */
export async function downloadBlob(download: Download): Promise<void> {
  const { blob, client, path, signal } = download;
  const file = await open(path, 'a+', 0o600).then(async (created) => {
    await created.close();
    return open(path, 'r+');
  });
  try {
    const writer = new BlobWriter(file, download);
    await writer.readExisting();
    let mismatches = 0;
    let furthest = writer.at;
    for (let failures = 0; ;) {
      let failure: unknown;
      if (!writer.isComplete) failure = await transfer(download, writer).catch((error: unknown) => error ?? new Error('failed'));
      signal?.throwIfAborted();
      if (isFinal(failure)) throw failure;
      if (writer.isComplete) {
        if (writer.digest() === blob.digest) return;
        const found = writer.digest();
        // Once from the start: what was kept may be damaged.
        await writer.restart();
        if (++mismatches > 1)
          throw new RegistryError('broken', `the registry sends sha256:${found} for the blob sha256:${blob.digest}`);
        continue;
      }
      // Neither drops nor the same part again are progress.
      const isProgress = writer.at >= furthest + MIN_PROGRESS;
      furthest = Math.max(furthest, writer.at);
      failures = isProgress ? 1 : failures + 1;
      if (failures > RETRIES)
        throw new RegistryError(
          'unreachable',
          `the download of sha256:${blob.digest} broke off ${failures} times; try again later`,
          failure,
        );
      await client.backOff(failures);
    }
  } finally {
    await file.close();
  }
}

/** Errors of the registry and of the disk; those of the connection may pass. */
function isFinal(error: unknown): boolean {
  if (error === undefined) return false;
  const { syscall, code } = error as NodeJS.ErrnoException;
  return (
    error instanceof RegistryError ||
    (syscall === 'write' && code !== 'EPIPE' && code !== 'ECONNRESET') ||
    syscall === 'ftruncate'
  );
}
