// Streams one layer of an archive through its decompressor into a tar sink, hashing what is read and what comes out.
// Each byte is read once. Called by layer-unpack.ts.

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Piece } from './archive.js';
import { readAt } from './archive.js';
import { decompressed, sniff, SNIFF_BYTES } from './compression.js';
import type { Compression } from './compression.js';
import { ImageError, MAKE_AGAIN } from './image-error.js';
import { explain } from './spool.js';
import { TarFormatError } from '../tar/tar-header.js';
import { TarReader } from '../tar/tar-reader.js';
import type { TarSink } from '../tar/tar-reader.js';
import { TarSplitWriter } from './tar-split.js';

const CHUNK = 1 << 18;

/** A layer of an archive. */
export interface StoredLayer {
  readonly piece: Piece;
  /** Expected hex sha256 of the stored bytes, if known, and of the uncompressed tar. */
  readonly digest?: string;
  readonly diffId: string;
}

export interface LayerOptions {
  readonly label: string;
  /** Where to record how to build the tar again. */
  readonly split: string;
  /** Bytes of the archive read so far. */
  readonly progress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

class Source {
  private at = 0;
  constructor(
    private readonly piece: Piece,
    private readonly hash: Hash | undefined,
    private readonly options: LayerOptions,
  ) {}

  /** The next bytes, in `reuse` if given; undefined at the end. */
  next(reuse?: Buffer): Buffer | undefined {
    const { piece } = this;
    const { label, signal, progress } = this.options;
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

async function pumpPlain(source: Source, sink: (chunk: Buffer) => void): Promise<void> {
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (let chunk = source.next(buffer); chunk; chunk = source.next(buffer)) {
    sink(chunk);
    await breathe();
  }
}

export function compressionOf(piece: Piece): Compression {
  const start = Buffer.alloc(SNIFF_BYTES);
  return sniff(start.subarray(0, readAt(piece.fd, start, Math.min(SNIFF_BYTES, piece.size), piece.offset)));
}

/** Hands the tar that `feed` brings to `sink` and records it. Returns its hex sha256. Errors: ImageError, those of `feed` and the sink. */
async function takeTar(
  { label, split: path }: LayerOptions,
  sink: TarSink,
  feed: (take: (chunk: Buffer) => void) => Promise<void>,
): Promise<string> {
  const split = new TarSplitWriter(path, sink);
  const reader = new TarReader(split);
  const hash = createHash('sha256');
  try {
    await feed((chunk) => {
      hash.update(chunk);
      split.through(chunk, (each) => reader.write(each));
    });
    reader.finish();
    await split.finish();
  } catch (error) {
    split.abort();
    if (!(error instanceof TarFormatError)) throw error;
    throw new ImageError(label, `the tar is broken at byte ${reader.position}: ${error.message}`, MAKE_AGAIN, error);
  }
  return hash.digest('hex');
}

/** Feeds a plain tar to `sink`. Returns its hex sha256. Errors: ImageError, those of the tar's source and of the sink. */
export function streamTar(tar: AsyncIterable<Buffer>, options: LayerOptions, sink: TarSink): Promise<string> {
  return takeTar(options, sink, async (take) => {
    for await (const chunk of tar) take(chunk);
  });
}

/** Feeds the layer's tar to `sink` and checks both digests. Errors: ImageError, those of the sink. */
export async function streamLayer({ piece, digest, diffId }: StoredLayer, options: LayerOptions, sink: TarSink): Promise<string> {
  const { label, signal } = options;
  const kind = compressionOf(piece);
  const stored = kind === 'plain' || digest === undefined ? undefined : createHash('sha256');
  const source = new Source(piece, stored, options);
  const found = await takeTar(options, sink, async (take) => {
    if (kind === 'plain') return pumpPlain(source, take);
    const input = Readable.from(source.chunks(), { objectMode: false, highWaterMark: CHUNK });
    try {
      for await (const chunk of decompressed(kind, input, signal)) take(chunk);
    } catch (error) {
      throw explain(label, error);
    }
    // A decompressor may stop before the end; the digest is of all bytes.
    for (let chunk = source.next(); chunk; chunk = source.next());
  });
  if (digest !== undefined) expect(label, 'digest', stored?.digest('hex') ?? found, digest);
  expect(label, 'uncompressed digest', found, diffId);
  return found;
}
