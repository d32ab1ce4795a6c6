// Copy-up: what the copy on upper keeps of the lower object, and that a failure leaves nothing behind.

import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { sys } from '../../src/native/load.js';
import { AT_FDCWD, Mode, Open } from '../../src/native/syscalls.js';
import { ACCESS, DEFAULT, acl } from '../support/acl.js';
import { type Maker, describe, dir, file, must, namesIn, node, symlink, whiteout, withXattrs, xattr } from './disk.js';
import { Rig } from './rig.js';

const MTIME = 1_234_567_890_123_456_789n;

/** Owner 1000:1001 and a time of long ago. */
const aged =
  (make: Maker, mode?: number): Maker =>
  (dirfd, name) => {
    make(dirfd, name);
    must(sys.fchownat(dirfd, name, 1000, 1001), name);
    if (mode !== undefined) must(sys.fchmodat(dirfd, name, mode), name);
    must(sys.utimensat(dirfd, name, MTIME, MTIME), name);
  };

const kinds: Readonly<Record<string, Maker>> = {
  file: aged(file('content'), 0o6751),
  directory: aged(dir(), 0o3750),
  symlink: aged(symlink('some/where')),
  fifo: aged(node(Mode.FIFO | 0o640)),
  socket: aged(node(Mode.SOCK | 0o604)),
  'character device': aged(node(Mode.CHR | 0o620, (5n << 32n) | 1n)),
  'block device': aged(node(Mode.BLK | 0o660, (7n << 32n) | 300n)),
};

for (const [kind, make] of Object.entries(kinds)) {
  void t.test(`a ${kind} keeps owner, mode, times and kind`, async (t) => {
    const rig = new Rig(t, [{ 'd/a': make }]);
    const client = rig.open();
    const before = lstatSync(join(rig.lowers[0] ?? '', 'd/a'));
    const shown = client.lookup('d/a');
    t.equal(client.rename('d/a', 'd/b'), 0);
    const copy = lstatSync(join(rig.upper, 'd/b'));
    t.same([copy.mode, copy.uid, copy.gid, copy.rdev], [before.mode, 1000, 1001, before.rdev]);
    t.equal(describe(join(rig.upper, 'd/b'))?.mtime, MTIME);
    if (kind === 'symlink') t.equal(client.readlink('d/b'), 'some/where');
    if (kind === 'file') t.equal(client.read('d/b'), 'content');
    const moved = client.lookup('d/b');
    if (typeof shown === 'number' || typeof moved === 'number') return t.fail('absent');
    t.equal(moved.ino, shown.ino, 'the same ino');
    t.equal(moved.mode, shown.mode);
    t.same(rig.leftInWork(), []);
  });
}

void t.test('attributes, ACLs and capabilities come along; the overlay marks of the lower do not', async (t) => {
  const access = acl({ owner: 6, group: 4, other: 0, mask: 6, users: [[1234, 6]] });
  const byDefault = acl({ owner: 7, group: 5, other: 0, mask: 7, groups: [[55, 7]] });
  const capability = '\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00';
  const attributes = { 'user.a': 'one', 'user.big': 'x'.repeat(900), [ACCESS]: access, 'security.capability': capability };
  const rig = new Rig(t, [
    {
      'd/f': withXattrs(file('x'), {
        ...attributes,
        'trusted.overlay.origin': 'o',
        'user.overlay.origin': 'o',
        'trusted.overlay.overlay.opaque': 'mine',
      }),
      'd/s/': withXattrs(dir(), { [DEFAULT]: byDefault, 'trusted.t': 'two' }),
    },
  ]);
  const client = rig.open();
  t.equal(client.chmod('d/f', 0o660), 0);
  t.equal(client.chmod('d/s', 0o750), 0);
  for (const [name, value] of Object.entries({
    'user.a': 'one',
    'user.big': 'x'.repeat(900),
    'security.capability': capability,
  })) {
    t.equal(xattr(join(rig.upper, 'd/f'), name), value, name);
  }
  t.equal(xattr(join(rig.upper, 'd/f'), 'trusted.overlay.overlay.opaque'), 'mine', "a user's own, escaped");
  t.equal(xattr(join(rig.upper, 'd/f'), 'trusted.overlay.origin'), undefined);
  t.equal(xattr(join(rig.upper, 'd/f'), 'user.overlay.origin'), undefined);
  t.equal(xattr(join(rig.upper, 'd/s'), 'trusted.t'), 'two');
  t.equal(xattr(join(rig.upper, 'd/s'), DEFAULT), byDefault);
  t.ok(xattr(join(rig.upper, 'd/f'), ACCESS));
});

void t.test('holes stay holes', async (t) => {
  const sparse: Maker = (dirfd, name) => {
    file('')(dirfd, name);
    const fd = must(sys.openat2(dirfd, name, Open.WRONLY, 0, 0), name);
    sys.pwrite(fd, Buffer.from('start'), 0n);
    sys.pwrite(fd, Buffer.from('end'), 64n << 20n);
    sys.close(fd);
  };
  const rig = new Rig(t, [{ f: sparse }]);
  const client = rig.open();
  t.equal(client.chmod('f', 0o600), 0);
  const copy = lstatSync(join(rig.upper, 'f'));
  t.equal(copy.size, (64 << 20) + 3);
  t.ok(copy.blocks * 512 < 1 << 20, `${copy.blocks} blocks`);
});

void t.test('the directories above come along, with their own times', async (t) => {
  const rig = new Rig(t, [{ 'a/': aged(dir(), 0o711), 'a/b/': aged(dir(), 0o1777), 'a/b/f': aged(file('x')) }]);
  for (const path of ['a/b', 'a']) must(sys.utimensat(AT_FDCWD, join(rig.lowers[0] ?? '', path), MTIME, MTIME), path);
  const client = rig.open();
  t.equal(client.write('a/b/f', 'new'), 3);
  t.match(describe(join(rig.upper, 'a')), { mode: 0o040711, uid: 1000, gid: 1001, mtime: MTIME });
  t.match(describe(join(rig.upper, 'a/b')), { mode: 0o041777, uid: 1000, gid: 1001, mtime: MTIME });
  t.equal(readFileSync(join(rig.upper, 'a/b/f'), 'utf8'), 'new');
  t.equal(readFileSync(join(rig.lowers[0] ?? '', 'a/b/f'), 'utf8'), 'x', 'the lower is as it was');
});

void t.test('opening with O_TRUNC copies no data, and truncates the copy', async (t) => {
  const rig = new Rig(t, [{ f: 'long content' }]);
  const client = rig.open();
  const node = client.id('f');
  const fh = client.open(node, 1 | Open.TRUNC);
  if (typeof fh === 'number') return t.fail(`errno ${-fh}`);
  client.release(node, fh);
  t.equal(client.read('f'), '');
  t.equal(readFileSync(join(rig.lowers[0] ?? '', 'f'), 'utf8'), 'long content');
});

void t.test('a reader of the lower file goes on reading what it opened', async (t) => {
  const client = new Rig(t, [{ f: 'old' }]).open();
  const node = client.id('f');
  const fh = client.open(node, 0);
  if (typeof fh === 'number') return t.fail(`errno ${-fh}`);
  t.equal(client.write('f', 'NEW'), 3);
  t.match(client.readHandle(node, fh), /old|NEW/);
  t.equal(client.read('f'), 'NEW');
  client.release(node, fh);
});

void t.test('the names of a lower file stay one file', async (t) => {
  const thrice: Maker = (dirfd, name) => {
    file('shared')(dirfd, name);
    for (const other of ['second', 'third']) must(sys.linkat(dirfd, name, dirfd, other), other);
  };
  const rig = new Rig(t, [{ 'd/first': thrice }]);
  for (let mounts = 0; mounts < 2; mounts++) {
    const client = rig.open();
    t.equal(client.write('d/first', 'SHARED'), 6);
    t.equal(client.read('d/second'), 'SHARED');
    const [first, second] = [client.lookup('d/first'), client.lookup('d/second')];
    if (typeof first === 'number' || typeof second === 'number') return t.fail('absent');
    t.equal(first.nodeid, second.nodeid);
    t.equal(first.nlink, 3);
    client.close();
  }
  const client = rig.open();
  t.equal(client.unlink('d/third'), 0);
  t.match(client.lookup('d/second'), { nlink: 2 });
  t.equal(client.unlink('d/first'), 0);
  t.match(client.lookup('d/second'), { nlink: 1 });
  t.equal(client.read('d/second'), 'SHARED');
  t.equal(client.unlink('d/second'), 0);
  t.same(namesIn(join(rig.work, 'links')), [], 'the copy goes with the last name');
});

/** Upper and work with room for `nodes` inodes and about 1 MB. */
const small = (nodes: number): { tmpfs: string } => ({ tmpfs: `size=1m,nr_inodes=${nodes}` });

void t.test('no space: every op says so, leaves nothing in work, and the union goes on', async (t) => {
  const rig = new Rig(t, [{ 'd/big': 'x'.repeat(2 << 20), 'd/small': 's', 'd/empty/': '', 'd/full/f': 'f' }], {
    tmpfs: 'size=1m',
  });
  const client = rig.open();
  const { size } = client.lookup('d/big') as { size: number };
  t.equal(size, 2 << 20);
  t.equal(client.chmod('d/big', 0o600), -errno.ENOSPC);
  t.same(rig.leftInWork(), []);
  t.same(namesIn(join(rig.upper, 'd')), [], 'upper shows no half of it');
  t.equal(client.rename('d/big', 'd/other'), -errno.ENOSPC);
  t.same(rig.leftInWork(), []);
  t.equal(client.write('d/small', 'S'), 1, 'what fits is copied up');
  t.same(client.names('d'), ['big', 'empty', 'full', 'small']);
});

void t.test('no inodes: names stay as they were, and work is empty', async (t) => {
  // The tmpfs root, upper, work, work/work, work/links, upper/d, and the filler.
  const rig = new Rig(t, [{ 'd/f': 'f', 'd/g': 'g', 'd/empty/': '', 'd/full/f': 'f' }, { 'd/empty/': '' }], small(7));
  const filler = join(rig.dir, 'top/filler');
  writeFileSync(filler, '');
  const client = rig.open();
  t.equal(client.chmod('d', 0o700), 0);
  const before = client.tree();
  const ENOSPC = -errno.ENOSPC;
  t.equal(client.unlink('d/f'), ENOSPC, 'a whiteout is an inode');
  t.equal(client.rmdir('d/empty'), ENOSPC);
  t.equal(client.mkdir('d/new'), ENOSPC);
  t.equal(client.create('d/new'), ENOSPC);
  t.equal(client.symlink('d/new', 'to'), ENOSPC);
  t.equal(client.rename('d/f', 'd/g'), ENOSPC);
  t.equal(client.rename('d/full', 'd/empty'), ENOSPC);
  t.equal(client.chmod('d/full/f', 0o600), ENOSPC);
  t.same(rig.leftInWork(), []);
  t.same(client.tree(), before);
  t.same(client.names('d/empty'), [], 'a directory whose removal failed can still be listed');
  rmSync(filler);
  t.equal(client.mkdir('d/empty/new'), ENOSPC, 'room for one inode is enough to copy up the parent only');
  t.same(namesIn(join(rig.upper, 'd/empty')), [], 'and that directory can still be changed');
});

void t.test('what cannot be published is taken away again', async (t) => {
  const rig = new Rig(t, [{ 'd/f': 'x', 'd/g': 'g' }]);
  const client = rig.open();
  t.equal(client.chmod('d', 0o755), 0);
  client.lookup('d/f');
  mkdirSync(join(rig.upper, 'd/f')); // behind our back, so that the last rename must fail
  t.ok(client.chmod('d/f', 0o600) < 0);
  t.same(rig.leftInWork(), []);
});

void t.test('replacing a whiteout leaves nothing in work', async (t) => {
  const rig = new Rig(t, [{ 'd/a': 'x', 'd/b/sub': 'x', 'd/c': 'x' }]);
  const client = rig.open();
  for (const name of ['a', 'c']) t.equal(client.unlink(`d/${name}`), 0);
  t.equal(client.unlink('d/b/sub'), 0);
  t.equal(client.rmdir('d/b'), 0);
  t.match(client.create('d/a'), { size: 0 });
  t.match(client.mkdir('d/b'), { size: Number });
  t.match(client.symlink('d/c', 'to'), { size: 2 });
  t.same(rig.leftInWork(), []);
  t.same(client.tree(), { 'd/': '', 'd/a': '', 'd/b/': '', 'd/c': 'to' });
  t.same(rig.open().tree(), client.tree(), 'and stays so when mounted again');
});

void t.test('a crash in the middle: work is emptied by the next mount', async (t) => {
  const rig = new Rig(t, [{ 'd/f': 'x' }]);
  rig.open().close();
  mkdirSync(join(rig.work, 'work/#7/deep'), { recursive: true });
  const work = must(sys.openat2(AT_FDCWD, join(rig.work, 'work'), Open.RDONLY | Open.DIRECTORY, 0, 0), 'work');
  whiteout()(work, '#8');
  sys.close(work);
  rig.open();
  t.same(rig.leftInWork(), []);
});
