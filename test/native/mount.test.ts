// The native Mount without a device: places and their fds, nodes and their counts, objects that lose their names.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, unlinkSync, writeFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errno } from '../../src/abi/errno.js';
import { ENTRY_OUT } from '../../src/abi/protocol.js';
import { Mount, sys } from '../../src/native/load.js';
import { type NativeMount, NodeFlag, type NodeId, type PlaceId, ROOT_ID } from '../../src/native/mount.js';
import { AT_FDCWD, Open, STAT_WORDS, Stat } from '../../src/native/syscalls.js';
import { scratchDir } from '../support/paths.js';
import { patient } from '../support/patience.js';

interface Rig {
  path: string;
  native: NativeMount;
  root: PlaceId;
  reply: Buffer;
}

/** A mount over one writable directory that `fill` has filled. */
function rig(t: Test, fill: (path: string) => void = () => undefined, fdLimit = 64): Rig {
  const path = scratchDir();
  const native = new Mount(fdLimit);
  t.teardown(() => {
    native.detach();
    rmSync(path, { recursive: true, force: true });
  });
  fill(path);
  const reply = Buffer.alloc(4096);
  native.bindReply(reply);
  const root = native.addRoot(sys.openat2(AT_FDCWD, path, Open.PATH | Open.DIRECTORY, 0, 0), NodeFlag.writable);
  native.makeRootNode(root, 0);
  return { path, native, root, reply };
}

function enter({ native, root }: Rig, name: string, dir = root, parent: NodeId = ROOT_ID): NodeId {
  const id = native.enter(parent, dir, name, 0, 0, 0n);
  if (id <= 0) throw new Error(`${name}: errno ${-id}`);
  return id as NodeId;
}

const stat = new BigInt64Array(STAT_WORDS);

/** What an O_PATH fd is on. */
function inoOf(fd: number): bigint {
  if (sys.statx(fd, '', stat) !== 0) throw new Error(`no stat of fd ${fd}`);
  return stat[Stat.ino] ?? 0n;
}

void t.test('thousands of places with few fds', async (t) => {
  const made = rig(t, (path) => {
    for (let i = 0; i < 100; i++) {
      mkdirSync(join(path, `d${i}`));
      for (let j = 0; j < 30; j++) writeFileSync(join(path, `d${i}/f${j}`), '');
    }
  });
  const { native, root } = made;
  const before = readdirSync('/proc/self/fd').length;
  const places: { place: PlaceId; ino: bigint }[] = [];
  for (let i = 0; i < 100; i++) {
    const dir = native.placeChild(root, `d${i}`);
    for (let j = 0; j < 30; j++) {
      const place = native.placeChild(dir, `f${j}`);
      places.push({ place, ino: inoOf(native.placeFd(place)) });
    }
    native.placeDrop(dir);
  }
  t.ok(native.stats().openFds <= 64, `${native.stats().openFds} fds`);
  t.ok(readdirSync('/proc/self/fd').length - before <= 64);
  for (const { place, ino } of places) {
    if (inoOf(native.placeFd(place)) !== ino) return t.fail('a place leads elsewhere after its fd was closed');
  }
  t.ok(native.stats().openFds <= 64);
  for (const { place } of places) native.placeDrop(place);
  t.equal(native.stats().openFds, 0, 'dropped places hold no fd');
});

void t.test('the least used fd goes first', async (t) => {
  const { native, root } = rig(t, (path) => {
    for (let i = 0; i < 200; i++) writeFileSync(join(path, `f${i}`), '');
  });
  const hot = native.placeChild(root, 'f0');
  const fd = native.placeFd(hot);
  for (let i = 1; i < 200; i++) {
    native.placeFd(native.placeChild(root, `f${i}`));
    native.placeFd(hot);
  }
  t.equal(native.placeFd(hot), fd, 'what is used again and again stays open');
});

void t.test('a place that lost its object or never had one', async (t) => {
  const { path, native, root } = rig(t, (path) => writeFileSync(join(path, 'f'), ''));
  const absent = native.placeChild(root, 'absent');
  t.equal(native.placeFd(absent), -errno.ENOENT);
  const below = native.placeChild(native.placeChild(root, 'f'), 'x');
  t.equal(native.placeFd(below), -errno.ENOTDIR);
  const f = native.placeChild(root, 'f');
  unlinkSync(join(path, 'f'));
  t.equal(native.placeFd(f), -errno.ENOENT);
  t.equal(native.placeDrop(f), 0);
  t.equal(native.placeDrop(f), -errno.EBADF, 'twice');
  t.equal(native.placeFd(99_999 as PlaceId), -errno.EBADF);
});

void t.test('a place never leads through a symlink', async (t) => {
  const { path, native, root } = rig(t, (path) => {
    mkdirSync(join(path, 'd/sub'), { recursive: true });
    mkdirSync(join(path, 'elsewhere/sub'), { recursive: true });
  });
  const sub = native.placeChild(native.placeChild(root, 'd'), 'sub');
  renameSync(join(path, 'd'), join(path, 'was'));
  symlinkSync('elsewhere', join(path, 'd'));
  t.equal(native.placeFd(sub), -errno.ELOOP);
});

void t.test('moving a directory moves all below it', async (t) => {
  const { path, native, root } = rig(t, (path) => {
    mkdirSync(join(path, 'a/b/c'), { recursive: true });
    mkdirSync(join(path, 'z'));
    writeFileSync(join(path, 'a/b/c/f'), '');
  });
  const a = native.placeChild(root, 'a');
  const z = native.placeChild(root, 'z');
  const f = native.placeChild(native.placeChild(native.placeChild(a, 'b'), 'c'), 'f');
  const ino = inoOf(native.placeFd(f));
  const others = Array.from({ length: 100 }, (_, i) => native.placeChild(root, `x${i}`));
  renameSync(join(path, 'a'), join(path, 'z/moved'));
  t.equal(native.placeMove(a, z, 'moved'), 0);
  for (let i = 0; i < 100; i++) {
    writeFileSync(join(path, `x${i}`), '');
    native.placeFd(others[i] as PlaceId); // the fds of before go
  }
  t.equal(inoOf(native.placeFd(f)), ino);
});

void t.test('moving a node moves its place, its name and its parent', async (t) => {
  const made = rig(t, (path) => mkdirSync(join(path, 'a/b'), { recursive: true }));
  mkdirSync(join(made.path, 'z'));
  const { native, path } = made;
  const a = enter(made, 'a');
  const z = enter(made, 'z');
  const b = enter(made, 'b', native.placeOfNode(a), a);
  renameSync(join(path, 'a'), join(path, 'z/new'));
  t.equal(native.moveNode(a, z, native.placeOfNode(z), 'new'), 0);
  t.equal(native.nodeName(a), 'new');
  t.equal(native.nodeParent(a), z);
  t.equal(native.nodeParent(b), a);
  t.ok(inoOf(native.nodeFd(b)));
});

void t.test('one object is one node, whatever its name; another object is another', async (t) => {
  const made = rig(t, (path) => {
    writeFileSync(join(path, 'a'), 'x');
    writeFileSync(join(path, 'other'), 'y');
  });
  const { native, root, path, reply } = made;
  const fd = sys.openat2(AT_FDCWD, path, Open.PATH, 0, 0);
  sys.linkat(fd, 'a', fd, 'b');
  sys.close(fd);
  const a = enter(made, 'a');
  t.equal(enter(made, 'b'), a);
  t.equal(Number(reply.readBigUInt64LE(0)), a, 'the entry has the nodeid');
  t.equal(reply.readUInt32LE(40 + 64), 2, 'and nlink');
  t.not(enter(made, 'other'), a);
  t.equal(native.enter(ROOT_ID, root, 'absent', 0, 0, 0n), -errno.ENOENT);
  t.equal(native.stats().nodes, 3);
  t.equal(native.nodeAt(root, 'a'), a);
  t.equal(native.nodeAt(root, 'absent'), 0);
});

void t.test('the number that is shown can be another than that of the object', async (t) => {
  const made = rig(t, (path) => writeFileSync(join(path, 'f'), ''));
  const { native, root, reply } = made;
  native.enter(ROOT_ID, root, 'f', 0, 0, 4242n);
  t.equal(reply.readBigUInt64LE(40), 4242n);
});

void t.test('a negative answer is cacheable and names nothing', async (t) => {
  const { native, reply } = rig(t);
  native.setOptions({ entryTimeout: 7 });
  reply.fill(0xff);
  t.equal(native.negative(), ENTRY_OUT);
  t.equal(reply.readBigUInt64LE(0), 0n);
  t.equal(reply.readBigUInt64LE(16), 7n);
});

void t.test('a deleted file stays readable through its node', async (t) => {
  const made = rig(t, (path) => writeFileSync(join(path, 'f'), 'content'));
  const { native, root, path } = made;
  const f = enter(made, 'f');
  t.equal(native.keepBeforeUnlink(root, 'f'), f);
  unlinkSync(join(path, 'f'));
  native.afterUnlink(f, root, 'f');
  t.ok(native.nodeFlags(f) & NodeFlag.removed);
  t.equal(readFileSync(`/proc/self/fd/${native.nodeFd(f)}`, 'utf8'), 'content');
  writeFileSync(join(path, 'f'), 'another');
  t.not(enter(made, 'f'), f, 'a new file under the old name is a new node');
  t.equal(readFileSync(`/proc/self/fd/${native.nodeFd(f)}`, 'utf8'), 'content');
  for (let i = 0; i < 200; i++) {
    writeFileSync(join(path, `x${i}`), '');
    native.placeFd(native.placeChild(root, `x${i}`));
  }
  t.equal(readFileSync(`/proc/self/fd/${native.nodeFd(f)}`, 'utf8'), 'content', 'however many fds are opened since');
});

void t.test('a file with a further name is not removed with the first', async (t) => {
  const made = rig(t, (path) => writeFileSync(join(path, 'f'), 'content'));
  const { native, root, path } = made;
  const fd = sys.openat2(AT_FDCWD, path, Open.PATH, 0, 0);
  sys.linkat(fd, 'f', fd, 'g');
  sys.close(fd);
  const f = enter(made, 'f');
  native.keepBeforeUnlink(root, 'f');
  unlinkSync(join(path, 'f'));
  native.afterUnlink(f, root, 'f');
  t.notOk(native.nodeFlags(f) & NodeFlag.removed);
  t.equal(enter(made, 'g'), f);
});

void t.test('nothing is kept of a name that no node has', async (t) => {
  const { native, root } = rig(t, (path) => writeFileSync(join(path, 'f'), ''));
  t.equal(native.keepBeforeUnlink(root, 'f'), 0);
  t.equal(native.keepBeforeUnlink(root, 'absent'), 0);
});

void t.test('unknown nodes are stale', async (t) => {
  const { native, root } = rig(t);
  const none = 4711 as NodeId;
  const ESTALE = -errno.ESTALE;
  t.equal(native.nodeFlags(none), ESTALE);
  t.equal(native.setNodeFlags(none, 1, 0), ESTALE);
  t.equal(native.nodeFd(none), ESTALE);
  t.equal(native.placeOfNode(none), ESTALE);
  t.equal(native.moveNode(none, ROOT_ID, root, 'x'), ESTALE);
  t.equal(native.settleOnUpper(none, root, 'x', 0, 0), ESTALE);
  t.equal(native.nodeName(none), undefined);
  t.equal(native.nodeParent(none), 0);
});

void t.test('a read-only seal reaches nodes that are known and those to come', async (t) => {
  const made = rig(t, (path) => {
    writeFileSync(join(path, 'f'), '');
    writeFileSync(join(path, 'g'), '');
  });
  const f = enter(made, 'f');
  made.native.seal();
  t.ok(made.native.nodeFlags(f) & NodeFlag.readOnly);
  t.ok(made.native.nodeFlags(enter(made, 'g')) & NodeFlag.readOnly);
});

void t.test('creation takes the identity it is given, and gives it back', async (t) => {
  const { native, root, path } = rig(t);
  const fd = native.make(native.placeFd(root), 'f', 0o100666, 0, '', 1234, 5678, 5678, 0o027);
  t.ok(fd > 0);
  sys.close(fd);
  t.equal(native.make(native.placeFd(root), 'f', 0o100666, 0, '', 0, 0, 0, 0), -errno.EEXIST);
  sys.statx(AT_FDCWD, join(path, 'f'), stat);
  t.same([Number(stat[Stat.mode]), stat[Stat.uid], stat[Stat.gid]], [0o100640, 1234n, 5678n]);
  t.equal(native.make(native.placeFd(root), 'd', 0o040777, 0, '', 1, 2, 2, 0), 0);
  writeFileSync(join(path, 'd/mine'), '');
  sys.statx(AT_FDCWD, join(path, 'd/mine'), stat);
  t.equal(stat[Stat.uid], BigInt(process.geteuid?.() ?? 0), 'ours again');
});

void t.test('all fds go with the mount', async (t) => {
  const path = scratchDir();
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  writeFileSync(join(path, 'f'), '');
  // In a process of its own, which can collect garbage.
  const script = `
    const { Mount, sys } = require(${JSON.stringify(join(__dirname, '../../src/native/load.js'))});
    const count = () => require('node:fs').readdirSync('/proc/self/fd').length;
    const one = () => {
      const native = new Mount(64);
      const root = native.addRoot(sys.openat2(-100, ${JSON.stringify(path)}, ${Open.PATH | Open.DIRECTORY}, 0, 0), 0);
      native.makeRootNode(root, 0);
      native.placeFd(native.placeChild(root, 'f'));
    };
    const before = count();
    for (let i = 0; i < 50; i++) one();
    const turn = (left) => { gc(); count() <= before + 2 || left === 0 ? process.exit(count() <= before + 2 ? 0 : 1) : setTimeout(turn, 10, left - 1); };
    turn(100);`;
  const done = spawnSync(process.execPath, ['--expose-gc', '-e', script], { timeout: patient(20_000), encoding: 'utf8' });
  t.equal(done.status, 0, done.stderr);
});
