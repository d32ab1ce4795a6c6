// Copies a stream into an unnamed file on the store's disk, decompressed, so that it can be read at offsets: the
// manifest of a `docker save` archive comes last. Used by archive.ts.

import { closeSync, createReadStream, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { CompressionError, decompressed, prefixed, sniff, SNIFF_BYTES } from './compression.js';
import { ImageError, MAKE_AGAIN } from './image-error.js';

/** What a user sees when `label` does not decompress. */
export function explain(label: string, error: unknown): unknown {
  if (!(error instanceof CompressionError)) return error;
  if (error.missingPackage === undefined) return new ImageError(label, error.message, MAKE_AGAIN, error);
  return new ImageError(label, error.message, `install the Debian package ${error.missingPackage}`, error);
}

function unnamedFile(staging: string): number {
  const path = join(staging, 'archive');
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return fd;
}

async function copy(
  label: string,
  input: AsyncIterator<Buffer>,
  sink: (piece: Buffer) => void,
  signal?: AbortSignal,
): Promise<void> {
  let head = Buffer.alloc(0);
  for (let next; head.length < SNIFF_BYTES && !(next = await input.next()).done;) head = Buffer.concat([head, next.value]);
  if (head.length === 0)
    throw new ImageError(label, 'there is nothing to read', 'pass an image archive with -i FILE or on standard input');
  const whole = prefixed(head, input);
  const kind = sniff(head);
  for await (const piece of kind === 'plain' ? whole : decompressed(kind, Readable.from(whole), signal)) {
    signal?.throwIfAborted();
    sink(piece);
  }
}

/** Copies `source` (a stream, or a descriptor, which is closed) to a new file; the caller closes the descriptor returned. */
export async function spool(
  label: string,
  source: NodeJS.ReadableStream | number,
  staging: string,
  signal?: AbortSignal,
): Promise<number> {
  const stream = (typeof source === 'number'
    ? createReadStream('', { fd: source, highWaterMark: 1 << 20 })
    : source) as unknown as Readable;
  // A stream that waits for its writer would not see the signal.
  const stop = (): unknown => stream.destroy(signal?.reason as Error);
  signal?.addEventListener('abort', stop);
  const input = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  const out = unnamedFile(staging);
  const sink = (piece: Buffer): void => {
    for (let at = 0; at < piece.length;) at += writeSync(out, piece, at);
  };
  try {
    await copy(label, input, sink, signal);
    return out;
  } catch (error) {
    closeSync(out);
    await input.return?.();
    throw explain(label, error);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
