// Streams one layer of an archive through its decompressor into a tar sink, hashing what is read and what comes out.
// Each byte is read once. Called by load.ts.

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Piece } from './archive.js';
import { readAt } from './archive.js';
import { decompress, sniff, SNIFF_BYTES } from './compression.js';
import type { Compression } from './compression.js';
import { ImageError, MAKE_AGAIN } from './image-error.js';
import { explain } from './spool.js';
import { TarFormatError } from '../tar/tar-header.js';
import { TarReader } from '../tar/tar-reader.js';
import type { TarSink } from '../tar/tar-reader.js';
import { TarSplitWriter } from './tar-split.js';

const CHUNK = 1 << 18;

export interface LayerStream {
  readonly piece: Piece;
  /** Expected hex sha256 of the stored bytes, if known, and of the uncompressed tar. */
  readonly digest?: string;
  readonly diffId: string;
  readonly label: string;
  /** Bytes of the archive read so far. */
  readonly progress?: (done: number) => void;
  readonly signal?: AbortSignal;
  /** Where to record how to build the tar again. */
  readonly split?: string;
}

class Source {
  private at = 0;
  constructor(
    private readonly layer: LayerStream,
    private readonly hash: Hash | undefined,
  ) {}

  /** The next bytes, in `reuse` if given; undefined at the end. */
  next(reuse?: Buffer): Buffer | undefined {
    const { piece, label, signal, progress } = this.layer;
    signal?.throwIfAborted();
    const want = Math.min(CHUNK, piece.size - this.at);
    if (want === 0) return undefined;
    const buffer = reuse ?? Buffer.allocUnsafe(want);
    const got = readAt(piece.fd, buffer, want, piece.offset + this.at);
    if (got < want) throw new ImageError(label, `unexpected end after ${this.at + got} of ${piece.size} bytes`, MAKE_AGAIN);
    const chunk = buffer.subarray(0, got);
    this.at += got;
    this.hash?.update(chunk);
    progress?.(this.at);
    return chunk;
  }

  *chunks(): Generator<Buffer> {
    for (let chunk = this.next(); chunk; chunk = this.next()) yield chunk;
  }
}

function expect(label: string, what: string, found: string, wanted: string): void {
  if (found !== wanted) throw new ImageError(label, `its ${what} is sha256:${found}, expected sha256:${wanted}`, MAKE_AGAIN);
}

async function pumpPlain(layer: LayerStream, sink: (chunk: Buffer) => void): Promise<void> {
  const source = new Source(layer, undefined);
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (let chunk = source.next(buffer); chunk; chunk = source.next(buffer)) {
    sink(chunk);
    await breathe();
  }
}

function compressionOf({ piece }: LayerStream): Compression {
  const start = Buffer.alloc(SNIFF_BYTES);
  return sniff(start.subarray(0, readAt(piece.fd, start, Math.min(SNIFF_BYTES, piece.size), piece.offset)));
}

/** Feeds the layer's tar to `sink` and checks both digests. Throws `ImageError`, and what the sink throws. */
export async function streamLayer(layer: LayerStream, sink: TarSink): Promise<void> {
  const split = layer.split === undefined ? undefined : new TarSplitWriter(layer.split, sink);
  const reader = new TarReader(split ?? sink);
  const kind = compressionOf(layer);
  const plain = createHash('sha256');
  const stored = kind === 'plain' || layer.digest === undefined ? undefined : createHash('sha256');
  const take = (chunk: Buffer): void => {
    plain.update(chunk);
    if (split) split.through(chunk, (each) => reader.write(each));
    else reader.write(chunk);
  };
  try {
    if (kind === 'plain') await pumpPlain(layer, take);
    else {
      const source = new Source(layer, stored);
      await decompress(kind, Readable.from(source.chunks(), { objectMode: false, highWaterMark: CHUNK }), take, layer.signal);
      // A decompressor may stop before the end; the digest is of all bytes.
      for (let chunk = source.next(); chunk; chunk = source.next());
    }
    reader.finish();
    await split?.finish();
  } catch (error) {
    split?.abort();
    if (!(error instanceof TarFormatError)) throw explain(layer.label, error);
    throw new ImageError(layer.label, `the tar is broken at byte ${reader.position}: ${error.message}`, MAKE_AGAIN, error);
  }
  const found = plain.digest('hex');
  if (layer.digest !== undefined) expect(layer.label, 'digest', stored?.digest('hex') ?? found, layer.digest);
  expect(layer.label, 'uncompressed digest', found, layer.diffId);
}
