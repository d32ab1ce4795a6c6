// A stream's compression is told by its first bytes, in whatever pieces they come.

import { gzipSync } from 'node:zlib';
import { Readable } from 'node:stream';
import t from 'tap';
import { plainTar } from '../../src/image/compression.js';

void t.test('a compression is known however little comes first', async (t) => {
  const plain = Buffer.alloc(5000, 'tar');
  const packed = gzipSync(plain);
  for (const bytes of [plain, packed]) {
    const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 9), bytes.subarray(9)];
    const found: Buffer[] = [];
    for await (const chunk of plainTar(Readable.from(pieces))) found.push(chunk);
    t.ok(Buffer.concat(found).equals(plain));
  }
});
