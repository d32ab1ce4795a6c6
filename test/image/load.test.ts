// Archives of every format and compression give the same image; names, platforms, sharing and removal of layers.

import { spawnSync } from 'node:child_process';
import { createReadStream, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as tarStream from 'tar-stream';
import { listImages, loadImage, removeImage, resolveImage } from '../../src/image/index.js';
import { mustCommand } from '../support/command.js';
import {
  asDirectory,
  asTar,
  finishLayout,
  imageId,
  legacyArchive,
  modernArchive,
  ociLayout,
  putImage,
  putIndex,
  sha256,
} from './archives.js';
import type { Files } from './archives.js';
import { failure } from './store-rig.js';
import { tar } from './tar-bytes.js';
import { dumpTree } from './tree-dump.js';
import { base, compressions, rig, source, top } from './seed.js';

void t.test('every format in every compression', async (t) => {
  for (const [name, compress] of Object.entries(compressions)) {
    for (const [format, make] of Object.entries({ legacyArchive, modernArchive, ociLayout })) {
      const made = rig(t);
      const files = make({ ...source, compress });
      const loads: Readonly<Record<string, () => Promise<unknown>>> = {
        'tar on stdin': () => made.load(asTar(files)),
        'compressed tar on stdin': () => made.load(compress(asTar(files))),
        'tar file': () => {
          writeFileSync(join(made.dir, 'a.tar'), asTar(files));
          return loadImage(made.store, join(made.dir, 'a.tar'));
        },
        directory: () => loadImage(made.store, asDirectory(files, join(made.dir, 'layout'))),
      };
      for (const [how, load] of Object.entries(loads)) {
        await load();
        const image = await resolveImage(made.store, 'busy:1');
        t.equal(image.id, imageId(source), `${format}, layers ${name}, ${how}`);
        t.same(readdirSync(join(image.layers[0] ?? '', 'etc')).sort(), ['conf', 'new'], 'topmost first');
        await removeImage(made.store, 'busy:1');
        t.same(await made.residue(), []);
      }
    }
  }
});

void t.test('an archive of tar-stream, with a symlinked layer and a stray entry', async (t) => {
  const made = rig(t);
  const pack = tarStream.pack();
  for (const [name, data] of legacyArchive(source)) {
    if (name.endsWith('layer.tar')) {
      pack.entry({ name: `${sha256(data)}.tar` }, data);
      pack.entry({ name, type: 'symlink', linkname: `../${sha256(data)}.tar` });
    } else pack.entry({ name }, data);
  }
  pack.entry({ name: 'README', type: 'file' }, 'hello');
  pack.finalize();
  await loadImage(made.store, pack as unknown as NodeJS.ReadableStream);
  t.equal((await resolveImage(made.store, 'busy:1')).layers.length, 2);
});

void t.test('a layer whose first file is called BZh', async (t) => {
  const made = rig(t);
  await made.load(asTar(legacyArchive({ layers: [tar([{ name: 'BZh9', data: 'x' }])], tags: ['b:1'] })));
  t.same(readdirSync((await resolveImage(made.store, 'b:1')).layers[0] ?? ''), ['BZh9']);
});

void t.test('names', async (t) => {
  const made = rig(t);
  const load = async (files: Files, name?: string) =>
    (await made.load(asTar(files), { name })).images.map((image) => image.names);
  t.same(await load(legacyArchive({ ...source, tags: ['a', 'quay.io/x/y:2', 'localhost:5000/z'] })), [
    ['docker.io/library/a:latest', 'quay.io/x/y:2', 'localhost:5000/z:latest'],
  ]);
  t.same(await load(legacyArchive({ ...source, tags: [] })), [[]]);
  t.same(await load(ociLayout({ ...source, tags: ['latest'] })), [[]], 'a bare tag is no name');
  t.same(await load(ociLayout({ ...source, tags: ['user/app'] })), [['docker.io/user/app:latest']]);
  t.same(await load(ociLayout({ ...source, tags: ['latest'] }), 'mine:7'), [['docker.io/library/mine:7']]);
  const image = await resolveImage(made.store, imageId(source).slice(0, 6));
  t.same(image.references, [
    'docker.io/library/a:latest',
    'docker.io/library/mine:7',
    'docker.io/user/app:latest',
    'localhost:5000/z:latest',
    'quay.io/x/y:2',
  ]);
  const files: Files = new Map();
  const other = { layers: [base], created: '2026-05-05T00:00:00Z' };
  finishLayout(files, [
    putImage(files, source, {
      annotations: { 'io.containerd.image.name': 'docker.io/library/one:1', 'org.opencontainers.image.ref.name': '1' },
    }),
    putImage(files, other, { annotations: { 'org.opencontainers.image.ref.name': 'two:2' } }),
  ]);
  t.same(await load(files), [['docker.io/library/one:1'], ['docker.io/library/two:2']], 'two images in one layout');
  t.equal((await resolveImage(made.store, 'two:2')).id, imageId(other));
  t.match(await failure(made.load(asTar(files), { name: 'x' })), /holds 2 images, and one name was given/);
  await made.load(asTar(ociLayout({ ...other, tags: ['a:latest'] })));
  t.equal((await resolveImage(made.store, 'a')).id, imageId(other), 'a name moves to the image loaded last');
});

void t.test('a name with a digest finds the image by its manifest or its id', async (t) => {
  const made = rig(t);
  await made.load(asTar(ociLayout(source)));
  const { record, id } = await resolveImage(made.store, 'busy:1');
  for (const digest of [record.manifest, id])
    for (const name of ['busy', 'busy:1']) t.equal((await resolveImage(made.store, `${name}@sha256:${digest}`)).id, id);
  t.match(await failure(resolveImage(made.store, `other@sha256:${id}`)), /No such image: other@sha256/);
  t.match(await failure(resolveImage(made.store, 'nope')), /^NoSuchImage: No such image: nope:latest$/);
  t.match(await failure(resolveImage(made.store, 'Nope')), /must be lowercase/);
});

void t.test('platforms and nested indexes', async (t) => {
  const made = rig(t);
  const files: Files = new Map();
  const foreign = { layers: [base], architecture: 'mips64' };
  const attestation = putImage(
    files,
    { layers: [top] },
    {
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    },
  );
  const mine = putImage(files, source, {
    platform: { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch },
  });
  const theirs = putImage(files, foreign, { platform: { os: 'linux', architecture: 'mips64' } });
  const inner = putIndex(files, [attestation, theirs, mine]);
  finishLayout(files, [{ ...putIndex(files, [inner]), annotations: { 'org.opencontainers.image.ref.name': 'multi:1' } }]);
  await made.load(asTar(files));
  t.equal((await resolveImage(made.store, 'multi:1')).id, imageId(source));
  const { images } = await made.load(asTar(files), { platform: { os: 'linux', architecture: 'mips64' } });
  t.equal(images[0]?.id, imageId(foreign));
  t.match(
    await failure(made.load(asTar(files), { platform: { os: 'linux', architecture: 'vax' } })),
    /no image for linux\/vax; it offers: linux\/mips64, linux\/\w+; save the image/,
  );
  let nest = inner;
  for (let i = 0; i < 10; i++) nest = putIndex(files, [nest]);
  t.match(await failure(made.load(asTar(finishLayout(files, [nest])))), /more than 8 indexes/);
});

void t.test('layers are unpacked once and live as long as an image uses them', async (t) => {
  const made = rig(t);
  await made.load(asTar(legacyArchive(source)));
  const first = await resolveImage(made.store, 'busy:1');
  const sharing = { layers: [base, base, tar([{ name: 'x', data: 'x' }]), base], tags: ['other:1'] };
  const missing = legacyArchive(sharing);
  for (const [name, data] of missing) if (data.equals(base)) missing.delete(name);
  await made.load(asTar(missing));
  const second = await resolveImage(made.store, 'other:1');
  t.equal(second.layers.length, 2, 'a layer that occurs again counts once');
  t.equal(second.layers[0], first.layers[1], 'the same directory, needing no data in the archive');
  t.equal(readdirSync(join(made.root, 'layers')).length, 3);
  const gone = await removeImage(made.store, 'busy:1');
  t.same(gone.untagged, ['docker.io/library/busy:1']);
  t.equal(gone.deleted.length, 2, 'the image and its own layer');
  t.ok(existsSync(second.layers[0] ?? ''), 'the shared layer stays');
  await removeImage(made.store, second.id.slice(0, 12));
  t.same(await made.residue(), []);
});

void t.test(
  'directories that a tar leaves out are as in the layers below',
  { skip: process.geteuid?.() === 0 ? false : 'owners need root' },
  async (t) => {
    const below = tar([
      { name: 'etc/', type: '5', mode: 0o700, uid: 7, gid: 8, mtime: 1_111_111_111, pax: [['SCHILY.xattr.user.a', 'b']] },
      { name: 'lib', type: '2', linkname: 'usr/lib' },
      { name: 'usr/', type: '5' },
      { name: 'usr/lib/', type: '5', mode: 0o751 },
      { name: 'old/', type: '5', mode: 0o700 },
      { name: 'opq/', type: '5', mode: 0o711 },
      { name: 'opq/in/', type: '5', mode: 0o700 },
      { name: 'file' },
    ]);
    const middle = tar([{ name: 'unrelated', data: 'x' }, { name: '.wh.old' }]);
    const above = tar([
      { name: 'etc/x', data: 'x' },
      { name: 'lib/y', data: 'y' },
      { name: 'old/z' },
      { name: 'opq/.wh..wh..opq' },
      { name: 'opq/in/w' },
      { name: 'file/now/a' },
    ]);
    const made = rig(t);
    await made.load(asTar(legacyArchive({ layers: [below, middle, above], tags: ['one:1'] })));
    const one = await resolveImage(made.store, 'one:1');
    const lines = dumpTree(one.layers[0] ?? '');
    t.match(
      lines.find((line) => line.startsWith('/etc |')),
      /^\/etc \| 40700 \| 7:8 \|  \| 1111111111000000000 \|  \|  \| user.a=62 \| $/,
    );
    t.match(
      lines.find((line) => line.startsWith('/usr/lib |')),
      /\| 40751 \|/,
      'a symlink below is followed',
    );
    t.ok(lines.some((line) => line.startsWith('/usr/lib/y |')));
    t.notOk(lines.some((line) => line.startsWith('/lib |')));
    for (const path of ['/old', '/opq/in', '/file'])
      t.match(
        lines.find((line) => line.startsWith(`${path} |`)),
        /\| 40755 \| 0:0 /,
        `${path} is new`,
      );
    t.match(
      lines.find((line) => line.startsWith('/opq |')),
      /\| 40711 \|/,
    );
    await made.load(asTar(legacyArchive({ layers: [tar([{ name: 'etc/', type: '5', mode: 0o750 }]), above], tags: ['two:1'] })));
    const two = await resolveImage(made.store, 'two:1');
    t.not(two.layers[0], one.layers[0], 'over other layers it is another tree');
    t.match(
      dumpTree(two.layers[0] ?? '').find((line) => line.startsWith('/etc |')),
      /\| 40750 \|/,
    );
    await made.load(asTar(legacyArchive({ layers: [above], tags: ['three:1'] })));
    await made.load(asTar(legacyArchive({ layers: [below, middle, above, above], tags: ['four:1'] })));
    t.equal((await resolveImage(made.store, 'four:1')).layers.length, 4);
    for (const name of ['one:1', 'two:1', 'three:1', 'four:1']) await removeImage(made.store, name);
    t.same(await made.residue(), []);
  },
);

const present = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

void t.test(
  'archives of podman and skopeo',
  { skip: present('podman') && present('skopeo') ? false : 'podman and skopeo are not installed' },
  async (t) => {
    const made = rig(t);
    const at = (name: string): string => join(made.dir, name);
    writeFileSync(at('seed.tar'), asTar(legacyArchive({ ...source, tags: ['seed:1'] })));
    for (const [to, path] of [
      [`docker-archive:${at('d.tar')}:seed:1`, 'd.tar'],
      [`oci-archive:${at('o.tar')}:seed:1`, 'o.tar'],
      [`oci:${at('dir')}:seed:1`, 'dir'],
    ] as const) {
      await mustCommand(['skopeo', '--insecure-policy', 'copy', '-q', `docker-archive:${at('seed.tar')}`, to], {
        limitMs: 60_000,
      });
      await loadImage(made.store, at(path));
      const image = await resolveImage(made.store, 'seed:1');
      t.same(readdirSync(join(image.layers[0] ?? '', 'etc')).sort(), ['conf', 'new'], to);
      await removeImage(made.store, 'seed:1');
    }
    const podman = ['podman', '--root', at('pr'), '--runroot', at('prr'), '--events-backend=file'];
    await mustCommand([...podman, 'load', '-q', '-i', at('seed.tar')], { limitMs: 60_000 });
    t.teardown(() => mustCommand([...podman, 'rmi', '-a', '-f'], { limitMs: 60_000 }));
    for (const format of ['docker-archive', 'oci-archive']) {
      await mustCommand([...podman, 'save', '-q', '--format', format, '-o', at(format), 'localhost/seed:1'], { limitMs: 60_000 });
      await loadImage(made.store, createReadStream(at(format)));
      const image = await resolveImage(made.store, 'localhost/seed:1');
      t.equal(readFileSync(join(image.layers[0] ?? '', 'etc/new'), 'latin1'), 'b', `podman save --format ${format}`);
      rmSync(at(format));
      await removeImage(made.store, image.id);
    }
    t.same(await made.residue(), []);
  },
);

void t.test('images are listed last created first', async (t) => {
  const made = rig(t);
  for (const [i, created] of ['2024-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '2025-01-01T00:00:00Z'].entries()) {
    await made.load(asTar(legacyArchive({ layers: [base], tags: [`i:${i}`], created })));
  }
  t.same(
    (await listImages(made.store)).map((image) => image.references[0]),
    ['i:1', 'i:2', 'i:0'].map((name) => `docker.io/library/${name}`),
  );
});
