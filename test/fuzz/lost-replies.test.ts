// Replies that nobody gets, because the caller was killed before: what they would have given away is taken back.

import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { IN_HEADER, OUT_HEADER, Opcode } from '../../src/abi/protocol.js';
import { FuzzKernel } from './kernel.js';
import { World } from './world.js';

const ROOT = 1;
const FMODE_EXEC = 0x20;
const FATTR_SIZE = 8;

function message(opcode: number, node: number, body: Buffer): Buffer {
  const bytes = Buffer.alloc(IN_HEADER + body.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(opcode, 4);
  bytes.writeBigUInt64LE(7n, 8);
  bytes.writeBigUInt64LE(BigInt(node), 16);
  bytes.writeUInt32LE(process.pid, 32);
  body.copy(bytes, IN_HEADER);
  return bytes;
}

void t.test('a program whose OPEN was answered to nobody does not run: its file can be truncated', async (t) => {
  const world = new World('union');
  const kernel = new FuzzKernel(world);
  t.teardown(() => {
    kernel.close();
    world.dispose();
  });
  const send = (opcode: number, node: number, body: Buffer): { error: number; payload: Buffer } => {
    const reply = kernel.exchange(message(opcode, node, body)) ?? Buffer.alloc(OUT_HEADER);
    return { error: reply.readInt32LE(4), payload: Buffer.from(reply.subarray(OUT_HEADER)) };
  };
  const node = Number(send(Opcode.LOOKUP, ROOT, Buffer.from('u\0')).payload.readBigUInt64LE(0));
  const openTo = (flags: number): Buffer => {
    const body = Buffer.alloc(8);
    body.writeUInt32LE(flags, 0);
    return message(Opcode.OPEN, node, body);
  };
  const truncate = Buffer.alloc(88);
  truncate.writeUInt32LE(FATTR_SIZE, 0);

  const opened = Buffer.from(kernel.exchange(openTo(FMODE_EXEC)) ?? []);
  t.ok(kernel.lose(openTo(0)));
  t.equal(send(Opcode.SETATTR, node, truncate).error, -errno.ETXTBSY, 'one that runs still does when a reader is lost');
  const release = Buffer.alloc(24);
  opened.copy(release, 0, OUT_HEADER, OUT_HEADER + 8);
  release.writeUInt32LE(FMODE_EXEC, 8);
  send(Opcode.RELEASE, node, release);

  t.ok(kernel.lose(openTo(FMODE_EXEC)));
  t.equal(send(Opcode.SETATTR, node, truncate).error, 0);
  t.equal(kernel.native.stats().handles, 0);
});
