// What it takes to give a layer's tar back byte for byte from its unpacked files: the bytes between the files' data, and the
// order of the files. Written beside the layer while it is unpacked (layer-stream.ts), read by `rebuildTar`; save and push
// take what `verifiedTar` has checked.

import { createHash } from 'node:crypto';
import {
  type WriteStream,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  read as readAsync,
  readdirSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Gzip, createGunzip, createGzip } from 'node:zlib';
import { errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { AT_FDCWD, Open } from '../native/syscalls.js';
import type { TarHeader } from '../tar/tar-header.js';
import type { TarSink } from '../tar/tar-reader.js';
import { WHITEOUT_PREFIX } from '../layer/format.js';
import { ImageError, shown } from './image-error.js';
import { EntryRefused, INSIDE, components } from './unpack-path.js';

export const TAR_SPLIT = 'tar-split.gz';
const REPLACED = 'replaced';
const LOAD_AGAIN = 'load the image again';
const NOT_LOADED = 'nothing was loaded: check the data root and its disk';
const RAW = 0x52;
const FILE = 0x46;
const CHUNK = 1 << 20;
const BATCH = 1 << 18;
const read = promisify(readAsync);

/** Stands between the tar reader and the unpacker, and watches which bytes are a file's. */
export class TarSplitWriter implements TarSink {
  readonly #out: Gzip;
  readonly #done: Promise<void>;
  readonly #disk: WriteStream;
  #chunk: Buffer = Buffer.alloc(0);
  /** Bytes of the chunk that have been recorded. */
  #recorded = 0;
  /** The present entry's data can be had from its file. */
  #isPlain = false;
  /** The present entry, until its data begins. */
  #file: TarHeader | undefined;
  readonly #kept: ReplacedFiles;
  /** Records that wait for their turn: each write to zlib is a trip to another thread. */
  #batch = Buffer.allocUnsafe(BATCH);
  #batched = 0;

  constructor(
    path: string,
    private readonly sink: TarSink,
  ) {
    this.#kept = new ReplacedFiles(dirname(path));
    this.#out = createGzip({ level: 1, chunkSize: 1 << 16 });
    const file = createWriteStream(path, { mode: 0o600 });
    this.#disk = file;
    this.#done = new Promise((resolve, reject) => {
      file.on('finish', resolve).on('error', reject);
      this.#out.on('error', reject);
    });
    // Awaited in `end`; a failure before that must not count as unhandled.
    this.#done.catch(() => undefined);
    this.#out.pipe(file);
  }

  /** Passes a chunk of the tar through `take`, which hands it to the reader, and records it. */
  through(chunk: Buffer, take: (chunk: Buffer) => void): void {
    this.#chunk = chunk;
    this.#recorded = 0;
    take(chunk);
    this.#rawUpTo(chunk.length);
  }

  entry(header: TarHeader): void {
    const parts = partsOf(header.name);
    const isMark = parts?.some((part) => part.startsWith(WHITEOUT_PREFIX)) ?? true;
    this.#isPlain = header.type === '0' && header.sparse === undefined && header.size > 0 && !isMark;
    this.#file = this.#isPlain ? header : undefined;
    if (parts) this.#kept.before(parts, header.type === '5');
    if (parts && this.#isPlain) this.#kept.add(parts);
    this.sink.entry(header);
  }

  data(piece: Buffer): void {
    if (this.#isPlain) {
      const start = piece.byteOffset - this.#chunk.byteOffset;
      this.#rawUpTo(start);
      this.#recorded = start + piece.length;
      if (this.#file) this.#recordFile(this.#file);
      this.#file = undefined;
    }
    this.sink.data(piece);
  }

  end(): void {
    this.sink.end();
  }

  /** All is on the file. Errors: those of writing. */
  finish(): Promise<void> {
    this.#flush();
    this.#out.end();
    return this.#done;
  }

  /** Gives up: the layer is not to be. */
  abort(): void {
    this.#out.destroy();
    this.#disk.destroy();
  }

  #rawUpTo(end: number): void {
    const bytes = this.#chunk.subarray(this.#recorded, end);
    this.#recorded = end;
    if (bytes.length === 0) return;
    const head = Buffer.alloc(5);
    head[0] = RAW;
    head.writeUInt32LE(bytes.length, 1);
    this.#record(head);
    this.#record(bytes);
  }

  #recordFile({ name, size }: TarHeader): void {
    const bytes = Buffer.from(name, 'latin1');
    const head = Buffer.alloc(11);
    head[0] = FILE;
    head.writeUInt16LE(bytes.length, 1);
    head.writeBigUInt64LE(BigInt(size), 3);
    this.#record(head);
    this.#record(bytes);
  }

  #record(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const copied = bytes.copy(this.#batch, this.#batched, at);
      at += copied;
      this.#batched += copied;
      if (this.#batched === BATCH) this.#flush();
    }
  }

  #flush(): void {
    this.#out.write(this.#batch.subarray(0, this.#batched));
    this.#batch = Buffer.allocUnsafe(BATCH);
    this.#batched = 0;
  }
}

/** undefined for a name that the unpacker refuses in its own words. */
function partsOf(name: string): string[] | undefined {
  try {
    return components(name);
  } catch (error) {
    if (!(error instanceof EntryRefused)) throw error;
    return undefined;
  }
}

/**
 * Files whose place a later entry of the same tar takes: their data is wanted for the tar all the same. Linked to
 * replaced/<number> before that happens; the number counts the records of files.
 */
class ReplacedFiles {
  /** The number of the file now at a path. */
  readonly #at = new Map<string, number>();
  readonly #directories = new Set<string>();
  #count = 0;

  constructor(private readonly home: string) {}

  add(parts: readonly string[]): void {
    this.#at.set(parts.join('/'), this.#count++);
    for (let depth = parts.length - 1; depth > 0; depth--) {
      const path = parts.slice(0, depth).join('/');
      if (this.#directories.has(path)) return;
      this.#directories.add(path);
    }
  }

  /** Another entry is to be made at `parts`. */
  before(parts: readonly string[], isDirectory: boolean): void {
    const path = parts.join('/');
    this.#keep(path);
    // A file in the way of a directory that no entry names.
    for (let depth = 1; depth < parts.length; depth++) this.#keep(parts.slice(0, depth).join('/'));
    if (isDirectory || !this.#directories.delete(path)) return;
    for (const below of [...this.#at.keys()]) if (below.startsWith(`${path}/`)) this.#keep(below);
    for (const below of [...this.#directories]) if (below.startsWith(`${path}/`)) this.#directories.delete(below);
  }

  #keep(path: string): void {
    const number = this.#at.get(path);
    if (number === undefined) return;
    this.#at.delete(path);
    const into = join(this.home, REPLACED);
    mkdirSync(into, { recursive: true, mode: 0o700 });
    const from = openPath(join(this.home, 'diff'));
    const to = openPath(into);
    const result = sys.linkat(from, path, to, String(number));
    sys.close(from);
    sys.close(to);
    if (result < 0)
      throw new ImageError(shown(path), `cannot keep what a later entry replaces: ${errnoText(result)}`, NOT_LOADED);
  }
}

function openPath(path: string): number {
  const fd = sys.openat2(AT_FDCWD, Buffer.from(path).toString('latin1'), Open.PATH | Open.DIRECTORY, 0, 0);
  if (fd < 0) throw new ImageError(path, errnoText(fd), LOAD_AGAIN);
  return fd;
}

/** Takes records from the stream of a tar-split file. */
class Records {
  #rest: Buffer = Buffer.alloc(0);

  constructor(private readonly source: AsyncIterator<Buffer>) {}

  /** `length` bytes, or undefined at the end. */
  async take(length: number): Promise<Buffer | undefined> {
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < length) {
      const next = await this.source.next();
      if (next.done) break;
      parts.push(next.value);
      have += next.value.length;
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    if (all.length < length) return undefined;
    this.#rest = all.subarray(length);
    return all.subarray(0, length);
  }
}

async function* fileData(dir: number, path: string, size: number): AsyncGenerator<Buffer> {
  const fd = sys.openat2(dir, path, Open.RDONLY | Open.NOFOLLOW, 0, INSIDE);
  if (fd < 0) throw new ImageError(shown(path), errnoText(fd), LOAD_AGAIN);
  try {
    for (let at = 0; at < size;) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, size - at));
      const { bytesRead } = await read(fd, chunk, 0, chunk.length, at);
      if (bytesRead === 0) throw new ImageError(shown(path), 'it is shorter than it was', LOAD_AGAIN);
      yield chunk.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    sys.close(fd);
  }
}

/** As `rebuildTar`; what its files give must have the digest that the layer is known by. Errors: ImageError, at the latest at the end. */
export async function* verifiedTar(home: string, diffId: string): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of rebuildTar(home)) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== diffId)
    throw new ImageError(`layer ${diffId.slice(0, 12)}`, 'its files have changed since it was loaded', LOAD_AGAIN);
}

/** The tar of the layer in `home` (its diff/ and tar-split), exactly as it came. Errors: ImageError. */
export async function* rebuildTar(home: string): AsyncGenerator<Buffer> {
  const dir = openPath(home);
  const replaced = new Set(existsSync(join(home, REPLACED)) ? readdirSync(join(home, REPLACED)) : []);
  let files = 0;
  const input = createReadStream(join(home, TAR_SPLIT));
  const plain = createGunzip();
  input.on('error', (error) => plain.destroy(error));
  const records = new Records(input.pipe(plain)[Symbol.asyncIterator]() as AsyncIterator<Buffer>);
  try {
    for (let kind = await records.take(1); kind; kind = await records.take(1)) {
      if (kind[0] === RAW) {
        const length = (await records.take(4))?.readUInt32LE(0) ?? 0;
        yield (await records.take(length)) ?? Buffer.alloc(0);
      } else {
        const head = (await records.take(10)) ?? Buffer.alloc(10);
        const name = (await records.take(head.readUInt16LE(0)))?.toString('latin1') ?? '';
        const number = String(files++);
        const path = replaced.has(number) ? [REPLACED, number] : ['diff', ...components(name)];
        yield* fileData(dir, path.join('/'), Number(head.readBigUInt64LE(2)));
      }
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith('Z_')) throw new ImageError(home, `the record of its archive is damaged: ${message}`, LOAD_AGAIN, error);
    if (code !== 'ENOENT') throw error;
    throw new ImageError(home, 'the record of its archive is missing: it was loaded by an older version', LOAD_AGAIN, error);
  } finally {
    input.destroy();
    sys.close(dir);
  }
}
