// INIT, from literals of include/uapi/linux/fuse.h 7.45.

import t from 'tap';
import { INIT_OUT, readInit, writeInit } from '../../src/abi/init.js';
import { FUSE_KERNEL_MINOR, InitFlag } from '../../src/abi/protocol.js';
import { bytes } from './wire-bytes.js';

const long = bytes(
  '07000000', // major
  '2d000000', // minor
  '00000200', // max_readahead
  'fbff0f73', // flags
  'ff010000', // flags2
  '00'.repeat(44), // unused[11]
);

void t.test('the 64-byte form has 64 flags', async (t) => {
  t.same(readInit(long), { major: 7, minor: 45, maxReadahead: 0x20000, flags: 0x1ff_730ffffbn });
});

void t.test('the 16-byte form of old kernels has 32 flags', async (t) => {
  const short = long.subarray(0, 16);
  t.same(readInit(short), { major: 7, minor: 45, maxReadahead: 0x20000, flags: 0x730ffffbn });
});

void t.test('the form without a second flag word has 32 flags', async (t) => {
  t.equal(readInit(long.subarray(0, 19)).flags, 0x730ffffbn);
});

void t.test('the second word counts only when the first says that it is there', async (t) => {
  const noExt = Buffer.from(long);
  noExt.writeUInt32LE(0x330ffffb, 12); // INIT_EXT (bit 30) off: the word after it means nothing
  t.equal(readInit(noExt).flags, 0x330ffffbn);
});

void t.test('the top bit of either word is a flag like any other', async (t) => {
  const top = bytes('07000000', '24000000', 'ffffffff', '000000c0', '00000080');
  t.same(readInit(top), { major: 7, minor: 36, maxReadahead: 0xffffffff, flags: 0x80000000_c0000000n });
});

void t.test('a body that ends before the flags offers nothing', async (t) => {
  for (const length of [0, 4, 8, 12, 15]) {
    t.doesNotThrow(() => readInit(long.subarray(0, length)), `${length} bytes`);
    t.equal(readInit(long.subarray(0, length)).flags, 0n, `${length} bytes`);
  }
  t.equal(readInit(Buffer.alloc(0)).major, 0, 'which is no version that is spoken');
});

void t.test('a body in the middle of a buffer is read from where it begins', async (t) => {
  const around = Buffer.concat([bytes('ffffffff ffffffff'), long]);
  t.same(readInit(around.subarray(8)), readInit(long));
});

const answer = {
  minor: 45,
  maxReadahead: 0x20000,
  flags: InitFlag.PASSTHROUGH | InitFlag.INIT_EXT | InitFlag.MAX_PAGES | InitFlag.ASYNC_READ,
  maxBackground: 64,
  congestionThreshold: 48,
  maxWrite: 1 << 20,
  maxPages: 256,
  maxStackDepth: 1,
};

void t.test('the answer is written field by field', async (t) => {
  const out = new Uint8Array(80).fill(0xee);
  t.equal(writeInit(out, answer), INIT_OUT);
  t.equal(
    Buffer.from(out).toString('hex'),
    bytes(
      '07000000', // major
      '2d000000', // minor
      '00000200', // max_readahead
      '01004040', // flags: ASYNC_READ, MAX_PAGES, INIT_EXT
      '4000', // max_background
      '3000', // congestion_threshold
      '00001000', // max_write
      '01000000', // time_gran
      '0001', // max_pages
      '0000', // map_alignment
      '20000000', // flags2: PASSTHROUGH
      '01000000', // max_stack_depth
      '0000', // request_timeout
      '00'.repeat(22), // unused[11]
      'ee'.repeat(16), // beyond it
    ).toString('hex'),
  );
});

void t.test('we never claim a newer protocol than ours', async (t) => {
  const out = new Uint8Array(INIT_OUT);
  writeInit(out, { ...answer, minor: FUSE_KERNEL_MINOR + 5 });
  t.equal(readInit(out).minor, FUSE_KERNEL_MINOR);
  writeInit(out, { ...answer, minor: 36 });
  t.equal(readInit(out).minor, 36);
});

void t.test('the first 16 bytes of an answer read back as they were written', async (t) => {
  const out = new Uint8Array(INIT_OUT);
  writeInit(out, answer);
  t.same(readInit(out.subarray(0, 16)), { major: 7, minor: 45, maxReadahead: 0x20000, flags: answer.flags & 0xffffffffn });
});
