// Images out of the store: the same bytes as came in, read by others too; tags and history.

import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { imageHistory, listImages, resolveImage, saveImages, tagImage } from '../../src/image/index.js';
import type { SavedImage } from '../../src/image/index.js';
import { mustCommand } from '../support/command.js';
import { asTar, imageId, legacyArchive, modernArchive } from './archives.js';
import type { Source } from './archives.js';
import { directory } from './registry-rig.js';
import { base, compressions, rig, source, top } from './seed.js';
import { failure } from './store-rig.js';
import type { StoreRig } from './store-rig.js';
import { tar } from './tar-bytes.js';

async function saved(made: StoreRig, names: readonly string[]): Promise<Buffer> {
  const images: SavedImage[] = [];
  for (const name of names) {
    const image = await resolveImage(made.store, name);
    images.push({ image, names: image.references });
  }
  const parts: Buffer[] = [];
  for await (const part of saveImages(made.store, images)) parts.push(part);
  return Buffer.concat(parts);
}

/** Layers that are hard to give back, by what makes them so. */
const hard: Readonly<Record<string, Buffer>> = {
  'an empty tar': tar([]),
  'no end marker': tar([{ name: 'a', data: 'x' }]).subarray(0, 1024),
  'much padding at the end': Buffer.concat([base, Buffer.alloc(20_000)]),
  'PAX records and long names': tar([
    {
      name: 'short',
      data: 'x'.repeat(700),
      pax: [
        ['path', `${'d'.repeat(120)}/${'f'.repeat(130)}`],
        ['mtime', '1.5'],
      ],
    },
  ]),
  'a file over chunks': tar([
    { name: 'large', data: randomBytes(3_000_001) },
    { name: 'after', data: 'y' },
  ]),
  'hard links and symlinks': tar([
    { name: 'a', data: 'x' },
    { name: 'b', type: '1', linkname: 'a' },
    { name: 'c', type: '2', linkname: 'a' },
  ]),
  'a file twice': tar([
    { name: 'a', data: 'first' },
    { name: 'a', data: 'second' },
  ]),
  'a file that becomes a directory': tar([
    { name: 'a', data: 'first' },
    { name: 'a', type: '5' },
    { name: 'a/b', data: 'x' },
  ]),
  'a directory that becomes a file': tar([
    { name: 'a/', type: '5' },
    { name: 'a/b', data: 'x' },
    { name: 'a', data: 'y' },
  ]),
  'a file that becomes a link': tar([
    { name: 'z', data: '1' },
    { name: 'a', data: 'first' },
    { name: 'a', type: '2', linkname: 'z' },
  ]),
  'a whiteout with data': tar([{ name: '.wh.gone', data: 'why' }]),
  'a file that is removed again': tar([{ name: 'a', data: 'first' }, { name: '.wh.a' }]),
  "aufs's own files": tar([
    { name: '.wh..wh.aufs', data: 'x' },
    { name: '.wh..wh.plnk/1', data: 'y' },
  ]),
  'odd names': tar([
    { name: './x//y', data: 'x' },
    { name: 'caf\xe9', data: 'z' },
  ]),
  'two names of one file': tar([
    { name: './x', data: 'first' },
    { name: 'x', data: 'second' },
  ]),
};

void t.test('layers come back byte for byte', async (t) => {
  for (const [what, layer] of Object.entries(hard)) {
    const made = rig(t);
    const given: Source = { layers: [base, layer], tags: ['hard:1'] };
    await made.load(asTar(legacyArchive(given)));
    const other = rig(t);
    const bytes = await saved(made, ['hard:1']).catch((error: unknown) => error as Error);
    if (bytes instanceof Error) {
      t.fail(`${what}: ${bytes.message}`);
      continue;
    }
    const { images } = await other.load(bytes);
    t.same(images, [{ id: imageId(given), names: ['docker.io/library/hard:1'] }], what);
    t.ok(bytes.includes(layer), what);
    t.same(readdirSync(made.store.tmp), []);
  }
});

void t.test('what Docker, podman and skopeo read; shared layers and configs go once; an image without layers', async (t) => {
  const made = rig(t);
  await made.load(
    asTar(modernArchive({ ...source, compress: compressions['gzip'] ?? ((data) => data), tags: ['busy:1', 'busy:2'] })),
  );
  await made.load(asTar(modernArchive({ layers: [base], tags: ['other:1'] })));
  await made.load(asTar(modernArchive({ layers: [], tags: ['nothing:1'] })));
  const bytes = await saved(made, ['busy:1', 'other:1', 'nothing:1']);
  t.equal(bytes.indexOf(base), bytes.lastIndexOf(base), 'one copy');
  const dir = directory(t);
  const path = join(dir, 'saved.tar');
  writeFileSync(path, bytes);
  const inspect = async (from: string): Promise<string> =>
    (
      JSON.parse(await mustCommand(['skopeo', 'inspect', '--config', '--raw', from])) as { rootfs: { diff_ids: string[] } }
    ).rootfs.diff_ids.join();
  const wanted = (await resolveImage(made.store, 'busy:1')).config.diffIds.map((id) => `sha256:${id}`).join();
  t.equal(await inspect(`docker-archive:${path}:docker.io/library/busy:2`), wanted);
  t.equal(await inspect(`docker-archive:${path}:docker.io/library/nothing:1`), '');
  const other = rig(t);
  const loaded = await other.load(bytes);
  t.same(
    loaded.images.map(({ id, names }) => [id, names.length]),
    (await Promise.all(['busy:1', 'other:1', 'nothing:1'].map(async (name) => resolveImage(made.store, name)))).map(
      ({ id, references }) => [id, references.length],
    ),
  );
  const [low = '', high = ''] = (await resolveImage(made.store, 'busy:1')).config.diffIds;
  t.same(JSON.parse(await mustCommand(['tar', 'xOf', path, 'repositories'])), { busy: { 1: high, 2: high }, other: { 1: low } });
  const one = join(dir, 'one.tar');
  writeFileSync(one, await saved(made, ['other:1']));
  await mustCommand(['skopeo', 'copy', '-q', `oci-archive:${one}:1`, `oci:${join(dir, 'layout')}:x`]);
});

void t.test('a layer whose files changed, or whose record is missing or damaged', async (t) => {
  const made = rig(t);
  await made.load(asTar(modernArchive({ layers: [base, top], tags: ['busy:1'] })));
  const [layer = ''] = (await resolveImage(made.store, 'busy:1')).layers;
  const split = join(dirname(layer), 'tar-split.gz');
  writeFileSync(join(layer, 'etc/new'), 'c');
  t.match(
    await failure(saved(made, ['busy:1'])),
    /layer \w{12}: its files have changed since it was loaded; load the image again/,
  );
  writeFileSync(join(layer, 'etc/new'), '');
  t.match(await failure(saved(made, ['busy:1'])), /etc\/new: it is shorter than it was; load the image again/);
  truncateSync(split, 30);
  t.match(await failure(saved(made, ['busy:1'])), /the record of its archive is damaged: .*; load the image again/);
  rmSync(split);
  t.match(
    await failure(saved(made, ['busy:1'])),
    /the record of its archive is missing: it was loaded by an older version; load the image again/,
  );
  t.same(readdirSync(made.store.tmp), []);
});

void t.test('tags and history', async (t) => {
  const made = rig(t);
  await made.load(asTar(modernArchive({ ...source, tags: ['busy:1'] })));
  await tagImage(made.store, 'busy:1', 'reg.test/x/busy');
  const image = await resolveImage(made.store, 'reg.test/x/busy:latest');
  t.same(image.references, ['docker.io/library/busy:1', 'reg.test/x/busy:latest']);
  t.equal(await failure(tagImage(made.store, 'none', 'x')), 'NoSuchImage: No such image: none:latest');
  t.match(
    await failure(tagImage(made.store, 'busy:1', 'X Y')),
    /invalid reference format: repository name \(library\/X Y\) must be lowercase/,
  );
  const digested = `x@sha256:${image.id}`;
  t.match(await failure(tagImage(made.store, 'busy:1', digested)), /refusing to create a tag with a digest reference/);
  t.same(
    imageHistory(image, [7, 8]).map(({ id, size }) => [id, size]),
    [
      [`sha256:${image.id}`, 8],
      ['<missing>', 7],
    ],
  );
});

void t.test('a thousand images are listed and found quickly', async (t) => {
  const made = rig(t);
  await made.load(asTar(modernArchive({ layers: [base], tags: ['base:1'] })));
  const { record } = await resolveImage(made.store, 'base:1');
  await made.store.transaction((records) =>
    records.commit(
      Array.from({ length: 1000 }, (_, i) => {
        const id = i.toString(16).padStart(64, '0');
        const name = `docker.io/library/many:${i}`;
        return [
          { table: 'image' as const, key: id, value: { ...record, id } },
          { table: 'reference' as const, key: name, value: { name, id } },
        ];
      }).flat(),
    ),
  );
  const start = performance.now();
  const images = await listImages(made.store);
  const listed = performance.now() - start;
  t.equal(images.length, 1001);
  t.ok(images.every(({ references }) => references.length === 1));
  await resolveImage(made.store, 'many:500');
  const found = performance.now() - start - listed;
  t.comment(`listed in ${listed.toFixed(0)} ms, found in ${found.toFixed(0)} ms`);
  t.ok(listed < 3000 && found < 1000, 'not once around all names for each image');
});
