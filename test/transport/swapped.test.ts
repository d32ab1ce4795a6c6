// A volume whose host, or another root, puts something else in the place of what a request is about, after the kernel has
// checked the caller's rights and before we act. Requests are sent one by one, so that the moment is chosen.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errno } from '../../src/abi/errno.js';
import { Opcode } from '../../src/abi/protocol.js';
import { scratchDir } from '../support/paths.js';
import { removeTree } from '../../src/process/remove-tree.js';
import { Client } from '../union/client.js';

const ROOT = 1;
const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'latin1');
const words = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);

/** SETATTR with one number at `at`. */
function setattr(valid: number, at: number, value: number): Buffer {
  const body = Buffer.alloc(88);
  body.writeUInt32LE(valid, 0);
  body.writeUInt32LE(value, at);
  return body;
}

/** What a change would change. */
function shown(path: string): unknown {
  const { mode, uid, gid, size, mtimeMs, ctimeMs } = statSync(path);
  return { mode, uid, gid, size, mtimeMs, ctimeMs };
}

/** What a caller may do to a file of his own. */
const requests: Readonly<Record<string, [opcode: number, body: Buffer]>> = {
  chmod: [Opcode.SETATTR, setattr(1, 68, 0o4777)],
  chown: [Opcode.SETATTR, setattr(4, 80, 1000)],
  truncate: [Opcode.SETATTR, setattr(8, 16, 1)],
  utimensat: [Opcode.SETATTR, setattr(32, 40, 5)],
  setxattr: [Opcode.SETXATTR, Buffer.concat([words(1, 0, 0, 0), text('user.x'), Buffer.from('1')])],
  getxattr: [Opcode.GETXATTR, Buffer.concat([words(100, 0), text('user.secret')])],
  open: [Opcode.OPEN, words(2, 0)],
  'open to truncate': [Opcode.OPEN, words(0o1001, 0)],
};

function volume(t: Test): { path: (name: string) => string; client: Client } {
  const dir = scratchDir();
  const source = join(dir, 'volume');
  mkdirSync(source);
  const client = new Client({
    source: 'test',
    flags: [],
    target: '/',
    lowers: [dir],
    upper: undefined,
    work: undefined,
    routes: [{ source, destination: '/', readOnly: false, tier: 'relay' }],
    mountRoutes: true,
    readOnly: false,
    scheme: 'trusted',
    volatile: true,
    passthrough: false,
    timeout: 0,
    posixAcl: true,
    ids: { uidMap: [], gidMap: [] },
  });
  t.teardown(async () => {
    client.close();
    await removeTree(dir);
  });
  return { path: (name) => join(source, name), client };
}

void t.test('what takes the place of a file is not touched in its stead', async (t) => {
  for (const [name, [opcode, body]] of Object.entries(requests)) {
    const { path, client } = volume(t);
    writeFileSync(path('secret'), 'secret', { mode: 0o600 });
    writeFileSync(path('mine'), 'mine', { mode: 0o644 });
    const node = client.id('mine');
    renameSync(path('secret'), path('mine'));
    const before = shown(path('mine'));
    t.equal(client.ask(opcode, node, body), -errno.ESTALE, name);
    t.same(shown(path('mine')), before, name);
    t.equal(readFileSync(path('mine'), 'utf8'), 'secret', name);
  }
});

void t.test('nor is a file with the same number, made after the first was gone', async (t) => {
  const { path, client } = volume(t);
  writeFileSync(path('mine'), 'mine');
  const node = client.id('mine');
  const { ino } = statSync(path('mine'));
  for (let tries = 0; tries < 100; tries++) {
    unlinkSync(path('mine'));
    writeFileSync(path('mine'), 'secret', { mode: 0o600 });
    if (statSync(path('mine')).ino === ino) break;
  }
  if (statSync(path('mine')).ino !== ino) return t.comment('this filesystem does not use numbers again');
  t.equal(client.ask(Opcode.SETATTR, node, setattr(1, 68, 0o777)), -errno.ESTALE);
  t.equal(statSync(path('mine')).mode & 0o777, 0o600);
});

void t.test('nothing is made in what takes the place of a directory', async (t) => {
  const { path, client } = volume(t);
  for (const name of ['mine', 'closed']) mkdirSync(path(name));
  const node = client.id('mine');
  renameSync(path('mine'), path('away'));
  renameSync(path('closed'), path('mine'));
  t.equal(client.ask(Opcode.MKDIR, node, Buffer.concat([words(0o755, 0), text('x')])), -errno.ESTALE);
  t.equal(client.ask(Opcode.LOOKUP, node, text('x')), -errno.ESTALE);
  t.notOk(existsSync(path('mine/x')));
});

void t.test('a file made by somebody else since it was looked up is not opened unasked', async (t) => {
  const { path, client } = volume(t);
  const create = (name: string, flags: number): unknown =>
    client.ask(Opcode.CREATE, ROOT, Buffer.concat([words(flags, 0o644, 0, 0), text(name)]));
  t.equal(client.lookup('n'), -errno.ENOENT);
  writeFileSync(path('n'), 'secret', { mode: 0o600 });
  t.equal(create('n', 0o1102), -errno.ESTALE, 'O_RDWR|O_CREAT|O_TRUNC');
  t.equal(create('n', 0o302), -errno.EEXIST, 'O_RDWR|O_CREAT|O_EXCL');
  t.equal(readFileSync(path('n'), 'utf8'), 'secret');
  symlinkSync('n', path('l'));
  t.equal(create('l', 0o102), -errno.ESTALE);
  chmodSync(path('n'), 0o644);
  const node = client.id('n');
  const fh = client.open(node, 0);
  t.not(typeof fh, 'number', 'the open that follows is checked by the kernel');
  if (typeof fh !== 'number') client.release(node, fh);
});
