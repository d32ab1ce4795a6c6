// rename: redirects of directories that a lower layer has, whiteouts at the old names, and that a fresh union over the
// same layers shows the same tree.

import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errno } from '../../src/abi/errno.js';
import { Rename } from '../../src/native/syscalls.js';
import type { Client } from './client.js';
import { type Spec, describe, dir, withXattrs, xattr } from './disk.js';
import { Rig } from './rig.js';

const ENOENT = -errno.ENOENT;
const merged: Spec[] = [
  { 'm/1': 'one', 'm/sub/x': 'x' },
  { 'm/2': 'two', 'm/sub/y': 'y', 'other/z': 'z' },
];
const inside = { '1': 'one', '2': 'two', 'sub/': '', 'sub/x': 'x', 'sub/y': 'y' };

/** `inside` below `path`, with its parents. */
function at(path: string): Record<string, string> {
  const tree: Record<string, string> = { 'other/': '', 'other/z': 'z' };
  const names = path.split('/');
  names.forEach((_, i) => (tree[`${names.slice(0, i + 1).join('/')}/`] = ''));
  for (const [name, content] of Object.entries(inside)) tree[`${path}/${name}`] = content;
  return tree;
}

/** The tree is `wanted` now, and again when mounted anew. */
function shows(t: Test, rig: Rig, client: Client, wanted: Record<string, string>): void {
  t.same(client.tree(), wanted);
  t.same(rig.leftInWork(), []);
  t.same(client.logged, []);
  t.same(rig.open().tree(), wanted, 'mounted again');
}

void t.test('a merged directory', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m', 'n'), 0);
  t.equal(client.lookup('m'), ENOENT);
  t.equal(xattr(join(rig.upper, 'n'), 'trusted.overlay.redirect')?.replace(/^\//, ''), 'm');
  t.match(describe(join(rig.upper, 'm')), { mode: 0o020000 });
  shows(t, rig, client, at('n'));
});

void t.test('moved twice', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m', 'n'), 0);
  t.equal(client.rename('n', 'other/o'), 0);
  shows(t, rig, client, at('other/o'));
});

void t.test('moved twice, mounted again in between', async (t) => {
  const rig = new Rig(t, merged);
  t.equal(rig.open().rename('m', 'n'), 0);
  const client = rig.open();
  t.equal(client.rename('n', 'other/o'), 0);
  shows(t, rig, client, at('other/o'));
});

void t.test('moved away and back', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m', 'n'), 0);
  t.equal(client.rename('n', 'm'), 0);
  shows(t, rig, client, at('m'));
});

void t.test('inside a directory that was moved', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m', 'n'), 0);
  t.equal(client.rename('n/sub', 'n/below'), 0);
  shows(t, rig, client, {
    'n/': '',
    'n/1': 'one',
    'n/2': 'two',
    'n/below/': '',
    'n/below/x': 'x',
    'n/below/y': 'y',
    'other/': '',
    'other/z': 'z',
  });
});

void t.test('moved inside, then its parent', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m/sub', 'm/below'), 0);
  t.equal(client.rename('m', 'n'), 0);
  shows(t, rig, client, {
    'n/': '',
    'n/1': 'one',
    'n/2': 'two',
    'n/below/': '',
    'n/below/x': 'x',
    'n/below/y': 'y',
    'other/': '',
    'other/z': 'z',
  });
});

void t.test('out of a directory that was moved, into a new one', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m', 'n'), 0);
  client.mkdir('fresh');
  t.equal(client.rename('n/sub', 'fresh/s'), 0);
  t.equal(client.rename('fresh', 'later'), 0);
  const wanted = {
    'later/': '',
    'later/s/': '',
    'later/s/x': 'x',
    'later/s/y': 'y',
    'n/': '',
    'n/1': 'one',
    'n/2': 'two',
    'other/': '',
    'other/z': 'z',
  };
  shows(t, rig, client, wanted);
});

void t.test('a new directory at the old name shows nothing of the lower', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m', 'n'), 0);
  t.match(client.mkdir('m'), { nodeid: Number });
  client.create('m/new');
  shows(t, rig, client, { ...at('n'), 'm/': '', 'm/new': '' });
});

void t.test('two directories take each other’s names', async (t) => {
  for (const flags of [0, Rename.EXCHANGE]) {
    const rig = new Rig(t, merged);
    const client = rig.open();
    if (flags === 0) {
      t.equal(client.rename('m', 'tmp'), 0);
      t.equal(client.rename('other', 'm'), 0);
      t.equal(client.rename('tmp', 'other'), 0);
    } else {
      t.equal(client.rename('m', 'other', flags), 0);
    }
    const wanted: Record<string, string> = { 'm/': '', 'm/z': 'z', 'other/': '' };
    for (const [name, content] of Object.entries(inside)) wanted[`other/${name}`] = content;
    shows(t, rig, client, wanted);
  }
});

void t.test('a new directory and a merged one change places', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  client.mkdir('fresh');
  client.create('fresh/f');
  t.equal(client.rename('fresh', 'm', Rename.EXCHANGE), 0);
  shows(t, rig, client, { ...at('fresh'), 'm/': '', 'm/f': '' });
});

void t.test('a file and a directory change places', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m', 'other/z', Rename.EXCHANGE), 0);
  const { 'other/z': _, ...wanted } = at('other/z');
  shows(t, rig, client, { ...wanted, m: 'z' });
});

void t.test('over an empty directory, which may be lower, merged or full of whiteouts', async (t) => {
  const targets: Record<string, Spec[]> = {
    lower: [...merged, { 'to/': '' }],
    merged: [
      { ...merged[0], 'to/': '' },
      { ...merged[1], 'to/': '' },
    ],
    emptied: [...merged, { 'to/gone': 'x' }],
  };
  for (const [what, layers] of Object.entries(targets)) {
    const rig = new Rig(t, layers);
    const client = rig.open();
    if (what === 'emptied') t.equal(client.unlink('to/gone'), 0);
    t.equal(client.rename('m', 'to'), 0, what);
    shows(t, rig, client, at('to'));
  }
});

void t.test('a new directory over an emptied one does not show what that hid', async (t) => {
  const rig = new Rig(t, [{ 'to/gone': 'x' }, { 'to/deep/er': '' }]);
  const client = rig.open();
  t.equal(client.unlink('to/gone'), 0);
  t.equal(client.unlink('to/deep/er'), 0);
  t.equal(client.rmdir('to/deep'), 0);
  client.mkdir('fresh');
  t.equal(client.rename('fresh', 'to'), 0);
  shows(t, rig, client, { 'to/': '' });
});

void t.test('not over a directory with names in it', async (t) => {
  const client = new Rig(t, merged).open();
  const before = client.tree();
  t.equal(client.rename('m', 'other'), -errno.ENOTEMPTY);
  t.same(client.tree(), before);
});

void t.test('files', async (t) => {
  const rig = new Rig(t, [{ a: 'A', 'd/b': 'B' }, { c: 'C' }]);
  const client = rig.open();
  t.equal(client.rename('a', 'd/b', Rename.NOREPLACE), -errno.EEXIST);
  t.equal(client.rename('a', 'nowhere', Rename.EXCHANGE), ENOENT);
  t.equal(client.rename('a', 'd/b'), 0);
  t.equal(client.rename('c', 'a'), 0);
  t.equal(client.rename('a', 'c', Rename.NOREPLACE), 0, 'what is whited out does not exist');
  shows(t, rig, client, { 'd/': '', 'd/b': 'A', c: 'C' });
});

void t.test('a directory under a name that upper whites out', async (t) => {
  const rig = new Rig(t, [{ ...merged[0], gone: 'x', 'was/there': '' }, merged[1] ?? {}]);
  const client = rig.open();
  t.equal(client.unlink('gone'), 0);
  t.equal(client.rename('m', 'gone'), 0);
  client.mkdir('fresh');
  t.equal(client.unlink('was/there'), 0);
  t.equal(client.rmdir('was'), 0);
  t.equal(client.rename('fresh', 'was'), 0);
  shows(t, rig, client, { ...at('gone'), 'was/': '' });
});

void t.test('a directory whose lower part is itself a redirect', async (t) => {
  const redirect = (to: string): ReturnType<typeof dir> => withXattrs(dir(), { 'trusted.overlay.redirect': to });
  for (const to of ['old', '/old']) {
    const rig = new Rig(t, [{ 'd/': redirect(to), 'd/1': '1' }, { 'old/2': '2' }]);
    const client = rig.open();
    t.equal(client.rename('d', 'e'), 0);
    shows(t, rig, client, { 'e/': '', 'e/1': '1', 'e/2': '2', 'old/': '', 'old/2': '2' });
  }
});

void t.test('inside a directory that was moved below another', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  t.equal(client.rename('m', 'other/o'), 0);
  t.equal(client.rename('other/o/sub', 'other/o/below'), 0);
  const wanted = { 'other/': '', 'other/o/': '', 'other/o/1': 'one', 'other/o/2': 'two', 'other/z': 'z' };
  shows(t, rig, client, { ...wanted, 'other/o/below/': '', 'other/o/below/x': 'x', 'other/o/below/y': 'y' });
});

void t.test('into a new directory, which then changes on', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  client.mkdir('new');
  client.create('new/early');
  t.equal(client.rename('m', 'new/m'), 0);
  client.create('new/f');
  t.equal(client.rename('new/f', 'new/g'), 0);
  t.equal(client.unlink('new/early'), 0);
  t.equal(client.rename('other/z', 'new/z'), 0);
  client.create('new/h');
  t.equal(client.rename('new/h', 'other/h'), 0, 'what was made after it came');
  const { 'other/z': _, ...wanted } = at('new/m');
  shows(t, rig, client, { ...wanted, 'new/g': '', 'new/z': 'z', 'other/h': '' });
});

void t.test('open children follow a moved directory', async (t) => {
  const rig = new Rig(t, merged);
  const client = rig.open();
  const child = client.id('m/sub/x');
  t.equal(client.rename('m', 'n'), 0);
  // Nobody has looked up the new path yet.
  t.equal(typeof client.open(child, 1), 'bigint', 'opened for writing');
  t.equal(describe(join(rig.upper, 'n/sub/x'))?.size, 1, 'which copied it up there');
  t.match(client.getattr(child), { nodeid: child });
  t.equal(client.id('n/sub/x'), child, 'the same node under the new path');
  t.equal(client.read('n/sub/x'), 'x');
});
