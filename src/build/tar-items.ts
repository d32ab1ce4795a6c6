// A tar as a sequence of headers, each followed by its data, and back: what COPY changes on the way is between the two.

import { encodeHeader, END_OF_ARCHIVE, padding } from '../tar/tar-encode.js';
import type { TarHeader } from '../tar/tar-header.js';
import { TarReader } from '../tar/tar-reader.js';

/** A header, or a piece of the data of the one before. */
export type TarItem = TarHeader | Buffer;
export type TarItems = AsyncIterable<TarItem> | Iterable<TarItem>;

/** Zeros handed out for holes. */
const ZEROS = Buffer.alloc(1 << 16);

/** The items of a plain tar. Errors: TarFormatError. */
export async function* readItems(tar: AsyncIterable<Buffer>): AsyncGenerator<TarItem> {
  let found: TarItem[] = [];
  const reader = new TarReader({
    entry: (header) => void found.push(header),
    // A chunk of the stream is its own memory.
    data: (piece) => void found.push(piece),
    end: () => undefined,
  });
  for await (const chunk of tar) {
    reader.write(chunk);
    yield* found;
    found = [];
  }
  reader.finish();
}

function* zeros(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
}

/** The data of one sparse file with its holes as zeros. */
class HoleFiller {
  #segment = 0;
  /** Bytes of the file given out, and of the present segment. */
  #position = 0;
  #taken = 0;

  constructor(
    private readonly segments: readonly { readonly offset: number; readonly length: number }[],
    private readonly size: number,
  ) {}

  *push(piece: Buffer): Generator<Buffer> {
    for (let at = 0; at < piece.length;) {
      const segment = this.segments[this.#segment];
      if (!segment) return;
      const start = segment.offset + this.#taken;
      yield* zeros(start - this.#position);
      const part = piece.subarray(at, at + segment.length - this.#taken);
      yield part;
      at += part.length;
      this.#taken += part.length;
      this.#position = start + part.length;
      if (this.#taken < segment.length) continue;
      this.#segment++;
      this.#taken = 0;
    }
  }

  end(): Generator<Buffer> {
    return zeros(this.size - this.#position);
  }
}

/** Items as a plain tar that every reader knows: sparse files are written whole. */
export async function* writeItems(items: TarItems): AsyncGenerator<Buffer> {
  let filler: HoleFiller | undefined;
  let size = 0;
  const finish = function* (): Generator<Buffer> {
    if (filler) yield* filler.end();
    if (size % 512 !== 0) yield padding(size);
  };
  for await (const item of items) {
    if (Buffer.isBuffer(item)) {
      if (filler) yield* filler.push(item);
      else yield item;
      continue;
    }
    yield* finish();
    size = item.sparse ? (item.realSize ?? 0) : item.size;
    filler = item.sparse ? new HoleFiller(item.sparse, size) : undefined;
    yield encodeHeader({ ...item, type: item.sparse ? '0' : item.type, size, sparse: undefined, realSize: undefined });
  }
  yield* finish();
  yield END_OF_ARCHIVE;
}

/** Chunks of which the first holds at least `least` bytes, if there are as many: whoever looks at a beginning sees all of it. */
export async function* withBeginning(source: AsyncIterable<Buffer>, least: number): AsyncGenerator<Buffer> {
  let start: Buffer[] | undefined = [];
  let length = 0;
  for await (const chunk of source) {
    if (!start) {
      yield chunk;
      continue;
    }
    start.push(chunk);
    length += chunk.length;
    if (length < least) continue;
    yield Buffer.concat(start);
    start = undefined;
  }
  if (start && length > 0) yield Buffer.concat(start);
}
