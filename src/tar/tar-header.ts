// One tar header block and the PAX records, decoded to what an entry is. Names, link names and xattr values are
// bytes (latin1 strings, Buffers): Docker writes PAX values raw, and security.capability is not UTF-8. Pure.

/** A run of data in a sparse file. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
}

/** An entry: the header block with its PAX and long-name records applied. */
export interface TarHeader {
  name: string;
  /** Type flag as a character; '7' and NUL are given as '0', PAX and GNU long names never appear. */
  type: string;
  linkname: string;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of data in the archive. */
  size: number;
  /** Nanoseconds since the epoch. */
  mtime: bigint;
  major: number;
  minor: number;
  xattrs: Map<string, Buffer>;
  /** The data's places in a sparse file, whose length is `realSize`; undefined for an ordinary file. */
  sparse?: Segment[];
  realSize?: number;
}

export const BLOCK = 512;

/** A malformed header: `message` says what is wrong; the reader adds where. */
export class TarFormatError extends Error {
  override readonly name = 'TarFormatError';
}

/** Bytes up to the first NUL. */
export function cString(block: Buffer, from: number, length: number): string {
  const nul = block.indexOf(0, from);
  const end = nul === -1 || nul > from + length ? from + length : nul;
  return block.toString('latin1', from, end);
}

/** An octal or base-256 number field. */
export function numeric(block: Buffer, from: number, length: number): number {
  const first = block[from] ?? 0;
  if (first & 0x80) return base256(block, from, length);
  const text = block.toString('latin1', from, from + length).replace(/^[ \0]+|[ \0][^]*$/g, '');
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw new TarFormatError('a number in the header is not octal');
  return parseInt(text, 8);
}

function base256(block: Buffer, from: number, length: number): number {
  const negative = (block[from] ?? 0) & 0x40;
  let value = negative ? -1n : 0n;
  for (let i = 0; i < length; i++) {
    const byte = BigInt(block[from + i] ?? 0);
    value = i === 0 ? (negative ? (value << 7n) | (byte & 0x7fn) : byte & 0x7fn) : (value << 8n) | byte;
  }
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new TarFormatError('a number in the header is out of range');
  }
  return Number(value);
}

// Times travel as int64 nanoseconds, where the words just above 2^62 mean "now" and "omit": the year 2116 at most.
const LAST_TIME = 1n << 62n;

function clampTime(time: bigint): bigint {
  return time > LAST_TIME ? LAST_TIME : time < -LAST_TIME ? -LAST_TIME : time;
}

function checksumHolds(block: Buffer): boolean {
  let unsigned = 256;
  let signed = 256;
  for (let i = 0; i < BLOCK; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = block[i] ?? 0;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stored = numeric(block, 148, 8);
  return stored === unsigned || stored === signed;
}

// Types without data, whatever their size field says (as Go's archive/tar, which Docker reads with).
const HEADER_ONLY = '123456';

/** Decodes one block; throws `TarFormatError`. Not for the all-zero block. */
export function decodeHeader(block: Buffer): TarHeader {
  if (!checksumHolds(block)) throw new TarFormatError('the header checksum is wrong');
  const magic = block.toString('latin1', 257, 263);
  const flag = String.fromCharCode(block[156] ?? 0);
  let name = cString(block, 0, 100);
  let type = flag === '\0' || flag === '7' ? '0' : flag;
  if (flag === '\0' && name.endsWith('/')) type = '5';
  if (magic === 'ustar\0' && block[345] !== 0) name = `${cString(block, 345, 155)}/${name}`;
  const size = numeric(block, 124, 12);
  if (size < 0) throw new TarFormatError('the size is negative');
  return {
    name,
    type,
    linkname: cString(block, 157, 100),
    mode: numeric(block, 100, 8) & 0o7777,
    uid: numeric(block, 108, 8),
    gid: numeric(block, 116, 8),
    size: HEADER_ONLY.includes(type) ? 0 : size,
    mtime: clampTime(BigInt(numeric(block, 136, 12)) * 1_000_000_000n),
    major: type === '3' || type === '4' ? numeric(block, 329, 8) : 0,
    minor: type === '3' || type === '4' ? numeric(block, 337, 8) : 0,
    xattrs: new Map(),
  };
}

/** PAX records in their order, as bytes; a key may repeat (GNU.sparse.offset does). Throws `TarFormatError`. */
export function decodePax(data: Buffer): [string, string][] {
  const records: [string, string][] = [];
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at);
    const digits = space === -1 ? '' : data.toString('latin1', at, space);
    const length = /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length === 0 || end > data.length || data[end - 1] !== 0x0a) throw new TarFormatError('a PAX record is malformed');
    const equals = data.indexOf(0x3d, space);
    if (equals === -1 || equals >= end) throw new TarFormatError('a PAX record has no "="');
    records.push([data.toString('latin1', space + 1, equals), data.toString('latin1', equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

function integer(value: string, key: string): number {
  const number = /^-?\d{1,16}$/.test(value) ? Number(value) : NaN;
  if (!Number.isSafeInteger(number)) throw new TarFormatError(`the PAX record ${key} is not a number`);
  return number;
}

function nanoseconds(value: string): bigint {
  const match = /^(-?)(\d{1,12})(?:\.(\d*))?$/.exec(value);
  if (!match) throw new TarFormatError('the PAX record mtime is not a time');
  const [, sign, seconds = '0', fraction = ''] = match;
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return clampTime(sign === '-' ? -total : total);
}

const noNul = (value: string, key: string): string => {
  if (value.includes('\0')) throw new TarFormatError(`the PAX record ${key} contains a NUL`);
  return value;
};

/** Lays PAX records over a header. Sparse records are left to tar-sparse.ts. */
export function applyPax(header: TarHeader, records: Iterable<[string, string]>): void {
  for (const [key, value] of records) {
    // An empty value takes back a global record; the header's own field then holds.
    if (value === '' && !key.startsWith('SCHILY.xattr.')) continue;
    if (key === 'path') header.name = noNul(value, key);
    else if (key === 'linkpath') header.linkname = noNul(value, key);
    else if (key === 'size') header.size = HEADER_ONLY.includes(header.type) ? 0 : integer(value, key);
    else if (key === 'uid') header.uid = integer(value, key);
    else if (key === 'gid') header.gid = integer(value, key);
    else if (key === 'mtime') header.mtime = nanoseconds(value);
    else if (key.startsWith('SCHILY.xattr.')) header.xattrs.set(noNul(key.slice(13), key), Buffer.from(value, 'latin1'));
    else if (key.startsWith('LIBARCHIVE.xattr.')) applyLibarchive(header, key.slice(17), value);
  }
  if (header.size < 0) throw new TarFormatError('the size is negative');
}

function applyLibarchive(header: TarHeader, encoded: string, value: string): void {
  const name = encoded.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  if (name.includes('\0')) throw new TarFormatError('an attribute name contains a NUL');
  // bsdtar writes both forms; the SCHILY one is exact.
  if (!header.xattrs.has(name)) header.xattrs.set(name, Buffer.from(value, 'base64'));
}
