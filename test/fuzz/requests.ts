// Requests of the fuzzer: first a valid one about something that exists, then, mostly, something wrong with it.

import { IN_HEADER, Opcode } from '../../src/abi/protocol.js';
import type { FuzzKernel } from './kernel.js';
import type { Random } from './random.js';
import { NAMES, EVIL_NAMES, XATTRS, WORDS, LONGS, MODES, OPEN_FLAGS, OPCODES } from './values.js';

const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'latin1');
const u32 = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
const u64 = (...values: bigint[]): Buffer => Buffer.from(BigUint64Array.from(values).buffer);
const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts);

export class Requests {
  #last: Buffer | undefined;

  constructor(
    private readonly random: Random,
    private readonly kernel: FuzzKernel,
  ) {}

  /** The next message to send; sometimes the last one again. */
  next(): Buffer {
    const { random } = this;
    const again = random.once(40) && this.#last;
    const message = again ? Buffer.from(again) : this.#valid();
    if (!again && random.once(2)) this.#last = this.#damage(message);
    else this.#last = message;
    return this.#last;
  }

  /** A request of `opcode` with a right header. */
  message(opcode: number, node: number | bigint, body: Buffer = Buffer.alloc(0)): Buffer {
    const header = Buffer.alloc(IN_HEADER);
    header.writeUInt32LE(IN_HEADER + body.length, 0);
    header.writeUInt32LE(opcode, 4);
    header.writeBigUInt64LE(++this.kernel.unique, 8);
    header.writeBigUInt64LE(BigInt(node), 16);
    const user = this.random.once(4) ? 1000 : 0;
    header.writeUInt32LE(user, 24);
    header.writeUInt32LE(user, 28);
    header.writeUInt32LE(process.pid, 32);
    return join(header, body);
  }

  #node(): number {
    const ids = [...this.kernel.nodes.keys()];
    return this.random.pick(ids);
  }

  #nodeOf(type: number): number {
    for (let tries = 0; tries < 8; tries++) {
      const id = this.#node();
      if (((this.kernel.nodes.get(id)?.mode ?? 0) & 0o170000) === type) return id;
    }
    return 1;
  }

  #directory(): number {
    return this.#nodeOf(0o040000);
  }
  #file(): number {
    return this.#nodeOf(0o100000);
  }
  #name(): Buffer {
    return text(this.random.once(20) ? this.random.pick(EVIL_NAMES) : this.random.pick(NAMES));
  }
  #opened(): { node: number; fh: bigint } {
    const { opened } = this.kernel;
    return opened.length > 0 && !this.random.once(10)
      ? this.random.pick(opened)
      : { node: this.#file(), fh: BigInt(this.random.below(9)) };
  }
  #offset(): bigint {
    return this.random.once(6) ? this.random.pick(LONGS) : BigInt(this.random.below(70_000));
  }
  #size(): number {
    return this.random.once(6) ? this.random.pick(WORDS) : this.random.below(9000);
  }

  #valid(): Buffer {
    const { random } = this;
    const groups: (() => Buffer)[] = [
      () => this.#lookup(),
      () => this.#names(),
      () => this.#files(),
      () => this.#attributes(),
      () => this.#ends(),
    ];
    return random.pick(groups)();
  }

  #lookup(): Buffer {
    const directory = this.#directory();
    const listing = (): Buffer =>
      join(u64(0n, this.random.once(3) ? this.#offset() : 0n), u32(this.#size(), 0), u64(0n), u32(0, 0));
    switch (this.random.below(6)) {
      case 0:
        return this.message(Opcode.READDIR, directory, listing());
      case 1:
        return this.message(Opcode.READDIRPLUS, directory, listing());
      case 2:
        return this.message(
          this.random.pick([Opcode.OPENDIR, Opcode.GETATTR, Opcode.READLINK, Opcode.STATFS]),
          this.#node(),
          Buffer.alloc(16),
        );
      default:
        return this.message(Opcode.LOOKUP, directory, this.#name());
    }
  }

  #names(): Buffer {
    const { random } = this;
    const directory = this.#directory();
    switch (random.below(10)) {
      case 0:
        return this.message(Opcode.MKDIR, directory, join(u32(random.pick(MODES), 0o22), this.#name()));
      case 1:
        return this.message(
          Opcode.MKNOD,
          directory,
          join(u32(random.pick(MODES), random.once(2) ? 0 : 0x103, 0o22, 0), this.#name()),
        );
      case 2:
        return this.message(
          Opcode.SYMLINK,
          directory,
          join(this.#name(), text(random.pick(['../outside/secret', 'f', '', 'z'.repeat(5000)]))),
        );
      case 3:
        return this.message(Opcode.UNLINK, directory, this.#name());
      case 4:
        return this.message(Opcode.RMDIR, directory, this.#name());
      case 5:
        return this.message(Opcode.LINK, directory, join(u64(BigInt(this.#node())), this.#name()));
      case 6:
        return this.message(Opcode.RENAME, directory, join(u64(BigInt(this.#directory())), this.#name(), this.#name()));
      case 7:
        return this.message(
          Opcode.RENAME2,
          directory,
          join(u64(BigInt(this.#directory())), u32(random.below(8), 0), this.#name(), this.#name()),
        );
      case 8:
        return this.message(
          Opcode.TMPFILE,
          directory,
          join(u32(random.pick(OPEN_FLAGS), random.pick(MODES), 0, 0), this.#name()),
        );
      default:
        return this.message(
          Opcode.CREATE,
          directory,
          join(u32(random.pick(OPEN_FLAGS) | 0o100, random.pick(MODES), 0, 0), this.#name()),
        );
    }
  }

  #files(): Buffer {
    const { random } = this;
    const { node, fh } = this.#opened();
    switch (random.below(13)) {
      case 11:
        return this.#lock();
      case 12:
        return this.message(Opcode.FLUSH, node, join(u64(fh), u32(0, 0), u64(BigInt(random.below(3)))));
      case 0:
      case 1:
        return this.message(
          Opcode.OPEN,
          random.once(8) ? this.#node() : this.#file(),
          u32(random.pick(OPEN_FLAGS), random.below(2)),
        );
      case 2:
        return this.message(Opcode.READ, node, join(u64(fh, this.#offset()), u32(this.#size(), 0), u64(0n), u32(0, 0)));
      case 3: {
        const data = Buffer.alloc(random.below(5000), 'w');
        const size = random.once(8) ? this.#size() : data.length;
        return this.message(
          Opcode.WRITE,
          node,
          join(u64(fh, BigInt(random.below(70_000))), u32(size, random.below(8)), u64(0n), u32(0, 0), data),
        );
      }
      case 4:
        return this.message(random.pick([Opcode.FSYNC, Opcode.FSYNCDIR]), node, join(u64(fh), u32(random.below(2), 0)));
      case 5:
        return this.message(Opcode.INTERRUPT, 0, u64(this.kernel.unique - BigInt(random.below(9))));
      case 6:
        return this.message(Opcode.LSEEK, node, join(u64(fh, this.#offset()), u32(random.below(6), 0)));
      case 7: {
        const mode = random.pick([0, 1, 3, 16, 8, 32, 64, 0xffff]);
        return this.message(
          Opcode.FALLOCATE,
          node,
          join(u64(fh, BigInt(random.below(9000)), BigInt(random.below(9000))), u32(mode, 0)),
        );
      }
      case 8: {
        const to = this.#opened();
        const opcode = random.pick([Opcode.COPY_FILE_RANGE, Opcode.COPY_FILE_RANGE_64]);
        const length = random.once(5) ? this.#offset() : BigInt(random.below(9000));
        return this.message(
          opcode,
          node,
          u64(fh, this.#offset(), BigInt(to.node), to.fh, BigInt(random.below(9000)), length, 0n),
        );
      }
      case 9: {
        const command = random.pick([0x80086601, 0x40086602, 0x80087601, 0x801c581f, 0x401c5820, 0x5401, 0xc0045877]);
        const data = Buffer.alloc(random.pick([0, 4, 8, 28, 64, 65]));
        return this.message(
          Opcode.IOCTL,
          node,
          join(u64(fh), u32(0, command), u64(0n), u32(data.length, random.pick([0, 4, 28, 64, 65, 0xffffffff])), data),
        );
      }
      default:
        return this.message(Opcode.RELEASE, node, join(u64(fh), u32(0, 0), u64(0n)));
    }
  }

  /** Few owners and few bytes, so that they meet. */
  #lock(): Buffer {
    const { random } = this;
    const { node, fh } = this.#opened();
    const start = random.once(9) ? this.#offset() : BigInt(random.below(20));
    const end = random.once(4) ? (1n << 63n) - 1n : start + BigInt(random.below(10));
    return this.message(
      random.pick([Opcode.GETLK, Opcode.SETLK, Opcode.SETLK, Opcode.SETLKW]),
      node,
      join(u64(fh, BigInt(random.below(3)), start, end), u32(random.below(3), process.pid, random.below(2), 0)),
    );
  }

  #attributes(): Buffer {
    const { random } = this;
    const node = this.#node();
    const name = text(random.once(15) ? random.pick(EVIL_NAMES) : random.pick(XATTRS));
    switch (random.below(6)) {
      case 0: {
        const value = Buffer.alloc(random.below(100), 'y');
        return this.message(
          Opcode.SETXATTR,
          node,
          join(u32(random.once(8) ? this.#size() : value.length, random.below(4), random.below(2), 0), name, value),
        );
      }
      case 1:
        return this.message(Opcode.GETXATTR, node, join(u32(this.#size(), 0), name));
      case 2:
        return this.message(Opcode.LISTXATTR, node, u32(this.#size(), 0));
      case 3:
        return this.message(Opcode.REMOVEXATTR, node, name);
      case 4:
        return this.message(Opcode.STATX, node, join(u32(0, 0), u64(0n), u32(0, 0xfff)));
      default: {
        const body = Buffer.alloc(88);
        body.writeUInt32LE(random.once(4) ? random.word() : 1 << random.below(12), 0);
        body.writeBigUInt64LE(this.#opened().fh, 8);
        body.writeBigUInt64LE(random.once(9) ? this.#offset() : BigInt(random.below(9000)), 16);
        for (const at of [56, 60, 64]) body.writeUInt32LE(random.once(5) ? random.word() : random.below(999_999_999), at);
        body.writeUInt32LE(random.pick(MODES), 68);
        for (const at of [76, 80]) body.writeUInt32LE(random.pick([0, 1000, 0xffffffff, 110000]), at);
        return this.message(Opcode.SETATTR, node, body);
      }
    }
  }

  /** What takes things back, and what has no place here. */
  #ends(): Buffer {
    const { random } = this;
    const node = this.#node();
    const count = (id: number): bigint =>
      BigInt(random.once(6) ? random.pick(WORDS) : random.below((this.kernel.nodes.get(id)?.nlookup ?? 1) + 1));
    switch (random.below(5)) {
      case 0:
        return this.message(Opcode.FORGET, node, u64(count(node)));
      case 1: {
        const ids = Array.from({ length: random.below(5) }, () => this.#node());
        const pairs = ids.flatMap((id) => [BigInt(id), count(id)]);
        return this.message(
          Opcode.BATCH_FORGET,
          0,
          join(u32(random.once(5) ? random.pick(WORDS) : ids.length, 0), u64(...pairs)),
        );
      }
      case 2:
        return this.message(
          random.pick([
            Opcode.INTERRUPT,
            Opcode.NOTIFY_REPLY,
            Opcode.DESTROY,
            Opcode.ACCESS,
            Opcode.BMAP,
            Opcode.POLL,
            Opcode.SYNCFS,
            Opcode.RELEASEDIR,
          ]),
          node,
          Buffer.alloc(40),
        );
      case 3:
        return this.message(
          random.once(3) ? random.word() : random.pick(OPCODES),
          node,
          Buffer.alloc(random.below(64), random.below(256)),
        );
      default: {
        const { node: id, fh } = this.#opened();
        return this.message(Opcode.RELEASE, id, join(u64(fh), u32(0, 0), u64(0n)));
      }
    }
  }

  /** Breaks a request in one to three ways. */
  #damage(message: Buffer): Buffer {
    let broken = message;
    for (let times = 1 + this.random.below(3); times > 0; times--) broken = this.#break(broken);
    return broken;
  }

  #break(message: Buffer): Buffer {
    const { random } = this;
    const copy = Buffer.from(message);
    const inBody = (step: number, width: number): number => {
      const slots = Math.floor((copy.length - IN_HEADER - width) / step) + 1;
      return copy.length >= IN_HEADER + width ? IN_HEADER + step * random.below(Math.max(slots, 1)) : -1;
    };
    const relength = (bytes: Buffer): Buffer => {
      if (bytes.length >= 4 && !random.once(4)) bytes.writeUInt32LE(bytes.length, 0);
      return bytes;
    };
    switch (random.below(12)) {
      case 0:
        return relength(
          Buffer.from(
            copy.subarray(0, random.once(6) ? random.below(IN_HEADER) + 1 : Math.min(copy.length, IN_HEADER + random.below(100))),
          ),
        );
      case 1:
        return relength(join(copy, Buffer.alloc(random.once(20) ? 100_000 : random.below(300), random.below(256))));
      case 2:
        if (copy.length >= IN_HEADER) copy.writeUInt32LE(random.once(2) ? random.pick(WORDS) : random.below(200), 0);
        return copy;
      case 3:
        if (copy.length >= IN_HEADER) copy.writeUInt32LE(random.once(3) ? random.word() : random.pick(OPCODES), 4);
        return copy;
      case 4:
        if (copy.length >= IN_HEADER) copy.writeBigUInt64LE(random.once(2) ? random.pick(LONGS) : BigInt(random.below(500)), 16);
        return copy;
      case 5:
        if (copy.length >= IN_HEADER)
          for (const at of [24, 28, 32]) copy.writeUInt32LE(random.pick([0, 1, 1000, 0x7fffffff, 0xffffffff]), at);
        return copy;
      case 6:
        if (copy.length >= IN_HEADER) copy.writeUInt16LE(random.pick([0, 1, 2, 3, 100, 0xffff]), 36);
        return copy;
      case 7: {
        const at = inBody(4, 4);
        if (at >= 0) copy.writeUInt32LE(random.pick(WORDS), at);
        return copy;
      }
      case 8: {
        const at = inBody(8, 8);
        if (at >= 0) copy.writeBigUInt64LE(random.once(2) ? random.pick(LONGS) : BigInt(this.#node()), at);
        return copy;
      }
      case 9: {
        const at = inBody(1, 1);
        if (at >= 0) copy[at] = random.below(256);
        return copy;
      }
      case 10:
        for (let at = IN_HEADER; at < copy.length; at++) if (copy[at] === 0 && random.once(2)) copy[at] = 0x2f;
        return copy;
      default: {
        // Another name in the place of the last string.
        const from = copy.length > IN_HEADER ? Math.max(copy.lastIndexOf(0, copy.length - 2) + 1, IN_HEADER) : copy.length;
        return relength(join(copy.subarray(0, from), text(random.pick(EVIL_NAMES))));
      }
    }
  }
}
