// One entry's header as bytes: a ustar block, and before it PAX records for what that cannot say. Readers: GNU tar, busybox,
// Go's archive/tar. Names, link names and xattrs are bytes. Pure; the other half of tar-header.ts.

import { BLOCK, type TarHeader } from './tar-header.js';

const LARGEST_OCTAL_7 = 0o7777777;
const LARGEST_OCTAL_11 = 0o77777777777;
const SECOND = 1_000_000_000n;

/** Zeros that fill the last block of `size` bytes of data. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What ends an archive. */
export const END_OF_ARCHIVE: Buffer = Buffer.alloc(2 * BLOCK);

/** `length key=value\n`, whose length counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function paxTime(time: bigint): string {
  const seconds = time / SECOND;
  const fraction = time % SECOND;
  if (fraction === 0n) return String(seconds);
  // The fraction counts away from zero.
  const sign = time < 0n && seconds === 0n ? '-' : '';
  const digits = String(fraction < 0n ? -fraction : fraction)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${sign}${seconds}.${digits}`;
}

function paxRecords(header: TarHeader): Buffer[] {
  const records: Buffer[] = [];
  const add = (key: string, value: string): void => void records.push(paxRecord(key, Buffer.from(value, 'latin1')));
  if (splitName(header.name) === undefined) add('path', header.name);
  if (header.linkname.length > 100) add('linkpath', header.linkname);
  if (header.size > LARGEST_OCTAL_11) add('size', String(header.size));
  if (header.uid > LARGEST_OCTAL_7) add('uid', String(header.uid));
  if (header.gid > LARGEST_OCTAL_7) add('gid', String(header.gid));
  if (header.mtime < 0n || header.mtime % SECOND !== 0n || header.mtime / SECOND > LARGEST_OCTAL_11)
    add('mtime', paxTime(header.mtime));
  for (const [name, value] of [...header.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    records.push(paxRecord(`SCHILY.xattr.${name}`, value));
  }
  return records;
}

/** The two name fields of ustar; undefined when a name fits neither. Bytes beyond ASCII go to PAX as well as any. */
function splitName(name: string): { prefix: string; name: string } | undefined {
  if (name.length <= 100) return { prefix: '', name };
  for (let slash = name.indexOf('/'); slash >= 0 && slash <= 155; slash = name.indexOf('/', slash + 1)) {
    const rest = name.slice(slash + 1);
    if (slash > 0 && rest.length > 0 && rest.length <= 100) return { prefix: name.slice(0, slash), name: rest };
  }
  return undefined;
}

function putOctal(block: Buffer, value: number, at: number, length: number): void {
  const largest = length === 12 ? LARGEST_OCTAL_11 : LARGEST_OCTAL_7;
  block.write((value < 0 || value > largest ? 0 : value).toString(8).padStart(length - 1, '0'), at, 'latin1');
}

function ustarBlock(header: TarHeader, type: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const fields = splitName(header.name) ?? { prefix: '', name: header.name.slice(0, 100) };
  block.write(fields.name, 0, 100, 'latin1');
  putOctal(block, header.mode, 100, 8);
  putOctal(block, header.uid, 108, 8);
  putOctal(block, header.gid, 116, 8);
  putOctal(block, size, 124, 12);
  putOctal(block, Number(header.mtime / SECOND), 136, 12);
  block.write(type, 156, 'latin1');
  block.write(header.linkname.slice(0, 100), 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  putOctal(block, header.major, 329, 8);
  putOctal(block, header.minor, 337, 8);
  block.write(fields.prefix, 345, 155, 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A header of the type, with everything else empty. */
export function blankHeader(name: string, type: string): TarHeader {
  return { name, type, linkname: '', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0n, major: 0, minor: 0, xattrs: new Map() };
}

/** The blocks before an entry's data. */
export function encodeHeader(header: TarHeader): Buffer {
  const records = paxRecords(header);
  const own = ustarBlock(header, header.type, header.size);
  if (records.length === 0) return own;
  const body = Buffer.concat(records);
  const leader = ustarBlock({ ...blankHeader(`PaxHeaders.0/${header.name.slice(-80)}`, 'x'), mtime: 0n }, 'x', body.length);
  return Buffer.concat([leader, body, padding(body.length), own]);
}
