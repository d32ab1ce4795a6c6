// INIT: what the kernel offers and what we answer.

import { FUSE_KERNEL_MINOR, FUSE_KERNEL_VERSION, InitFlag } from './protocol.js';

export interface InitIn {
  major: number;
  minor: number;
  maxReadahead: number;
  /** All 64 bits. */
  flags: bigint;
}

export interface InitOut {
  minor: number;
  maxReadahead: number;
  flags: bigint;
  maxBackground: number;
  congestionThreshold: number;
  /** Bytes. */
  maxWrite: number;
  maxPages: number;
  /** 1 or 2 turns passthrough on (how deep its backing files may be stacked), 0 off. */
  maxStackDepth: number;
}

export const INIT_OUT = 64;

/** Decodes fuse_init_in; `body` may be the 16-byte form of kernels before 7.36. What is cut off reads as 0. */
export function readInit(body: Uint8Array): InitIn {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const word = (at: number): number => (at + 4 <= body.byteLength ? view.getUint32(at, true) : 0);
  const low = BigInt(word(12));
  // Without INIT_EXT the words after the first flags have no meaning (Linux: process_init_reply does the same).
  const high = low & InitFlag.INIT_EXT ? BigInt(word(16)) : 0n;
  return { major: word(0), minor: word(4), maxReadahead: word(8), flags: low | (high << 32n) };
}

/** Encodes fuse_init_out at the start of `out`; returns its length. */
export function writeInit(out: Uint8Array, init: InitOut): number {
  out.fill(0, 0, INIT_OUT);
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  view.setUint32(0, FUSE_KERNEL_VERSION, true);
  view.setUint32(4, Math.min(init.minor, FUSE_KERNEL_MINOR), true);
  view.setUint32(8, init.maxReadahead, true);
  view.setUint32(12, Number(init.flags & 0xffffffffn), true);
  view.setUint16(16, init.maxBackground, true);
  view.setUint16(18, init.congestionThreshold, true);
  view.setUint32(20, init.maxWrite, true);
  view.setUint32(24, 1, true); // time granularity, ns
  view.setUint16(28, init.maxPages, true);
  view.setUint32(32, Number(init.flags >> 32n), true);
  view.setUint32(36, init.maxStackDepth, true);
  return INIT_OUT;
}
