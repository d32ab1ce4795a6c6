// Which compression a stream has, told by its first bytes (media types and file names lie), and how to undo it:
// gzip by node:zlib, the others by Debian's zstd, xz and bzip2. Used for archives and for layers.

import { spawn } from 'node:child_process';
import { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

export type Compression = 'plain' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** Bytes that `sniff` wants to see. */
export const SNIFF_BYTES = 10;

/** 184D2A5x is a skippable frame, with which zstd:chunked and pzstd streams may begin. */
export function sniff(start: Buffer): Compression {
  if (start.length >= 2 && start.readUInt16BE(0) === 0x1f8b) return 'gzip';
  if (start.length >= 4 && start.readUInt32BE(0) === 0x28b52ffd) return 'zstd';
  if (start.length >= 4 && (start.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  if (start.length >= 6 && start.toString('latin1', 0, 6) === '\xfd7zXZ\0') return 'xz';
  // With the magic of the first block (or of the end): "BZh" alone may be the name of a tar's first file.
  if (/^BZh[1-9](1AY&SY|\x17rE8P\x90)/.test(start.toString('latin1', 0, 10))) return 'bzip2';
  return 'plain';
}

/** Data does not decompress; the message says why, without naming the file. */
export class CompressionError extends Error {
  override readonly name = 'CompressionError';

  constructor(
    message: string,
    /** Set when a program is missing: the Debian package to install. */
    readonly missingPackage?: string,
  ) {
    super(message);
  }
}

const PROGRAMS = {
  zstd: { argv: ['zstd', '-dc', '-q'], package: 'zstd' },
  xz: { argv: ['xz', '-dc', '-q'], package: 'xz-utils' },
  bzip2: { argv: ['bzip2', '-dc', '-q'], package: 'bzip2' },
} as const;

async function* gunzipped(source: Readable, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const inflate = createGunzip({ chunkSize: 256 * 1024 });
  let broken: CompressionError | undefined;
  inflate.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code?.startsWith('Z_')) broken = new CompressionError(`gzip: ${error.message}`);
  });
  // Not one pipeline with who reads this: zlib ends at bytes that follow the last gzip member, with the source still flowing.
  const feed = pipeline(source, inflate, { signal }).catch(() => undefined);
  try {
    yield* inflate as AsyncIterable<Buffer>;
    source.destroy();
    await feed;
  } catch (error) {
    signal?.throwIfAborted();
    throw broken ?? error;
  } finally {
    source.destroy();
  }
}

async function* byProgram(kind: keyof typeof PROGRAMS, source: Readable, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const { argv, package: debian } = PROGRAMS[kind];
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString('utf8').slice(0, 500)));
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new CompressionError(`it is compressed with ${kind}, and the program ${program} is not installed`, debian)
          : error,
      ),
    );
    child.once('close', (code) =>
      resolve(code === 0 ? undefined : complaint.trim() || `${program} failed with status ${code ?? 'unknown'}`),
    );
  });
  // Settled below; without this a spawn failure counts as unhandled while the pipes fail first.
  ended.catch(() => undefined);
  const feed = pipeline(source, child.stdin, { signal }).catch((error: unknown) => error);
  let isRead = false;
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    isRead = true;
  } finally {
    if (!isRead) child.kill('SIGKILL');
  }
  const failed = await feed;
  const reason = await ended;
  signal?.throwIfAborted();
  if (reason !== undefined) throw new CompressionError(`${kind}: ${reason.split('\n')[0] ?? reason}`);
  if (failed instanceof Error && (failed as NodeJS.ErrnoException).code !== 'EPIPE') throw failed;
}

/** What `source` is without its compression. Errors: CompressionError, those of `source`, the signal's reason. */
export function decompressed(
  kind: Exclude<Compression, 'plain'>,
  source: Readable,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  return kind === 'gzip' ? gunzipped(source, signal) : byProgram(kind, source, signal);
}

/** A stream without its compression, whichever it has. Errors: those of `decompressed`. */
export async function* plainTar(source: Readable, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const input = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let start = Buffer.alloc(0);
  for (let next; start.length < SNIFF_BYTES && !(next = await input.next()).done;) start = Buffer.concat([start, next.value]);
  const all = Readable.from(prefixed(start, input), { objectMode: false, highWaterMark: 1 << 20 });
  const kind = sniff(start.subarray(0, SNIFF_BYTES));
  if (kind === 'plain') yield* all as AsyncIterable<Buffer>;
  else yield* decompressed(kind, all, signal);
}

/** A stream that has been begun to be read, from its start. */
export async function* prefixed(start: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield start;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** A stream through Debian's zstd. */
export function zstdCompressor(): Duplex {
  const child = spawn('zstd', ['-c', '-q'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.on('error', (error) => stream.destroy(error));
  return stream;
}
