// The maps of sparse files, in GNU tar's four forms: the old 'S' header with its extension blocks, and PAX 0.0, 0.1
// and 1.0. Turns a map into checked segments. Called by tar-reader.ts. Pure.

import { BLOCK, numeric, TarFormatError } from './tar-header.js';
import type { Segment, TarHeader } from './tar-header.js';

const MAX_SEGMENTS = 1 << 20;

function natural(text: string | undefined): number {
  const value = text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw new TarFormatError('a sparse map holds something that is not a number');
  return value;
}

/** Gives `header` its map after checking that the segments ascend, fit the file and add up to the data. */
export function setSparse(header: TarHeader, segments: Segment[], realSize: number): void {
  if (segments.length > MAX_SEGMENTS) throw new TarFormatError('a sparse map has too many parts');
  let end = 0;
  let total = 0;
  for (const { offset, length } of segments) {
    if (offset < end || offset + length > realSize) throw new TarFormatError('a sparse map overlaps or leaves the file');
    end = offset + length;
    total += length;
  }
  if (total !== header.size) throw new TarFormatError('a sparse map does not match the size of its data');
  header.sparse = segments.filter((segment) => segment.length > 0);
  header.realSize = realSize;
}

function readSlots(block: Buffer, from: number, count: number, into: Segment[]): void {
  for (let i = 0; i < count; i++) {
    const at = from + i * 24;
    if (block[at] === 0) return;
    into.push({ offset: numeric(block, at, 12), length: numeric(block, at + 12, 12) });
  }
}

/** The old GNU form ('S'): four slots in the header block, then blocks of 21 while a flag says so. */
export class OldSparseMap {
  private readonly segments: Segment[] = [];
  private readonly realSize: number;
  /** Whether the next block still belongs to the map. */
  more: boolean;

  constructor(block: Buffer) {
    readSlots(block, 386, 4, this.segments);
    this.more = block[482] !== 0;
    this.realSize = numeric(block, 483, 12);
  }

  extend(block: Buffer): void {
    readSlots(block, 0, 21, this.segments);
    this.more = block[504] !== 0;
    if (this.segments.length > MAX_SEGMENTS) throw new TarFormatError('a sparse map has too many parts');
  }

  finish(header: TarHeader): void {
    setSparse(header, this.segments, this.realSize);
    header.type = '0';
  }
}

function pairs(numbers: readonly number[]): Segment[] {
  if (numbers.length % 2) throw new TarFormatError('a sparse map has an odd number of fields');
  const segments: Segment[] = [];
  for (let i = 0; i < numbers.length; i += 2) segments.push({ offset: numbers[i] ?? 0, length: numbers[i + 1] ?? 0 });
  return segments;
}

/** The PAX forms. Returns true when the map is at the start of the data (1.0), to be fed to a `LeadingSparseMap`. */
export function applyPaxSparse(header: TarHeader, records: readonly [string, string][]): boolean {
  const last = new Map(records);
  const name = last.get('GNU.sparse.name');
  if (last.get('GNU.sparse.major') === '1' && last.get('GNU.sparse.minor') === '0') {
    if (name !== undefined) header.name = name;
    header.realSize = natural(last.get('GNU.sparse.realsize'));
    return true;
  }
  const size = last.get('GNU.sparse.size');
  if (size === undefined) return false;
  if (name !== undefined) header.name = name;
  const map = last.get('GNU.sparse.map');
  const numbers =
    map !== undefined
      ? map
          .split(',')
          .filter((field) => field !== '')
          .map(natural)
      : records
          .filter(([key]) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
          .map(([, value]) => natural(value));
  setSparse(header, pairs(numbers), natural(size));
  return false;
}

/** The 1.0 form: decimal lines at the start of the data (a count, then offset and length of each part), to a block's end. */
export class LeadingSparseMap {
  private text = '';
  private blocks = 0;
  private readonly lines: string[] = [];

  /** Takes one block of the data; returns true when the map is complete and `header` has it. */
  push(block: Buffer, header: TarHeader): boolean {
    this.blocks++;
    this.text += block.toString('latin1', 0, BLOCK);
    const parts = this.text.split('\n');
    this.text = parts.pop() ?? '';
    this.lines.push(...parts);
    if (this.lines.length === 0) throw new TarFormatError('a sparse map holds something that is not a number');
    const count = natural(this.lines[0]);
    if (count > MAX_SEGMENTS) throw new TarFormatError('a sparse map has too many parts');
    if (this.lines.length < 1 + 2 * count) return false;
    header.size -= this.blocks * BLOCK;
    setSparse(header, pairs(this.lines.slice(1, 1 + 2 * count).map(natural)), header.realSize ?? 0);
    return true;
  }
}
