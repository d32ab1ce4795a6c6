// What the kernel forgets is given back: nodes, views of directories, fds. And what it still holds goes on working.

import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import type { Client } from './client.js';
import { sys } from '../../src/native/load.js';
import { MNT_DETACH } from '../../src/native/syscalls.js';
import type { Maker, Spec } from './disk.js';
import { Rig } from './rig.js';

const layers: Spec[] = [
  { 'a/b/c/f': 'top', 'a/only': '' },
  { 'a/b/c/g': 'low', 'a/b/h': '', 'z/y/x': 'x' },
];

/** What the open descriptors are of, but for the one that keeps a busy host's processors awake, which comes and goes by time. */
const openFds = (): string[] =>
  readdirSync('/proc/self/fd')
    .map((fd) => readlink(`/proc/self/fd/${fd}`))
    .filter((path) => path !== '' && path !== '/dev/cpu_dma_latency');

/** '' for what is gone: the descriptor of the listing itself. */
function readlink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

const hardLink =
  (of: string): Maker =>
  (dirfd, name) => {
    if (sys.linkat(dirfd, of, dirfd, name) !== 0) throw new Error(`link ${name}`);
  };

/** Opens more places than there are fds for. */
function driveOut(client: Client): void {
  for (let i = 0; i < 100; i++) {
    client.mkdir(`other${i}`);
    client.names(`other${i}`);
  }
}

/** Touches every kind of node. */
function visit(client: Client): void {
  client.tree();
  for (const path of ['a', 'a/b', 'a/b/c', 'z/y']) client.entries(client.id(path), 65536, true);
  client.write('a/b/c/g', 'new');
  client.mkdir('made');
  client.create('made/file');
  client.rename('a/b', 'moved');
  client.unlink('moved/h');
  client.rename('moved', 'a/b');
  client.rmdir('z/nothing');
  client.unlink('made/file');
  client.rmdir('made');
}

void t.test('all is given back when all is forgotten', async (t) => {
  const client = new Rig(t, layers).open();
  visit(client);
  t.ok(client.native.stats().nodes > 5);
  client.forgetAll();
  t.equal(client.native.stats().nodes, 1, 'the root');
  t.equal(client.union.size, 1);
  t.equal(client.native.stats().handles, 0);
  const before = openFds();
  visit(client);
  client.forgetAll();
  const after = openFds();
  t.ok(after.length <= before.length, `no fd is left open: ${after.join(' ')}`);
});

void t.test('a node is kept until its last lookup is forgotten', async (t) => {
  const client = new Rig(t, layers).open();
  const node = client.id('z');
  client.lookup('z');
  client.forget(node, 1);
  t.match(client.getattr(node), { nodeid: node });
  client.forget(node, 1);
  t.equal(client.getattr(node), -errno.ESTALE);
  t.not(client.id('z'), node, 'a number is never used again');
});

void t.test('a parent stays while a child is known', async (t) => {
  const client = new Rig(t, layers).open();
  const parent = client.id('a/b/c');
  const child = client.id('a/b/c/f');
  for (const [node, count] of client.counts) if (node !== child) client.forget(node, count);
  client.counts.clear();
  t.match(client.getattr(parent), { nodeid: parent });
  t.equal(client.open(child, 1) !== -errno.ESTALE, true, 'copied up below directories that the kernel forgot');
  client.forget(child, 1);
});

void t.test('READDIRPLUS counts each entry once', async (t) => {
  const client = new Rig(t, layers).open();
  client.entries(client.id('a/b/c'), 65536, true);
  t.ok([...client.counts.values()].every((count) => count < 10));
  client.forgetAll();
  t.equal(client.native.stats().nodes, 1);
});

void t.test('a file that is removed while open goes on', async (t) => {
  for (const path of ['a/b/c/f', 'a/only', 'a/b/c/g', 'fresh']) {
    const client = new Rig(t, layers, { fdLimit: 64 }).open();
    if (path === 'fresh') client.create(path);
    if (path === 'a/b/c/g' || path === 'fresh') client.write(path, 'on upper');
    const node = client.id(path);
    const content = client.read(path);
    const fh = client.open(node, 0);
    if (typeof fh === 'number') return t.fail(`errno ${-fh}`);
    t.equal(client.unlink(path), 0);
    t.equal(client.lookup(path), -errno.ENOENT);
    t.equal(client.readHandle(node, fh), content);
    // Its fd must not be one of those that others can drive out.
    driveOut(client);
    t.match(client.getattr(node), { nlink: 0 });
    client.release(node, fh);
    client.forgetAll();
    t.equal(client.native.stats().nodes, 1);
  }
});

void t.test('a file of several names that was found in the link index goes on when all names are gone', async (t) => {
  const rig = new Rig(t, [{ a: 'linked', b: hardLink('a') }], { fdLimit: 64 });
  const first = rig.open();
  first.write('a', 'LINKED');
  first.close();
  const client = rig.open();
  const node = client.id('b');
  const fh = client.open(node, 0);
  if (typeof fh === 'number') return t.fail(`errno ${-fh}`);
  for (const name of ['a', 'b']) t.equal(client.unlink(name), 0);
  driveOut(client);
  t.match(client.getattr(node), { nlink: 0 });
  t.equal(client.readHandle(node, fh), 'LINKED');
  client.release(node, fh);
});

void t.test('names that could not be removed keep no fds from what can', async (t) => {
  const client = new Rig(t, [{ open: 'content' }], { fdLimit: 64 }).open();
  client.write('open', 'on upper');
  client.mkdir('d');
  for (let i = 0; i < 100; i++) {
    client.mkdir(`d/${i}`);
    client.mkdir(`d/${i}/s`);
    client.create(`d/${i}/s/f`);
    t.equal(client.rmdir(`d/${i}/s`), -errno.ENOTEMPTY);
  }
  const node = client.id('open');
  const fh = client.open(node, 0);
  t.equal(client.unlink('open'), 0);
  t.match(client.getattr(node), { nlink: 0 });
  if (typeof fh !== 'number') client.release(node, fh);
});

void t.test('a file that is replaced while open has no name left', async (t) => {
  for (const path of ['a/b/c/f', 'a/only', 'fresh']) {
    const client = new Rig(t, layers, { fdLimit: 64 }).open();
    if (path === 'fresh') client.create(path);
    client.create('new');
    const node = client.id(path);
    const fh = client.open(node, 0);
    if (typeof fh === 'number') return t.fail(`errno ${-fh}`);
    t.equal(client.rename('new', path), 0);
    driveOut(client);
    t.match(client.getattr(node), { nlink: 0 }, path);
    t.not(client.id(path), node);
    client.release(node, fh);
  }
});

void t.test('a directory that is removed while known is empty and takes nothing new', async (t) => {
  const client = new Rig(t, [{ 'd/sub/': '' }, { 'd/sub/': '' }]).open();
  const node = client.id('d/sub');
  t.equal(client.rmdir('d/sub'), 0);
  t.same(client.entries(node), []);
  const mkdir = client.ask(9, node, Buffer.from('\xed\x01\0\0\0\0\0\0x\0', 'latin1'));
  t.equal(mkdir, -errno.ENOENT);
});

void t.test('the number that stat shows survives copy-up, forgetting and a new mount', async (t) => {
  const rig = new Rig(t, layers);
  const client = rig.open();
  const numbers = (from: Client): unknown[] =>
    ['a', 'a/b/c', 'a/b/c/g', 'z/y/x'].map((path) => {
      const found = from.lookup(path);
      return typeof found === 'number' ? found : found.ino;
    });
  const before = numbers(client);
  for (const path of ['a/b/c/g', 'z/y/x']) client.chmod(path, 0o600);
  t.same(numbers(client), before, 'copied up');
  client.forgetAll();
  t.same(numbers(client), before, 'forgotten');
  t.same(numbers(rig.open()), before, 'mounted again');
});

/** Runs `work` while the process may open just one more file. */
function withOneFd<T>(work: () => T): T {
  const kept = Array.from({ length: 64 }, () => openSync('/dev/null', 'r')); // what starting prlimit takes
  const free = openSync('/dev/null', 'r');
  const limit = (soft: string): Buffer => execFileSync('prlimit', ['--pid', `${process.pid}`, `--nofile=${soft}:`]);
  const before = execFileSync('prlimit', ['--pid', `${process.pid}`, '--nofile', '-o', 'SOFT', '--noheadings'])
    .toString()
    .trim();
  limit(`${free + 1}`);
  closeSync(free);
  try {
    return work();
  } finally {
    for (const fd of kept) closeSync(fd);
    limit(before);
  }
}

void t.test('the last fd is enough to make a file', (t) => {
  const client = new Rig(t, [{ 'd/a': '', 'd/gone': 'lower' }, { 'd/b': '' }]).open();
  client.mkdir('new');
  client.unlink('d/gone');
  for (const path of ['new/f', 'd/f', 'd/gone']) {
    client.create(`${path}-before`); // so that all fds on the way are open
    // It is made, cannot be opened, and is made again once idle fds were closed: not EEXIST.
    t.match(
      withOneFd(() => client.create(path)),
      { nlink: 1 },
      path,
    );
  }
  t.end();
});

void t.test('a file that cannot be opened is not truncated', (t) => {
  const rig = new Rig(t, [{}]);
  const top = dirname(rig.upper);
  t.equal(sys.mount('ramfs', top, 'ramfs', 0, ''), 0); // which knows no O_DIRECT
  t.teardown(() => sys.umount2(top, MNT_DETACH));
  for (const path of [rig.upper, rig.work]) mkdirSync(path);
  const client = rig.open();
  client.create('f');
  client.write('f', 'content');
  t.equal(client.open(client.id('f'), constants.O_WRONLY | constants.O_TRUNC | constants.O_DIRECT), -errno.EINVAL);
  t.equal(client.read('f'), 'content');
  t.end();
});
