// Large layers are unpacked by a process of their own: what they become, what is said of those that cannot be, and what is told
// meanwhile is as with small ones, which are unpacked in place.

import childProcess, { type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { ImageError, type LoadOptions, makeImage, resolveImage } from '../../src/image/index.js';
import { asTar, legacyArchive } from './archives.js';
import { compressions, rig } from './seed.js';
import { type StoreRig, failure } from './store-rig.js';
import { type TarEntry, tar } from './tar-bytes.js';
import { dumpTree } from './tree-dump.js';

/** Those that were started to unpack. */
const started: ChildProcess[] = [];
let fate: 'works' | 'is killed' | 'cannot be started' = 'works';
type Spawn = (...args: readonly unknown[]) => ChildProcess;
const real = childProcess.spawn as Spawn;
(childProcess as { spawn: Spawn }).spawn = (...args) => {
  const isOurs = String(args[1]).includes('unpack-child.js');
  if (isOurs && fate === 'cannot be started') throw new RangeError('no room for another process');
  const child = real(...args);
  if (!isOurs) return child;
  started.push(child);
  if (fate === 'is killed') child.kill('SIGKILL');
  return child;
};

const entries: readonly TarEntry[] = [
  { name: 'd', type: '5', mode: 0o750, uid: 7 },
  { name: 'd/f', data: 'content', mode: 0o4755, pax: [['SCHILY.xattr.user.x', 'y']] },
  { name: 'd/l', type: '2', linkname: 'f' },
  { name: 'e/.wh.gone' },
];
const sizes = { small: 10, large: 2 << 20 };

/** The same entries in a small layer and, after a large file, in a large one. */
const layerOf = (size: number, ...last: readonly TarEntry[]): Buffer =>
  tar([{ name: 'padding', data: randomBytes(size) }, ...entries, ...last]);
const gzip = (data: Buffer): Buffer => gzipSync(data);
const archiveOf = (layer: Buffer, compress?: (data: Buffer) => Buffer): Buffer =>
  asTar(legacyArchive({ layers: [layer], ...(compress ? { compress } : {}) }));

/** Everything in the image's only layer but the padding. */
async function treeOf(made: StoreRig, image: string): Promise<string[]> {
  const { layers } = await resolveImage(made.store, image);
  return dumpTree(layers[0] ?? '').filter((line) => !line.includes('padding'));
}

void t.test('a large layer is unpacked by another process, and is what it would be in place', async (t) => {
  for (const [name, compress] of Object.entries({ plain: undefined, gzip, zstd: compressions['zstd'] })) {
    const trees: string[][] = [];
    for (const [size, bytes] of Object.entries(sizes)) {
      const made = rig(t);
      const told: string[] = [];
      const progress: LoadOptions['progress'] = (event) =>
        void told.push(event.kind === 'layer' ? `${event.done} of ${event.total}` : event.kind);
      started.length = 0;
      await made.load(archiveOf(layerOf(bytes), compress), { progress });
      t.equal(started.length, size === 'large' ? 1 : 0, `${name}, ${size}`);
      t.equal(told.at(-1), 'sync');
      t.match(told.at(-2), /^(\d+) of \1$/, `${name}, ${size}: all of it is told`);
      if (size === 'large') t.ok(told.length > 5, `${name}: piece by piece`);
      t.equal((await resolveImage(made.store, 'test')).size, bytes + 'content'.length);
      trees.push(await treeOf(made, 'test'));
    }
    t.same(trees[1], trees[0], name);
  }
});

void t.test('so is a large layer that comes as a stream', async (t) => {
  const trees: string[][] = [];
  for (const [size, bytes] of Object.entries(sizes)) {
    const made = rig(t);
    let ended = 0;
    async function* pieces(broken?: Error): AsyncGenerator<Buffer> {
      const layer = layerOf(bytes);
      try {
        for (let at = 0; at < layer.length; at += 10_000) yield await Promise.resolve(layer.subarray(at, at + 10_000));
        if (broken) throw broken;
      } finally {
        ended++;
      }
    }
    const make = (layer: AsyncIterable<Buffer>): Promise<string> =>
      makeImage(made.store, { parent: [], lower: [], layer, names: ['docker.io/library/test:latest'], config: configWith });
    started.length = 0;
    await make(pieces());
    t.equal(started.length, size === 'large' ? 1 : 0, size);
    t.equal(ended, 1);
    trees.push(await treeOf(made, 'test'));
    t.equal(await failure(make(pieces(new RangeError('no more')))), 'RangeError: no more', 'what its source says stands');
    t.equal(ended, 2);
    if (size === 'large') {
      fate = 'cannot be started';
      t.teardown(() => (fate = 'works'));
      t.match(await failure(make(pieces())), /no room/);
      t.equal(ended, 3);
      fate = 'works';
    }
    async function* wrong(): AsyncGenerator<Buffer> {
      yield layerOf(bytes, { name: '../x', data: 'y' });
      yield* pieces();
    }
    t.match(await failure(make(wrong())), /^ImageError: the new layer: entry \.\.\/x: .*; nothing was loaded/);
  }
  t.same(trees[1], trees[0]);
});

const configWith = (diffIds: readonly string[]): string =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: diffIds.map((id) => `sha256:${id}`) },
  });

/** The last, which brings no entry, is compressed by a program that is not there. */
const refused: Readonly<Record<string, TarEntry | undefined>> = {
  'an entry': { name: 'x/../../y', data: 'z' },
  'a link': { name: 'x', type: '1', linkname: 'nowhere' },
  'a header': { name: 'x', data: 'y', patch: (header) => void header.fill('?', 124, 136) },
  'a program': undefined,
};

void t.test('what is wrong with a layer is said in the same words', async (t) => {
  const path = process.env['PATH'];
  t.teardown(() => (process.env['PATH'] = path));
  for (const [what, last] of Object.entries(refused)) {
    const compress = last ? gzip : compressions['zstd'];
    const said: string[] = [];
    for (const bytes of Object.values(sizes)) {
      const made = rig(t);
      const archive = archiveOf(layerOf(bytes, ...(last ? [last] : [])), compress);
      if (!last) process.env['PATH'] = '/nonexistent';
      await t.rejects(made.load(archive), ImageError);
      said.push(await failure(made.load(archive)));
      process.env['PATH'] = path;
      t.same(await made.residue(), [], what);
    }
    const [small, large] = said.map((text) => text.replace(/byte \d+/, 'byte N'));
    t.match(small, /^ImageError: .*: .*; /);
    t.equal(large, small, what);
  }
});

void t.test('it ends with an abort, and its death is the end of the load', async (t) => {
  const made = rig(t);
  const archive = archiveOf(layerOf(sizes.large));
  const abort = new AbortController();
  started.length = 0;
  const stop = { signal: abort.signal, progress: (): void => abort.abort(new RangeError('stop')) };
  t.equal(await failure(made.load(archive, stop)), 'RangeError: stop');
  fate = 'is killed';
  t.teardown(() => (fate = 'works'));
  t.match(await failure(made.load(archive)), /^ApartDied: .*layer.tar: .* ended with SIGKILL; load it again$/);
  t.equal(started.length, 2);
  t.ok(started.every(({ exitCode, signalCode }) => (exitCode ?? signalCode) !== null));
  t.same(await made.residue(), []);
});
