// Codecs of the requests that TypeScript answers: namespace ops of union directories. A request is read in place, from
// the buffer the loop read it into; names are bytes as latin1 strings. A name that is cut off decodes to ''.

import { IN_HEADER, Opcode } from './protocol.js';

/** Who asked, from the header. */
export interface Caller {
  uid: number;
  gid: number;
  pid: number;
}

export interface Creation {
  name: string;
  /** Type and permission bits. */
  mode: number;
  umask: number;
  /** Device number in wire form, 0 for what is no device. */
  rdev: number;
  /** Target of a symlink. */
  target: string;
  /** open(2) flags of CREATE and TMPFILE. */
  flags: number;
}

export interface Renaming {
  oldName: string;
  newParent: number;
  newName: string;
  flags: number;
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const EXT_GROUPS = 32;

/** Reads one request: header fields by method, body by the codecs below. */
export class RequestReader {
  readonly #bytes: Buffer;

  /** `buffer`: where the loop puts requests, header first. */
  constructor(buffer: Uint8Array) {
    this.#bytes = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }

  u32(offset: number): number {
    return this.#bytes.readUInt32LE(IN_HEADER + offset);
  }

  u64(offset: number): bigint {
    return this.#bytes.readBigUInt64LE(IN_HEADER + offset);
  }

  /** A 64-bit value that is known to fit a double: nodeids, counters, directory offsets of our own making. */
  u53(offset: number): number {
    return this.u32(offset) + this.u32(offset + 4) * 0x1_0000_0000;
  }

  /** The body as bytes, `length` being that of the whole request. */
  body(length: number): Uint8Array {
    return this.#bytes.subarray(IN_HEADER, length);
  }

  /** The NUL-terminated string at `offset` of the body; '' when there is none before `length`. */
  name(offset: number, length: number): string {
    const start = IN_HEADER + offset;
    const end = this.#bytes.indexOf(0, start);
    return end < 0 || end >= length ? '' : this.#bytes.toString('latin1', start, end);
  }

  caller(): Caller {
    return { uid: this.#bytes.readUInt32LE(24), gid: this.#bytes.readUInt32LE(28), pid: this.#bytes.readUInt32LE(32) };
  }

  /** A further group of the caller's that owns the directory, when the kernel names one; else his gid. */
  creationGroup(length: number): number {
    const total = this.#bytes.readUInt16LE(36) * 8;
    const gid = this.#bytes.readUInt32LE(28);
    for (let at = length - total; total > 0 && at >= IN_HEADER && at + 8 <= length;) {
      const size = this.#bytes.readUInt32LE(at);
      const type = this.#bytes.readUInt32LE(at + 4);
      if (size < 8 || at + size > length) break;
      if (type === EXT_GROUPS && size >= 16 && this.#bytes.readUInt32LE(at + 8) === 1) return this.#bytes.readUInt32LE(at + 12);
      at += size;
    }
    return gid;
  }
}

/** mknod(2) without a type makes a regular file. */
const typed = (mode: number): number => (mode & S_IFMT ? mode : mode | S_IFREG);

/** MKDIR, MKNOD, SYMLINK, CREATE and TMPFILE. */
export function readCreation(reader: RequestReader, opcode: number, length: number): Creation | undefined {
  const none = { rdev: 0, target: '', flags: 0 };
  switch (opcode) {
    case Opcode.MKDIR:
      return { ...none, mode: (reader.u32(0) & 0o7777) | S_IFDIR, umask: reader.u32(4), name: reader.name(8, length) };
    case Opcode.MKNOD:
      return { ...none, mode: typed(reader.u32(0)), rdev: reader.u32(4), umask: reader.u32(8), name: reader.name(16, length) };
    case Opcode.SYMLINK: {
      const name = reader.name(0, length);
      return { ...none, mode: S_IFLNK, umask: 0, name, target: reader.name(name.length + 1, length) };
    }
    case Opcode.CREATE:
    case Opcode.TMPFILE:
      return {
        ...none,
        flags: reader.u32(0),
        mode: (reader.u32(4) & 0o7777) | S_IFREG,
        umask: reader.u32(8),
        name: reader.name(16, length),
      };
    default:
      return undefined;
  }
}

/** RENAME and RENAME2. */
export function readRenaming(reader: RequestReader, opcode: number, length: number): Renaming {
  const fixed = opcode === Opcode.RENAME2 ? 16 : 8;
  const oldName = reader.name(fixed, length);
  return {
    newParent: reader.u53(0),
    flags: opcode === Opcode.RENAME2 ? reader.u32(8) : 0,
    oldName,
    newName: reader.name(fixed + oldName.length + 1, length),
  };
}

/** READDIR and READDIRPLUS: offset and size of the reply. */
export function readReaddir(reader: RequestReader): { offset: bigint; size: number } {
  return { offset: reader.u64(8), size: reader.u32(16) };
}
