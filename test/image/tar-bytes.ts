// Tar archives byte by byte, so that tests can write what no tar program would. Names and values are latin1 strings.

export interface TarEntry {
  readonly name: string;
  /** Type flag; '0', a regular file, by default. */
  readonly type?: string;
  readonly data?: Buffer | string;
  readonly linkname?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds. */
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  /** PAX records before the entry, in order. */
  readonly pax?: readonly (readonly [string, string])[];
  /** Replaces the size field, for a size that is not the data's. */
  readonly size?: number;
  /** Header bytes to overwrite before the checksum is made. */
  readonly patch?: (header: Buffer) => void;
}

const BLOCK = 512;

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;

/** Base-256 where octal has no room, as GNU tar writes it. */
function putNumber(header: Buffer, value: number, at: number, width: number): void {
  if (value >= 0 && value < 8 ** (width - 1)) {
    header.write(octal(value, width), at, 'latin1');
    return;
  }
  let rest = BigInt.asUintN(8 * width, BigInt(value));
  for (let i = width - 1; i >= 0; i--, rest >>= 8n) header[at + i] = Number(rest & 0xffn);
  header[at] = (header[at] ?? 0) | 0x80;
}

export function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}

function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(entry.name.slice(0, 100), 0, 'latin1');
  putNumber(block, entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 100, 8);
  putNumber(block, entry.uid ?? 0, 108, 8);
  putNumber(block, entry.gid ?? 0, 116, 8);
  putNumber(block, size, 124, 12);
  putNumber(block, entry.mtime ?? 1_000_000_000, 136, 12);
  block.write(entry.type ?? '0', 156, 'latin1');
  block.write((entry.linkname ?? '').slice(0, 100), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  putNumber(block, entry.major ?? 0, 329, 8);
  putNumber(block, entry.minor ?? 0, 337, 8);
  entry.patch?.(block);
  block.fill(' ', 148, 156);
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  );
  return block;
}

/** One PAX record: its length counts itself. */
function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  let length = body.length;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return `${length}${body}`;
}

export function paxData(records: readonly (readonly [string, string])[]): Buffer {
  return Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(''), 'latin1');
}

/** The blocks of one entry, with its PAX header when it has records or a name or link too long for the field. */
export function entryBytes(entry: TarEntry): Buffer {
  const given = entry.data ?? '';
  const data = typeof given === 'string' ? Buffer.from(given, 'latin1') : given;
  const records = [...(entry.pax ?? [])];
  if (entry.name.length > 100) records.push(['path', entry.name]);
  if ((entry.linkname ?? '').length > 100) records.push(['linkpath', entry.linkname ?? '']);
  const blocks: Buffer[] = [];
  if (records.length > 0) {
    const pax = paxData(records);
    blocks.push(header({ name: 'PaxHeaders/x', type: 'x' }, pax.length), padded(pax));
  }
  blocks.push(header(entry, entry.size ?? data.length), padded(data));
  return Buffer.concat(blocks);
}

export const END = Buffer.alloc(2 * BLOCK);

/** A whole tar. */
export function tar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(entryBytes), END]);
}
