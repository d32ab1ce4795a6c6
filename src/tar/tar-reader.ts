// A synchronous push parser for tar: bytes in, entries and their data out, no copy of file data. Serves the layers
// (unpack.ts) and the index of an archive (archive.ts). Not tar-stream: that decodes PAX values as UTF-8, which
// destroys binary xattrs and foreign names, knows no sparse files, and costs a stream per entry.

import { applyPax, BLOCK, decodeHeader, decodePax, TarFormatError } from './tar-header.js';
import type { TarHeader } from './tar-header.js';
import { applyPaxSparse, LeadingSparseMap, OldSparseMap } from './tar-sparse.js';

export interface TarSink {
  /** A new entry; `header` may be kept. Data follows if `header.size` > 0, then `end`. */
  entry(header: TarHeader): void;
  /** A piece of the entry's data; the memory is reused after the call. */
  data(piece: Buffer): void;
  /** The entry's data is complete. */
  end(): void;
}

// As Go's archive/tar: longer names or attribute sets than this are not real.
const MAX_SPECIAL = 1 << 20;

type State = 'header' | 'special' | 'sparse' | 'sparse-data' | 'body' | 'done';

export class TarReader {
  private state: State = 'header';
  private readonly block = Buffer.alloc(BLOCK);
  private filled = 0;
  /** Bytes of data and then of padding still to come in the present entry. */
  private remaining = 0;
  private padding = 0;
  private header: TarHeader | undefined;
  private special: Buffer[] = [];
  private longName: string | undefined;
  private longLink: string | undefined;
  private pax: [string, string][] = [];
  private globalPax = new Map<string, string>();
  private oldMap: OldSparseMap | undefined;
  private leadingMap: LeadingSparseMap | undefined;
  private zeroBlocks = 0;
  /** Bytes taken so far: where the archive is wrong, for messages. */
  position = 0;

  constructor(private readonly sink: TarSink) {}

  /** Whether the end marker has been seen; what follows it is ignored. */
  get ended(): boolean {
    return this.state === 'done';
  }

  /** Bytes that `skip` may pass over: the rest of an ordinary entry's data and padding. */
  get skippable(): number {
    return this.state === 'body' ? this.remaining + this.padding : 0;
  }

  /** Passes over the present entry's rest, for a source that can seek. Calls `end`. */
  skip(): void {
    this.position += this.skippable;
    this.remaining = 0;
    this.padding = 0;
    this.endEntry();
  }

  /** Takes the next bytes. Throws `TarFormatError` and whatever the sink throws. */
  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.state !== 'done') {
      const before = at;
      at = this.state === 'body' || this.state === 'special' ? this.takeData(chunk, at) : this.takeBlock(chunk, at);
      this.position += at - before;
    }
  }

  /**
   * The input is over. Throws when it ends inside an entry. Neither the zeros that fill the last block of data nor those that
   * end an archive need to be there: Docker's command line leaves out both when it adds a Dockerfile to a context.
   */
  finish(): void {
    if (this.state === 'body' && this.remaining === 0) this.endEntry();
    if (this.state !== 'done' && (this.state !== 'header' || this.filled > 0 || this.pax.length > 0)) {
      throw new TarFormatError('unexpected end');
    }
  }

  private takeBlock(chunk: Buffer, at: number): number {
    if (this.filled === 0 && chunk.length - at >= BLOCK) {
      this.useBlock(chunk.subarray(at, at + BLOCK));
      return at + BLOCK;
    }
    const part = Math.min(BLOCK - this.filled, chunk.length - at);
    chunk.copy(this.block, this.filled, at, at + part);
    this.filled += part;
    if (this.filled === BLOCK) {
      this.filled = 0;
      this.useBlock(this.block);
    }
    return at + part;
  }

  private takeData(chunk: Buffer, at: number): number {
    const data = Math.min(this.remaining, chunk.length - at);
    if (data > 0) {
      const piece = chunk.subarray(at, at + data);
      this.remaining -= data;
      if (this.state === 'special') this.special.push(Buffer.from(piece));
      else this.sink.data(piece);
      at += data;
    }
    const pad = Math.min(this.padding, chunk.length - at);
    this.padding -= pad;
    if (this.remaining === 0 && this.padding === 0) this.endEntry();
    return at + pad;
  }

  private useBlock(block: Buffer): void {
    if (this.state === 'sparse') return this.useOldSparse(block);
    if (this.state === 'sparse-data') return this.useLeadingSparse(block);
    if (block[0] === 0 && isZero(block)) {
      if (++this.zeroBlocks === 2) this.state = 'done';
      return;
    }
    if (this.zeroBlocks > 0) throw new TarFormatError('data after the end marker');
    const header = decodeHeader(block);
    this.header = header;
    if ('xgLK'.includes(header.type)) return this.startSpecial(header);
    this.startEntry(header, block);
  }

  private startSpecial(header: TarHeader): void {
    if (header.size > MAX_SPECIAL) throw new TarFormatError('a name or an attribute set is longer than 1 MiB');
    this.state = 'special';
    this.special = [];
    this.expect(header.size);
    if (header.size === 0) this.endEntry();
  }

  private startEntry(header: TarHeader, block: Buffer): void {
    if (this.longName !== undefined) header.name = this.longName;
    if (this.longLink !== undefined) header.linkname = this.longLink;
    const global = [...this.globalPax];
    const leading = this.applyRecords(header, global);
    this.longName = this.longLink = undefined;
    this.pax = [];
    if (header.type === 'S') {
      this.oldMap = new OldSparseMap(block);
      this.state = 'sparse';
      if (!this.oldMap.more) this.finishOldSparse(header);
    } else if (leading) {
      this.leadingMap = new LeadingSparseMap();
      this.state = 'sparse-data';
    } else {
      this.startBody(header);
    }
  }

  private applyRecords(header: TarHeader, global: [string, string][]): boolean {
    if (this.pax.length === 0 && global.length === 0) return false;
    const records = [...global, ...this.pax];
    applyPax(header, records);
    return applyPaxSparse(header, records);
  }

  private useOldSparse(block: Buffer): void {
    if (!this.oldMap || !this.header) return;
    this.oldMap.extend(block);
    if (!this.oldMap.more) this.finishOldSparse(this.header);
  }

  private finishOldSparse(header: TarHeader): void {
    this.oldMap?.finish(header);
    this.oldMap = undefined;
    this.startBody(header);
  }

  private useLeadingSparse(block: Buffer): void {
    if (!this.leadingMap || !this.header) return;
    if (!this.leadingMap.push(block, this.header)) return;
    this.leadingMap = undefined;
    this.startBody(this.header);
  }

  private startBody(header: TarHeader): void {
    this.state = 'body';
    this.expect(header.size);
    this.sink.entry(header);
    if (header.size === 0) this.endEntry();
  }

  private expect(size: number): void {
    this.remaining = size;
    this.padding = (BLOCK - (size % BLOCK)) % BLOCK;
  }

  private endEntry(): void {
    const was = this.state;
    this.state = 'header';
    if (was !== 'special') return this.sink.end();
    const data = Buffer.concat(this.special);
    this.special = [];
    const type = this.header?.type;
    if (type === 'L') this.longName = untilNul(data);
    else if (type === 'K') this.longLink = untilNul(data);
    else if (type === 'x') this.pax.push(...decodePax(data));
    else for (const [key, value] of decodePax(data)) this.globalPax.set(key, value);
  }
}

function isZero(block: Buffer): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

function untilNul(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('latin1', 0, end === -1 ? data.length : end);
}
