// Loads that are killed, and loads at the same time: never half a layer, never a record without its directory.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { loadImage, removeImage, resolveImage } from '../../src/image/index.js';
import { sys } from '../../src/native/load.js';
import { openStore } from '../../src/store/index.js';
import { asTar, imageId, legacyArchive } from './archives.js';
import type { Source } from './archives.js';
import { StoreRig } from './store-rig.js';
import { tar } from './tar-bytes.js';
import type { TarEntry } from './tar-bytes.js';
import { dumpTree } from './tree-dump.js';

const files = (seed: string): TarEntry[] =>
  Array.from({ length: 300 }, (_, i) => ({ name: `d${i % 10}/f${i}`, data: `${seed}${i}`.repeat(1000) }));
const source: Source = { layers: ['a', 'b', 'c', 'd'].map((seed) => tar(files(seed))), tags: ['many:1'] };

interface Child {
  readonly exit: Promise<unknown[]>;
  readonly kill: () => void;
  /** Resolves when it has stopped where it should: false when it ended without. */
  readonly paused: Promise<boolean>;
}

/**
 * Loads `archive` in a process of its own, which stops dead before call number `count` of `stage`: `progress` is the
 * load's report, `rename` and `fsync` are of node:fs, `batch` is the database's, `end` is after the load.
 */
function loader(root: string, archive: string, stage = '', count = 0): Child {
  const at = (name: string): string => JSON.stringify(join(__dirname, '../../src', name));
  const script = `const fs = require('node:fs'); const { ClassicLevel } = require('classic-level'); let left = ${count};
    const stop = (stage) => { if (stage !== ${JSON.stringify(stage)} || left-- > 0) return;
      fs.writeSync(1, 'paused'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); };
    const wrap = (object, name, stage) => { const call = object[name]; object[name] = function (...args) { stop(stage); return call.apply(this, args); }; };
    wrap(fs, 'renameSync', 'rename'); wrap(fs, 'fsync', 'fsync'); wrap(ClassicLevel.prototype, '_batch', 'batch');
    const { loadImage } = require(${at('image/index.js')}); const { openStore } = require(${at('store/index.js')});
    loadImage(openStore(process.argv[1]), process.argv[2], { progress: () => stop('progress') })
      .then(() => stop('end'), (e) => { console.error(e); process.exitCode = 1; });`;
  const child = spawn(process.execPath, ['-e', script, root, archive], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  return {
    exit,
    kill: () => child.kill('SIGKILL'),
    paused: Promise.race([once(child.stdout, 'data').then(() => true), exit.then(() => false)]),
  };
}

async function whole(rig: StoreRig): Promise<string[]> {
  const image = await resolveImage(rig.store, 'many:1');
  return image.layers.map((dir) => dumpTree(dir).length.toString());
}

const stages: readonly (readonly [stage: string, count: number])[] = [
  ...[0, 1, 2, 3, 4].map((count) => ['progress', count] as const),
  ...[0, 1, 3].map((count) => ['rename', count] as const),
  ['fsync', 0],
  ['batch', 0],
  ['end', 0],
];

void t.test('a load killed at any stage leaves all or nothing after the next open', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const archive = join(rig.dir, 'a.tar');
  writeFileSync(archive, asTar(legacyArchive(source)));
  await rig.residue();
  for (const [stage, count] of stages) {
    const title = `${stage} ${count}`;
    const child = loader(rig.root, archive, stage, count);
    t.teardown(child.kill);
    t.ok(await child.paused, `${title}: it got there`);
    if (stage === 'rename' && count > 0)
      t.equal(readdirSync(join(rig.root, 'layers')).length, count, `${title}: layers without a record`);
    child.kill();
    await child.exit;
    openStore(rig.root);
    if (stage !== 'end') {
      t.same(await rig.residue(), [], `${title}: nothing`);
      continue;
    }
    t.same(
      await whole(rig),
      Array.from({ length: 4 }, () => '311'),
      `${title}: everything`,
    );
    t.same(readdirSync(join(rig.root, 'tmp')), []);
  }
});

void t.test('layers are on disk before they are published', async (t) => {
  const rig = new StoreRig();
  const { syncfsAsync } = sys;
  t.teardown(() => rig.dispose());
  t.teardown(() => (sys.syncfsAsync = syncfsAsync));
  const published: number[] = [];
  sys.syncfsAsync = (fd) => {
    published.push(readdirSync(join(rig.root, 'layers')).length);
    return syncfsAsync(fd);
  };
  await rig.load(asTar(legacyArchive(source)));
  t.same(published, [0], 'one sync for the whole load, before the first rename');
  sys.syncfsAsync = async () => -errno.EIO;
  const other = asTar(legacyArchive({ layers: [tar(files('z'))] }));
  await t.rejects(rig.load(other), {
    name: 'ImageError',
    message: /cannot write the layers to disk: input\/output error; nothing was loaded/,
  });
  t.equal(readdirSync(join(rig.root, 'layers')).length, 4);
});

void t.test('two loads of one image at once', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const archive = join(rig.dir, 'a.tar');
  writeFileSync(archive, asTar(legacyArchive(source)));
  const children = [loader(rig.root, archive), loader(rig.root, archive)];
  const here = [loadImage(rig.store, archive), loadImage(openStore(rig.root), archive)];
  for (const child of children) t.same(await child.exit, [0, null]);
  await Promise.all(here);
  const image = await resolveImage(rig.store, 'many:1');
  t.equal(image.id, imageId(source));
  for (const dir of image.layers) t.ok(existsSync(join(dir, 'd9/f299')));
  t.equal(readdirSync(join(rig.root, 'layers')).length, 4);
  t.same(readdirSync(join(rig.root, 'tmp')), []);
  await removeImage(rig.store, 'many:1');
  t.same(await rig.residue(), [], 'each layer is counted once');
});

void t.test('a layer removed while an image that needs it is being loaded is unpacked again', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const layers = source.layers.slice(0, 2);
  await rig.load(asTar(legacyArchive({ layers: layers.slice(0, 1), tags: ['base:1'] })));
  let removed: Promise<unknown> | undefined;
  const progress = (): void => {
    removed ??= removeImage(rig.store, 'base:1');
  };
  await rig.load(asTar(legacyArchive({ layers, tags: ['many:1'] })), { progress });
  await removed;
  const image = await resolveImage(rig.store, 'many:1');
  t.equal(image.layers.length, 2);
  for (const dir of image.layers) t.ok(existsSync(join(dir, 'd9/f299')), dir);
});
