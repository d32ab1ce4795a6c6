// Damaged archives: cut short or with one bit turned, at many places and in every format. Each gives a clear error
// and leaves nothing, or (where the damage hits bytes that mean nothing) the very same image.

import { createReadStream, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { loadImage, removeImage, resolveImage } from '../../src/image/index.js';
import { openStore } from '../../src/store/index.js';
import { command } from '../support/command.js';
import { asDirectory, asTar, imageId, legacyArchive, modernArchive, ociLayout } from './archives.js';
import { failure, openDescriptors, StoreRig } from './store-rig.js';
import { tar } from './tar-bytes.js';
import { dumpTree } from './tree-dump.js';

const noise = Buffer.from(Array.from({ length: 6000 }, (_, i) => (i * 7919 + (i >> 3) * 31) & 0xff));
const layers = [
  tar([
    { name: 'd/', type: '5' },
    { name: 'd/noise', data: noise, pax: [['mtime', '1.5']] },
    { name: 'd/l', type: '2', linkname: 'noise' },
  ]),
  tar([{ name: 'd/', type: '5' }, { name: 'd/.wh.l' }]),
];
const compress = (data: Buffer): Buffer => gzipSync(data);
const archives: Readonly<Record<string, Buffer>> = {
  'legacy, plain': asTar(legacyArchive({ layers })),
  'legacy, compressed layers': asTar(legacyArchive({ layers, compress })),
  'OCI, compressed layers': asTar(ociLayout({ layers, compress })),
  'both formats': asTar(modernArchive({ layers })),
  'compressed whole': gzipSync(asTar(legacyArchive({ layers }))),
};

async function tree(rig: StoreRig): Promise<string[]> {
  const image = await resolveImage(rig.store, imageId({ layers }));
  return image.layers.flatMap((dir) => dumpTree(dir));
}

void t.test('an archive cut short', async (t) => {
  for (const [title, whole] of Object.entries(archives)) {
    const rig = new StoreRig();
    // The end marker of a tar, and the blocks before it that the padding fills, hold nothing.
    const meaningful = title === 'compressed whole' ? whole.length : whole.length - 1024 - 511;
    const before = openDescriptors();
    for (let i = 0; i < 25; i++) {
      const length = Math.floor((meaningful * i) / 25);
      const message = await failure(rig.load(whole.subarray(0, length)));
      if (!/^ImageError: .+: .+; .+/.test(message)) t.fail(`${title}, ${length} bytes: ${message}`);
      const left = await rig.residue();
      if (left.length > 0) t.fail(`${title}, ${length} bytes: ${left.join()}`);
    }
    t.equal(openDescriptors(), before, `${title}: no descriptor leaked`);
    await rig.dispose();
  }
});

void t.test('a bit turned', async (t) => {
  const reference = new StoreRig();
  t.teardown(() => reference.dispose());
  await reference.load(archives['legacy, plain'] ?? noise);
  const expected = await tree(reference);
  for (const [title, whole] of Object.entries(archives)) {
    const rig = new StoreRig();
    let refused = 0;
    for (let i = 0; i < 60; i++) {
      const at = Math.floor((whole.length * i) / 60) + (i % 7);
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (i % 8));
      try {
        const { images } = await rig.load(damaged);
        t.equal(images[0]?.id, imageId({ layers }), `${title}, byte ${at}: harmless, so the same image`);
        t.same(await tree(rig), expected);
        await removeImage(rig.store, imageId({ layers }), { force: true });
      } catch (error) {
        refused++;
        t.match(error, { name: 'ImageError', message: /^.+: .+; .+/ }, `${title}, byte ${at}`);
      }
      t.same(await rig.residue(), [], `${title}, byte ${at}: nothing left`);
    }
    t.ok(refused > 20, `${title}: ${refused} of 60 refused`);
    await rig.dispose();
  }
});

void t.test('a damaged file of a layout directory is named', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const dir = asDirectory(ociLayout({ layers, compress }), join(rig.dir, 'layout'));
  for (const name of readdirSync(join(dir, 'blobs/sha256'))) {
    const path = join(dir, 'blobs/sha256', name);
    const whole = readFileSync(path);
    for (const damaged of [
      whole.subarray(0, -1),
      Buffer.concat([whole, Buffer.from('x')]),
      Buffer.from(whole.map((byte, i) => (i === 40 ? byte ^ 4 : byte))),
    ]) {
      writeFileSync(path, damaged);
      t.match(
        await failure(loadImage(rig.store, dir)),
        new RegExp(`layout: (layer )?blobs/sha256/${name}: .+; the archive is damaged`),
      );
      t.same(await rig.residue(), []);
    }
    writeFileSync(path, whole);
  }
  await loadImage(rig.store, dir);
});

void t.test('bytes after a compressed layer are part of its digest', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const trailing = (data: Buffer): Buffer => Buffer.concat([gzipSync(data), Buffer.alloc(3 << 20)]);
  await rig.load(asTar(ociLayout({ layers, compress: trailing })));
  t.equal((await resolveImage(rig.store, 'test')).id, imageId({ layers }));
});

void t.test('a full disk', { skip: process.geteuid?.() === 0 ? false : 'mounting needs root' }, async (t) => {
  const rig = new StoreRig();
  const mounted = await command(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', rig.root]);
  t.equal(mounted.code, 0, mounted.stderr);
  try {
    const store = openStore(rig.root);
    const files = join(rig.dir, 'big.tar');
    writeFileSync(files, asTar(legacyArchive({ layers: [tar([{ name: 'big', data: Buffer.alloc(4 << 20, 'x') }])] })));
    t.match(
      await failure(loadImage(store, files)),
      /^ImageError: .*entry big: cannot write it: no space left on device; nothing was loaded: free some space/,
    );
    t.match(
      await failure(loadImage(store, createReadStream(files))),
      /^ImageError: standard input: cannot write: no space left on device; nothing was loaded: free some space/,
    );
    t.same(readdirSync(join(rig.root, 'tmp')), []);
    t.same(readdirSync(join(rig.root, 'layers')), []);
    await store.close();
  } finally {
    await command(['umount', rig.root]);
    await rig.dispose();
  }
});
