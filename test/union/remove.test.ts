// unlink and rmdir: what a lower layer still has is hidden, what it has not is just gone; both stay so.

import { join } from 'node:path';
import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { Mode } from '../../src/native/syscalls.js';
import { type Spec, describe, dir, file, namesIn, whiteout, withXattrs } from './disk.js';
import { Rig } from './rig.js';

const isWhiteout = (path: string): boolean => ((describe(path)?.mode ?? 0) & Mode.FMT) === Mode.CHR;

void t.test('a lower file, copied up or not, leaves a whiteout', async (t) => {
  for (const first of ['', 'write', 'write, mount again', 'rename away and back'] as const) {
    const rig = new Rig(t, [{ 'd/f': 'x' }, { 'd/f': 'y', 'd/g': 'z' }]);
    let client = rig.open();
    if (first.startsWith('write')) client.write('d/f', 'new');
    if (first === 'write, mount again') client = rig.open();
    if (first === 'rename away and back') {
      client.rename('d/f', 'd/h');
      client.rename('d/h', 'd/f');
    }
    t.equal(client.unlink('d/f'), 0);
    t.ok(isWhiteout(join(rig.upper, 'd/f')), first);
    t.same(client.names('d'), ['g']);
    t.same(rig.open().tree(), { 'd/': '', 'd/g': 'z' }, 'mounted again');
    t.same(rig.leftInWork(), []);
  }
});

const hidden: Readonly<Record<string, Spec>> = {
  'a device': { 'd/f': whiteout() },
  'a .wh. file': { 'd/.wh.f': '' },
  'an attribute': {
    'd/': withXattrs(dir(), { 'trusted.overlay.opaque': 'x' }),
    'd/f': withXattrs(file(''), { 'trusted.overlay.whiteout': '' }),
  },
  'nothing, for no lower has it': {},
};

for (const [how, layer] of Object.entries(hidden)) {
  void t.test(`no whiteout is made for what is hidden already by ${how}`, async (t) => {
    const rig = new Rig(t, [layer, Object.keys(layer).length > 0 ? { 'd/f': 'x' } : { 'd/g': '' }]);
    const client = rig.open();
    t.match(client.create('d/f'), { size: 0 });
    t.equal(client.unlink('d/f'), 0);
    t.same(namesIn(join(rig.upper, 'd')), []);
    t.match(client.mkdir('d/f'), { nodeid: Number });
    t.equal(client.rmdir('d/f'), 0);
    t.same(namesIn(join(rig.upper, 'd')), []);
    t.match(client.create('d/f'), { size: 0 });
    t.equal(rig.open().unlink('d/f'), 0, 'mounted again');
    t.same(namesIn(join(rig.upper, 'd')), []);
    t.equal(rig.open().lookup('d/f'), -errno.ENOENT);
  });
}

void t.test('rmdir asks the union whether a directory is empty', async (t) => {
  const rig = new Rig(t, [{ 'd/sub/a': '' }, { 'd/sub/b': '', 'd/hollow/': '' }]);
  const client = rig.open();
  t.equal(client.rmdir('d/sub'), -errno.ENOTEMPTY);
  t.equal(client.unlink('d/sub/a'), 0);
  t.equal(client.rmdir('d/sub'), -errno.ENOTEMPTY, 'one layer still has a name');
  t.equal(client.unlink('d/sub/b'), 0);
  t.equal(client.rmdir('d/sub'), 0);
  t.equal(client.rmdir('d/hollow'), 0);
  t.ok(isWhiteout(join(rig.upper, 'd/sub')));
  t.same(rig.open().tree(), { 'd/': '' });
  t.same(rig.leftInWork(), []);
});

void t.test('the wrong kind of object is not removed', async (t) => {
  const client = new Rig(t, [{ 'd/f': '', 'd/sub/': '' }, { 'd/g': '' }]).open();
  t.equal(client.unlink('d/sub'), -errno.EISDIR);
  t.equal(client.rmdir('d/f'), -errno.ENOTDIR);
  t.equal(client.unlink('d/absent'), -errno.ENOENT);
  t.equal(client.rmdir('d/absent'), -errno.ENOENT);
  t.same(client.names('d'), ['f', 'g', 'sub']);
});

void t.test('a directory that comes back is empty', async (t) => {
  const rig = new Rig(t, [{ 'd/sub/a': 'a' }, { 'd/sub/b': 'b' }]);
  const client = rig.open();
  for (let round = 0; round < 3; round++) {
    for (const name of client.names('d/sub')) client.unlink(`d/sub/${name}`);
    t.equal(client.rmdir('d/sub'), 0);
    client.mkdir('d/sub');
    t.same(client.names('d/sub'), []);
    t.same(rig.open().names('d/sub'), [], 'mounted again');
    client.create('d/sub/new');
  }
});
