// INIT: what the kernel offers and what we answer.

import { FUSE_KERNEL_MINOR, FUSE_KERNEL_VERSION } from './protocol.js';

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

/** Decodes fuse_init_in; `body` may be the 16-byte form of kernels before 7.36. */
export function readInit(body: Uint8Array): InitIn {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const low = BigInt(view.getUint32(12, true));
  const high = body.byteLength >= 20 ? BigInt(view.getUint32(16, true)) : 0n;
  return {
    major: view.getUint32(0, true),
    minor: view.getUint32(4, true),
    maxReadahead: view.getUint32(8, true),
    flags: low | (high << 32n),
  };
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
