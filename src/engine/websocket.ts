// The server's side of a WebSocket (RFC 6455) on a connection that has been handed over: what the client sends as a stream of
// bytes, and what is written to it as frames. Where one message ends and the next begins is of no account. Used by attach.

import { createHash } from 'node:crypto';
import { Transform, type TransformCallback, Writable } from 'node:stream';
import type { Hijacked } from './answer.js';

export const Opcode = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Whoever can put this behind the client's key speaks the protocol. */
const PROOF = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Status 1000: all is said. */
const NORMAL = Buffer.from([0x03, 0xe8]);
const LONGEST_CONTROL = 125;

/** `Sec-WebSocket-Accept`. */
export const acceptance = (key: string): string => createHash('sha1').update(`${key}${PROOF}`).digest('base64');

/** One whole frame, unmasked as a server's must be. */
export function frameOf(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length <= LONGEST_CONTROL ? 2 : length < 1 << 16 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = head.length === 2 ? length : head.length === 4 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

interface Head {
  readonly opcode: number;
  /** Bytes of the head, and of the payload behind it. */
  readonly length: number;
  readonly size: number;
  readonly mask: Buffer;
}

/** The head of a client's frame; undefined while it is not all there. Throws for what breaks the protocol. */
function headOf(data: Buffer): Head | undefined {
  if (data.length < 2) return undefined;
  const [first = 0, second = 0] = data;
  const short = second & 0x7f;
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
  const length = 2 + extra + 4;
  const opcode = first & 0x0f;
  if ((second & 0x80) === 0) throw new Error('a frame is not masked');
  if ((first & 0x70) !== 0) throw new Error('a frame has bits that were not agreed on');
  if (opcode >= Opcode.close && (short > LONGEST_CONTROL || (first & 0x80) === 0)) throw new Error('a control frame is too long');
  if (data.length < length) return undefined;
  const size = extra === 8 ? Number(data.readBigUInt64BE(2)) : extra === 2 ? data.readUInt16BE(2) : short;
  return { opcode, length, size, mask: data.subarray(length - 4, length) };
}

/** A copy without the mask; `from` is where in the payload it begins. */
function unmasked(data: Buffer, mask: Buffer, from: number): Buffer {
  const plain = Buffer.from(data);
  for (let i = 0; i < plain.length; i++) plain[i] = (plain[i] ?? 0) ^ (mask[(from + i) % 4] ?? 0);
  return plain;
}

/** Payloads of the client's frames, one after the other. */
class FrameReader extends Transform {
  #pending: Buffer = Buffer.alloc(0);
  /** The data frame that is being read, and how much of it has been. */
  #frame: Head | undefined;
  #done = 0;
  #isClosed = false;

  /** `onControl` hears of pings and of the end. */
  constructor(private readonly onControl: (opcode: number, payload: Buffer) => void) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      let rest = Buffer.concat([this.#pending, chunk]);
      for (let left = -1; left !== rest.length && rest.length > 0 && !this.#isClosed;) {
        left = rest.length;
        rest = rest.subarray(this.#frame ? this.#takeData(this.#frame, rest) : this.#takeHead(rest));
      }
      this.#pending = rest;
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  /** How many bytes were taken. */
  #takeData(frame: Head, data: Buffer): number {
    const piece = data.subarray(0, frame.size - this.#done);
    this.push(unmasked(piece, frame.mask, this.#done));
    this.#done += piece.length;
    if (this.#done === frame.size) this.#frame = undefined;
    return piece.length;
  }

  #takeHead(data: Buffer): number {
    const head = headOf(data);
    if (!head) return 0;
    const { opcode, length, size, mask } = head;
    if (opcode < Opcode.close) {
      this.#frame = size > 0 ? head : undefined;
      this.#done = 0;
      return length;
    }
    if (data.length < length + size) return 0;
    this.#isClosed = opcode === Opcode.close;
    if (this.#isClosed) this.push(null);
    this.onControl(opcode, unmasked(data.subarray(length, length + size), mask, 0));
    return length + size;
  }
}

/** Both directions of a WebSocket on `raw`; what is written goes out as frames of `opcode`. */
export function webSocketOn(raw: Hijacked, opcode: typeof Opcode.text | typeof Opcode.binary): Hijacked {
  const { input: from, output: to } = raw;
  const end = (payload: Buffer): void => {
    if (!to.writableEnded) to.end(frameOf(Opcode.close, payload));
  };
  const input = new FrameReader((kind, payload) => {
    if (kind === Opcode.close) end(payload.subarray(0, 2));
    else if (kind === Opcode.ping && !to.writableEnded) to.write(frameOf(Opcode.pong, payload));
  });
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (to.writableEnded) done();
      else to.write(frameOf(opcode, chunk), () => done());
    },
    final(done) {
      end(NORMAL);
      done();
    },
  });
  from.on('error', () => input.destroy());
  to.on('error', () => output.destroy());
  input.on('error', () => to.destroy());
  from.pipe(input);
  return { input, output };
}
