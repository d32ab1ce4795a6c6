// The indexes of directories are bounded: the least used one goes, is read again when needed, and nothing changes for
// those who look.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { sys } from '../../src/native/load.js';
import type { NodeId } from '../../src/native/mount.js';
import { Mode } from '../../src/native/syscalls.js';
import type { Client } from './client.js';
import { type Spec, dir, must, openDir, withXattrs } from './disk.js';
import { Rig } from './rig.js';

const NAMES = 20_000;
const DIRECTORIES = 20; // 400,000 names, of which an index holds 300,000

/** Directories d0, d1, .. of one big lower directory, reached through redirects. */
function manyBig(t: { teardown(fn: () => void): unknown }): { rig: Rig; client: Client } {
  const top: Record<string, Spec[string]> = {};
  for (let i = 0; i < DIRECTORIES; i++) top[`d${i}/`] = withXattrs(dir(), { 'trusted.overlay.redirect': '/big' });
  const rig = new Rig(t, [top, {}]);
  const big = join(rig.lowers[1] ?? '', 'big');
  mkdirSync(big);
  const fd = openDir(big);
  for (let i = 0; i < NAMES; i++) must(sys.mknodat(fd, `f${i}`, Mode.REG | 0o644, 0n), 'a name');
  sys.close(fd);
  return { rig, client: rig.open() };
}

function hasIndex(client: Client, path: string): boolean {
  const found = client.union.directory(client.id(path) as NodeId);
  return typeof found !== 'number' && found.index !== undefined;
}

void t.test('the least used index goes, and the changes of its directory stay', async (t) => {
  const { rig, client } = manyBig(t);
  t.equal(client.unlink('d0/f7'), 0);
  t.equal(client.rename('d0/f8', 'd0/moved'), 0);
  t.match(client.create('d0/new'), { size: 0 });
  t.ok(hasIndex(client, 'd0'));

  const reader = client.id('d1');
  const first = client.page(reader, 0n, 4096);
  for (let i = 2; i < DIRECTORIES; i++) client.lookup(`d${i}/f1`);
  t.notOk(hasIndex(client, 'd0'), 'the index of d0 is gone');
  t.ok(hasIndex(client, 'd1'), 'that of a directory under a reader is not');
  t.ok(hasIndex(client, `d${DIRECTORIES - 1}`));

  t.equal(client.lookup('d0/f7'), -errno.ENOENT);
  t.equal(client.lookup('d0/f8'), -errno.ENOENT);
  t.match(client.lookup('d0/moved'), { size: 0 });
  t.match(client.lookup('d0/new'), { size: 0 });
  t.equal(client.names('d0').length, NAMES);

  if (typeof first === 'number') return t.fail('readdir');
  const seen = first.map(({ name }) => name);
  for (let offset = first.at(-1)?.off ?? 0n; ;) {
    const page = client.page(reader, offset, 65536);
    if (typeof page === 'number' || page.length === 0) break;
    seen.push(...page.map(({ name }) => name));
    offset = page.at(-1)?.off ?? 0n;
  }
  t.equal(seen.length, NAMES + 2, 'the reader got every name');
  t.equal(new Set(seen).size, NAMES + 2, 'once');
  t.same(rig.leftInWork(), []);
});

void t.test('an index that was spared for a reader goes later', async (t) => {
  const { client } = manyBig(t);
  client.page(client.id('d1'), 0n, 4096);
  for (let i = 2; i < DIRECTORIES; i++) client.lookup(`d${i}/f1`);
  t.ok(hasIndex(client, 'd1'), 'there while it is read');
  t.equal(client.names('d1').length, NAMES);
  for (let i = 2; i < DIRECTORIES; i++) client.lookup(`d${i}/f1`);
  t.notOk(hasIndex(client, 'd1'));
});
