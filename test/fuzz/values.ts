// Values that the fuzzer puts into requests: what exists in its layers, and what stands at an edge.

import { Opcode } from '../../src/abi/protocol.js';

export const NAMES = [
  'f', 'd', 'e', 'u', 'w', 'o', 'big', 'gone', 'stays', 'moved', 'empty', 'out', 'loop', 'pipe', 'socket', 'device', 'suid',
  'linked', 'attributed', 'vol', 'conf', 'ro', 'nested', 'v', 'new', 'a', 'b', 'c', 'g', 'h', 'i', 't', 'own',
]; // prettier-ignore
export const EVIL_NAMES = [
  '', '.', '..', '/', '../outside/secret', '../outside', 'a/b', '/etc/passwd', '../../..', '.wh.f', '.wh..wh..opq', 'x'.repeat(255),
  'x'.repeat(256), 'y'.repeat(5000), '\xff\xfe', 'new\nline', 'd/', './f', '..\x00', '#1', ' ',
]; // prettier-ignore
export const XATTRS = [
  'user.a',
  'user.b',
  'trusted.x',
  'trusted.overlay.opaque',
  'trusted.overlay.redirect',
  'user.overlay.opaque',
  'user.overlay.redirect',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'security.capability',
  'trusted.overlay.overlay.x',
  'user.fuseoverlayfs.opaque',
  'none',
];
export const WORDS = [
  0, 1, 2, 3, 7, 8, 255, 256, 4095, 4096, 65535, 65536, 131072, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
];
export const LONGS = [
  0n,
  1n,
  2n,
  4095n,
  1n << 31n,
  1n << 32n,
  1n << 53n,
  (1n << 53n) + 1n,
  1n << 61n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];
export const MODES = [
  0o644, 0o755, 0, 0o7777, 0o100644, 0o020666, 0o060660, 0o010644, 0o140644, 0o120777, 0o040755, 0o170000, 0o030000,
];
export const OPEN_FLAGS = [0, 1, 2, 0o1001, 0o2001, 0o2002, 0o4000, 0o40000, 0o1000000, 0o10000000, 0o20200002, 3];
export const OPCODES = Object.values(Opcode);
