// The two kinds of trees a volume is filled from: a plain directory, taken as it is, and layers, taken as their union.

import { closeSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sys } from '../../src/native/load.js';
import { mergedSource } from '../../src/volume/merged-source.js';
import { populate, populateFrom } from '../../src/volume/populate.js';
import { directorySource } from '../../src/volume/source.js';
import { openDescriptors } from '../image/store-rig.js';
import { dumpTree, xattrsOf } from '../image/tree-dump.js';
import { VolumeRig } from './rig.js';

const skip = process.geteuid?.() === 0 ? false : 'needs root, for trusted attributes and devices';

function rigFor(test: { teardown(end: () => Promise<void>): unknown }): VolumeRig {
  const rig = new VolumeRig();
  test.teardown(() => rig.dispose());
  return rig;
}

const MARKED = `mkdir -p data/opaque; touch data/.wh.gone; echo x > data/there; mknod data/zero c 0 0
  setfattr -n trusted.overlay.opaque -v y data/opaque; setfattr -n trusted.overlay.overlay.redirect -v mine data/there
  setfattr -n user.overlay.origin -v o data/there; setfattr -n user.plain -v p data/there; touch -d @1000000000.123456789 data/opaque data`;

void t.test('a plain directory is copied as it is, marks of layers too', { skip }, async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', MARKED);
  const volume = rig.volume();
  const before = openDescriptors();
  const fd = openSync(join(layer, 'data'), 'r');
  test.equal(populateFrom(volume, directorySource(fd)), 'filled');
  closeSync(fd);
  test.equal(openDescriptors(), before);
  test.same(dumpTree(volume), dumpTree(join(layer, 'data')));
});

void t.test('of a layer the marks do not show, and what a user named so is unescaped', { skip }, async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', MARKED);
  const volume = rig.volume();
  test.equal(populate(volume, [layer], '/data', 'trusted'), 'filled');
  test.same(readdirSync(volume).sort(), ['opaque', 'there']);
  test.same([...xattrsOf(join(volume, 'opaque')).keys()], []);
  test.same(
    [...xattrsOf(join(volume, 'there'))].map(([name, value]) => `${name}=${value.toString()}`),
    ['trusted.overlay.redirect=mine', 'user.plain=p'],
  );
});

void t.test('hard links that are shown from one layer stay links, others are files of their own', async (test) => {
  const rig = rigFor(test);
  const top = rig.layer('top', 'mkdir -p d; echo 1 > d/a; ln d/a d/b');
  const low = rig.layer('low', 'mkdir -p d; echo 2 > d/a; ln d/a d/c; ln d/a d/e; ln d/a outside');
  const volume = rig.volume();
  test.equal(populate(volume, [top, low], '/d', 'user'), 'filled');
  const links = dumpTree(volume)
    .slice(1)
    .map((line) => `${line.split(' | ')[0]} ${line.split(' | ').at(-1)}`);
  test.same(links, ['/a ', '/b same as /a', '/c ', '/e same as /c']);
});

void t.test('a directory that cannot be listed is an error of the tree, and nothing stays open', async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', 'mkdir -p a/b');
  const before = openDescriptors();
  const fd = openSync(layer, 'r');
  const opened = directorySource(fd).open();
  if (typeof opened === 'number') return test.fail('it opens');
  const [entry] = opened.entries;
  test.equal(entry?.name, 'a');
  const inner = opened.subdirectory(entry ?? { name: '', dirfd: -1, type: 0 });
  opened.close();
  sys.unlinkat(fd, 'a/b', 0x200);
  sys.unlinkat(fd, 'a', 0x200);
  test.equal(inner.open(), -2);
  closeSync(fd);
  test.equal(openDescriptors(), before);
});

void t.test('a union of many layers closes what it opened', async (test) => {
  const rig = rigFor(test);
  const layers = Array.from({ length: 60 }, (_, i) =>
    rig.layer(`l${i}`, `mkdir -p a/b/c; echo ${i} > a/b/c/f${i}; echo ${i} > a/b/same`),
  );
  const before = openDescriptors();
  const volume = rig.volume();
  test.equal(populate(volume, layers, '/a/b', 'user'), 'filled');
  test.equal(readdirSync(join(volume, 'c')).length, 60);
  test.equal(populate(rig.volume('other'), layers, '/a/nothing', 'user'), 'no source');
  const source = mergedSource(layers, '/a/../a/b', 'user');
  test.ok(source.directory);
  source.close();
  test.equal(openDescriptors(), before);
});
