// Which layers a name comes from: whiteouts, opaque directories and redirects in every format, many layers.

import { truncateSync } from 'node:fs';
import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { type Maker, type Spec, dir, file, symlink, whiteout, withXattrs } from './disk.js';
import { Rig } from './rig.js';

const ENOENT = -errno.ENOENT;

const whiteouts: Readonly<Record<string, Spec>> = {
  'a character device 0:0': { 'd/gone': whiteout() },
  'a .wh. file': { 'd/.wh.gone': '' },
  'trusted.overlay.whiteout': {
    'd/': withXattrs(dir(), { 'trusted.overlay.opaque': 'x' }),
    'd/gone': withXattrs(file(''), { 'trusted.overlay.whiteout': '' }),
  },
  'user.overlay.whiteout': {
    'd/': withXattrs(dir(), { 'user.overlay.opaque': 'x' }),
    'd/gone': withXattrs(file(''), { 'user.overlay.whiteout': '' }),
  },
};

for (const [format, top] of Object.entries(whiteouts)) {
  for (const [kind, below] of [
    ['a file', { 'd/gone': 'x' }],
    ['a directory', { 'd/gone/f': 'x' }],
  ] as const) {
    void t.test(`${format} hides ${kind} below it`, async (t) => {
      const rig = new Rig(t, [{}, top, { ...below, 'd/here': 'h' }]);
      const client = rig.open();
      t.equal(client.lookup('d/gone'), ENOENT);
      t.equal(client.lookup('d/.wh.gone'), ENOENT);
      t.equal(client.read('d/here'), 'h');
      t.same(client.names('d'), ['here']);
    });
  }
}

void t.test('a whiteout hides nothing above it', async (t) => {
  for (const top of Object.values(whiteouts)) {
    const client = new Rig(t, [{ 'd/gone/a': '1' }, top, { 'd/gone/b': '2' }]).open();
    t.same(client.names('d/gone'), ['a']);
  }
});

const opaques: Readonly<Record<string, Spec>> = {
  'trusted.overlay.opaque': { 'd/': withXattrs(dir(), { 'trusted.overlay.opaque': 'y' }) },
  'user.overlay.opaque': { 'd/': withXattrs(dir(), { 'user.overlay.opaque': 'y' }) },
  'user.fuseoverlayfs.opaque': { 'd/': withXattrs(dir(), { 'user.fuseoverlayfs.opaque': 'y' }) },
  '.wh..wh..opq': { 'd/.wh..wh..opq': '' },
};

for (const [format, marked] of Object.entries(opaques)) {
  void t.test(`${format} shuts out the layers below`, async (t) => {
    const rig = new Rig(t, [{ 'd/top': '' }, { ...marked, 'd/own': 'o' }, { 'd/below': 'b', 'd/own': 'older' }]);
    const client = rig.open();
    t.same(client.names('d'), ['own', 'top']);
    t.equal(client.read('d/own'), 'o');
    t.equal(client.lookup('d/below'), ENOENT);
  });
}

void t.test('a file between two directories shuts out the lower one', async (t) => {
  const client = new Rig(t, [{ 'd/a': '' }, { d: 'a file' }, { 'd/b': '' }]).open();
  t.same(client.names('d'), ['a']);
});

const redirect = (to: string): Maker => withXattrs(dir(), { 'trusted.overlay.redirect': to });

const astray: Readonly<Record<string, number>> = {
  '../out': errno.EINVAL,
  'a/b': errno.EINVAL,
  '': errno.EINVAL,
  '/': errno.EINVAL,
  '//a': errno.EINVAL,
  '..\0': errno.EINVAL,
  '..': errno.EACCES,
  '/..': errno.EACCES,
  '/a/../../out': errno.EACCES,
};

for (const [to, expected] of Object.entries(astray)) {
  void t.test(`a redirect to ${JSON.stringify(to)} leads nowhere, and its directory is listed`, async (t) => {
    const client = new Rig(t, [
      { 'd/': redirect(to), 'd/own': '', e: '' },
      { 'd/below': '', 'a/b/f': '' },
    ]).open();
    t.equal(client.lookup('d'), -expected);
    t.same(client.names(''), ['a', 'd', 'e']);
  });
}

void t.test('redirects of a layer are followed', async (t) => {
  await t.test('to a name beside', async (t) => {
    const client = new Rig(t, [{ 'd/new/': redirect('old'), 'd/old': whiteout() }, { 'd/old/f': 'x' }]).open();
    t.same(client.tree(), { 'd/': '', 'd/new/': '', 'd/new/f': 'x' });
  });
  await t.test('to a path from the root', async (t) => {
    const client = new Rig(t, [
      { 'e/new/': redirect('/d/old'), 'd/old': whiteout() },
      { 'd/old/f': 'x', 'd/g': 'y' },
    ]).open();
    t.same(client.tree(), { 'd/': '', 'd/g': 'y', 'e/': '', 'e/new/': '', 'e/new/f': 'x' });
  });
  await t.test('through a second absolute one', async (t) => {
    const client = new Rig(t, [{ 'c/': redirect('/b') }, { 'b/': redirect('/a'), 'b/2': '' }, { 'a/1': '' }]).open();
    t.same(client.names('c'), ['1', '2']);
  });
  await t.test('an absolute one, then one beside', async (t) => {
    const client = new Rig(t, [
      { 'x/c/': redirect('/d/b') },
      { 'd/b/': redirect('a'), 'd/b/2': '' },
      { 'd/a/1': '', 'd/b/no': '' },
    ]).open();
    t.same(client.names('x/c'), ['1', '2']);
  });
  await t.test('an absolute one below a directory that was itself moved', async (t) => {
    const layers: Spec[] = [
      { 'x/': redirect('/new/sub') },
      { 'new/': redirect('/old'), 'new/sub/2': '' },
      { 'old/sub/1': '', 'new/sub/no': '' },
    ];
    t.same(new Rig(t, layers).open().names('x'), ['1', '2']);
  });
  await t.test('not when it leads to nothing', async (t) => {
    const client = new Rig(t, [{ 'd/': redirect('/nowhere'), 'd/own': '' }, { 'd/not': '' }]).open();
    t.same(client.names('d'), ['own']);
  });
  await t.test('not through a symlink', async (t) => {
    const client = new Rig(t, [
      { 'd/': redirect('/link/sub'), 'd/own': '' },
      { link: symlink('real'), 'real/sub/not': '' },
    ]).open();
    t.same(client.names('d'), ['own']);
  });
});

for (const count of [20, 500]) {
  void t.test(`${count} layers`, async (t) => {
    const layers = Array.from({ length: count }, (_, i): Spec => ({
      'd/same': String(i),
      [`d/only${i}`]: String(i),
      [`top${i}/f`]: '',
    }));
    const middle = count / 2;
    layers[middle] = { ...layers[middle], [`d/.wh.only${middle + 1}`]: '' };
    const client = new Rig(t, layers).open();
    t.equal(client.read('d/same'), '0', 'the top one wins');
    t.equal(client.read(`d/only${count - 1}`), String(count - 1), 'the last one shows');
    t.equal(client.lookup(`d/only${middle + 1}`), ENOENT, 'one in the middle hides what is below it');
    t.equal(client.lookup('d/never'), ENOENT);
    t.equal(client.names('d').length, count);
    t.equal(client.names('').length, count + 1);
    t.ok(client.native.stats().openFds <= 4096);
    t.equal(client.write(`d/only${count - 1}`, 'new'), 3);
    t.equal(client.read(`d/only${count - 1}`), 'new');
  });
}

void t.test('a read-only union refuses every change', async (t) => {
  const client = new Rig(t, [{ 'd/f': 'x' }, { 'd/g': 'y' }], { readOnly: true }).open();
  t.same(client.names('d'), ['f', 'g']);
  const EROFS = -errno.EROFS;
  t.equal(client.mkdir('d/new'), EROFS);
  t.equal(client.create('d/new'), EROFS);
  t.equal(client.symlink('d/new', 'x'), EROFS);
  t.equal(client.unlink('d/f'), EROFS);
  t.equal(client.rmdir('d'), EROFS);
  t.equal(client.rename('d/f', 'd/h'), EROFS);
  t.equal(client.chmod('d/f', 0o600), EROFS);
  t.equal(client.write('d/f', 'z'), EROFS);
  t.equal(client.link(client.id('d/f'), 'd/h'), EROFS);
});

void t.test('what kernel overlayfs copied without its data is refused, not shown as zeros', (t) => {
  const hollow = withXattrs(file(''), { 'trusted.overlay.metacopy': '' });
  for (const below of ['d', 'merged']) {
    const rig = new Rig(t, [{ [`${below}/f`]: hollow, [`${below}/hole`]: '' }, { 'merged/f': 'data' }]);
    for (const name of ['f', 'hole']) truncateSync(`${rig.lowers[0] ?? ''}/${below}/${name}`, 100_000);
    const client = rig.open();
    const id = client.id(`${below}/f`);
    t.equal(client.open(id, 0), -errno.EPERM);
    t.equal(client.write(`${below}/f`, 'x'), -errno.EPERM);
    t.equal(client.rename(`${below}/f`, `${below}/g`), -errno.EPERM);
    t.same(client.names(below), ['f', 'hole']);
    t.equal(client.write(`${below}/hole`, 'x'), 1);
  }
  t.end();
});
