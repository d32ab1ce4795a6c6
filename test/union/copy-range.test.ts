// copy_file_range inside the union: what takes long is done beside the loop, and in pieces, so that others are served and who
// is killed need not wait for all of it.

import { readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Opcode } from '../../src/abi/protocol.js';
import type { Client } from './client.js';
import { Rig } from './rig.js';

const MIB = 1 << 20;

/** Threads that do what may take long. */
const helpers = (): number =>
  readdirSync('/proc/self/task').filter((id) => readFileSync(`/proc/self/task/${id}/comm`, 'latin1') === 'lamina-blocking\n')
    .length;

/** Bytes copied from the start of `from` to that of `to`. */
function copy(client: Client, from: string, to: string, length: number): unknown {
  const [source, target] = [client.id(from), client.id(to)];
  const [fhIn, fhOut] = [client.open(source, 0), client.open(target, 2)];
  if (typeof fhIn === 'number' || typeof fhOut === 'number') throw new Error('not opened');
  const body = BigUint64Array.from([fhIn, 0n, BigInt(target), fhOut, 0n, BigInt(length), 0n]);
  const reply = client.ask(Opcode.COPY_FILE_RANGE, source, new Uint8Array(body.buffer));
  client.release(source, fhIn);
  client.release(target, fhOut);
  return typeof reply === 'number' ? reply : reply.readUInt32LE(0);
}

void t.test('much is copied beside the loop, in pieces', async (t) => {
  const rig = new Rig(t, [{}]);
  const content = Buffer.alloc(3 * MIB, 'some content ');
  writeFileSync(join(rig.upper, 'small'), 'small');
  writeFileSync(join(rig.upper, 'big'), content);
  writeFileSync(join(rig.upper, 'huge'), '');
  truncateSync(join(rig.upper, 'huge'), 200 * MIB);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(rig.upper, name), '');
  const client = rig.open();
  t.equal(copy(client, 'small', 'a', 5), 5);
  t.equal(helpers(), 0, 'little is copied in place');
  t.equal(copy(client, 'big', 'b', content.length), content.length);
  t.equal(helpers(), 1);
  t.ok(readFileSync(join(rig.upper, 'b')).equals(content));
  t.equal(copy(client, 'huge', 'c', 200 * MIB), 64 * MIB);
});
