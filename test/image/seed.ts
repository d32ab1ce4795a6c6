// A small image of two layers and a store to load it into, for the tests of loading.

import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import type { Source } from './archives.js';
import { StoreRig } from './store-rig.js';
import { tar } from './tar-bytes.js';

/** A store that the test's end disposes of. */
export function rig(t: { teardown(fn: () => unknown): unknown }): StoreRig {
  const made = new StoreRig();
  t.teardown(() => made.dispose());
  return made;
}

export const through =
  (program: string, ...args: string[]) =>
  (data: Buffer): Buffer =>
    execFileSync(program, args, { input: data, maxBuffer: 1 << 28 });

export const base = tar([
  { name: 'bin/', type: '5' },
  { name: 'bin/sh', data: '#!'.repeat(5000), mode: 0o755 },
  { name: 'etc/', type: '5' },
  { name: 'etc/conf', data: 'a' },
]);
export const top = tar([{ name: 'etc/', type: '5' }, { name: 'etc/.wh.conf' }, { name: 'etc/new', data: 'b' }]);
export const source: Source = { layers: [base, top], tags: ['busy:1'] };

export const compressions: Readonly<Record<string, (data: Buffer) => Buffer>> = {
  plain: (data) => data,
  gzip: (data) => gzipSync(data),
  'gzip of two members': (data) => Buffer.concat([gzipSync(data.subarray(0, 700)), gzipSync(data.subarray(700))]),
  zstd: through('zstd', '-c', '-q'),
  'zstd after a skippable frame': (data) =>
    Buffer.concat([Buffer.from('502a4d180400000000000000', 'hex'), through('zstd', '-c', '-q')(data)]),
  xz: through('xz', '-c'),
  bzip2: through('bzip2', '-c'),
};
