// Writes the data of one regular file, ordinary or sparse, to its descriptor. Used by unpack.ts and extract.ts,
// which own the descriptor.

import { sys } from '../native/load.js';
import type { Segment, TarHeader } from '../tar/tar-header.js';
import { must } from './unpack-path.js';

export class SparseWriter {
  private readonly segments: readonly Segment[];
  private index = 0;
  /** Bytes written into the present segment. */
  private within = 0;

  constructor(
    readonly fd: number,
    private readonly header: TarHeader,
  ) {
    this.segments = header.sparse ?? [{ offset: 0, length: header.size }];
  }

  /** Writes the next piece of the archive's data to where the map puts it. */
  write(piece: Buffer): void {
    for (let at = 0; at < piece.length;) {
      const segment = this.segments[this.index];
      if (!segment) return;
      const part = Math.min(piece.length - at, segment.length - this.within);
      this.writeAll(piece.subarray(at, at + part), segment.offset + this.within);
      at += part;
      this.within += part;
      if (this.within < segment.length) continue;
      this.index++;
      this.within = 0;
    }
  }

  /** Sets the length of a sparse file. Returns the bytes of data written. */
  finish(): number {
    const { sparse, realSize, size } = this.header;
    if (sparse) must(sys.ftruncate(this.fd, BigInt(realSize ?? 0)), 'set its length');
    return size;
  }

  private writeAll(piece: Buffer, offset: number): void {
    for (let at = 0; at < piece.length;) {
      at += must(sys.pwrite(this.fd, at === 0 ? piece : piece.subarray(at), BigInt(offset + at)), 'write it');
    }
  }
}
