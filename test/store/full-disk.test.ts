// The database on a disk that is full, and when it no longer is.

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runDirectory } from '../../src/process/run-directory.js';
import { type Store, openStore } from '../../src/store/index.js';
import { mustCommand, waitFor } from '../support/command.js';
import { exhaust } from '../support/exhaust.js';
import { scratchDir } from '../support/paths.js';

// Its own, so that nobody else's copies are met.
const run = scratchDir();
process.env['LAMINA_RUN'] = run;
t.teardown(() => rmSync(run, { recursive: true }));

const skip = process.geteuid?.() === 0 ? false : 'mounting needs root';

/** A data root of 4 MB and 64 files. */
async function smallRoot(t: { teardown(fn: () => unknown): unknown }): Promise<string> {
  const root = scratchDir();
  await mustCommand(['mount', '-t', 'tmpfs', '-o', 'size=4m,nr_inodes=64', 'tmpfs', root]);
  t.teardown(async () => {
    await mustCommand(['umount', root]);
    rmSync(root, { recursive: true });
  });
  return root;
}

/** Writes a record of some kilobytes. */
function put(store: Store, name: string): Promise<void> {
  const value = { name, path: `/${name}`, labels: { long: 'x'.repeat(3000) }, anonymous: false, created: 0 };
  return store.transaction((records) => records.commit([{ table: 'volume', key: name, value }]));
}

function names(store: Store): Promise<string[]> {
  return store.transaction(async (records) => (await records.list('volume')).map(({ name }) => name));
}

const overflow = (root: string): number => statSync(join(root, 'db', 'overflow'), { throwIfNoEntry: false })?.size ?? 0;

void t.test('what is written after a write that failed is there when the database is opened again', { skip }, async (t) => {
  const root = await smallRoot(t);
  const store = openStore(root);
  await store.hold();
  await put(store, 'before');
  exhaust(join(root, 'filler'), 'bytes');
  const refused: string[] = [];
  for (let i = 0; i < 300 && refused.length < 2; i++) {
    await put(store, `full-${i}`).catch((error: unknown) => {
      t.match(error, { message: /no space left on device/i });
      refused.push(`full-${i}`);
    });
  }
  t.equal(refused.length, 2, 'the disk was full');
  rmSync(join(root, 'filler'), { recursive: true });
  for (let i = 0; i < 20; i++) await put(store, `after-${i}`);
  const known = await names(store);
  t.ok(known.includes('after-19'));
  t.notOk(known.some((name) => refused.includes(name)));
  await store.close();
  const again = openStore(root);
  t.same(await names(again), known);
  await again.close();
});

for (const what of ['bytes', 'inodes'] as const) {
  void t.test(`with no ${what} left, records can be read and removed`, { skip }, async (t) => {
    const root = await smallRoot(t);
    const store = openStore(root);
    for (const name of ['a', 'b', 'c']) await put(store, name);
    t.equal(overflow(root), 512 << 10);
    exhaust(join(root, 'filler'), what);
    for (let i = 0; i < 10; i++) t.same(await names(store), ['a', 'b', 'c']);
    await store.transaction((records) => records.commit([{ table: 'volume', key: 'b' }]));
    t.same(await names(store), ['a', 'c']);
    rmSync(join(root, 'filler'), { recursive: true });
    t.same(await names(store), ['a', 'c']);
    t.equal(overflow(root), 512 << 10);
    await store.close();
  });
}

void t.test(
  'changes made on a full disk outlive who made them, and reach the database when there is room',
  { skip },
  async (t) => {
    const root = await smallRoot(t);
    const first = openStore(root);
    for (const name of ['a', 'b', 'c']) await put(first, name);
    await first.close();
    exhaust(join(root, 'filler'), 'bytes');
    for (const gone of ['b', 'c']) {
      const store = openStore(root);
      await store.transaction((records) => records.commit([{ table: 'volume', key: gone }]));
      await store.close();
    }
    const second = openStore(root);
    t.same(await names(second), ['a']);
    await second.close();
    const log = readFileSync(join(root, 'db', 'overflow'));
    rmSync(join(root, 'filler'), { recursive: true });
    for (let i = 0; i < 2; i++) {
      const store = openStore(root);
      t.same(await names(store), ['a']);
      await store.close();
    }
    t.notOk(
      readFileSync(join(root, 'db', 'overflow'))
        .subarray(0, 16)
        .equals(log.subarray(0, 16)),
      'the log is forgotten',
    );
    const third = openStore(root);
    await put(third, 'b');
    await third.close();
    t.same(await names(third), ['a', 'b'], 'and does not remove it again');
  },
);

void t.test('a change whose writing on a full disk broke off is none', { skip }, async (t) => {
  const root = await smallRoot(t);
  const store = openStore(root);
  for (const name of ['a', 'b', 'c']) await put(store, name);
  exhaust(join(root, 'filler'), 'bytes');
  const path = join(root, 'db', 'overflow');
  const { length } = readFileSync(path);
  for (const gone of ['a', 'b']) await store.transaction((records) => records.commit([{ table: 'volume', key: gone }]));
  const bytes = readFileSync(path);
  t.equal(bytes.length, length, 'it takes no more room');
  const second = bytes.indexOf('"volume!b"');
  t.not(second, -1);
  await store.close();
  const fd = openSync(path, 'r+');
  writeSync(fd, 'X', second + 1);
  closeSync(fd);
  t.same(await names(store), ['b', 'c']);
});

void t.test('what takes each byte that comes free stops neither reading nor removing', { skip }, async (t) => {
  const root = await smallRoot(t);
  const store = openStore(root);
  for (let i = 0; i < 20; i++) await put(store, `v${i}`);
  const greedy = spawn('sh', ['-c', 'while :; do cat /dev/zero >> "$0"; done', join(root, 'greedy')], { stdio: 'ignore' });
  t.teardown(() => greedy.kill('SIGKILL'));
  await waitFor('the disk to be full', () => statfsSync(root).bavail === 0);
  for (let i = 0; i < 20; i++) {
    await store.transaction((records) => records.commit([{ table: 'volume', key: `v${i}` }]));
    t.equal((await names(store)).length, 19 - i);
  }
  await store.close();
});

void t.test('records that change again and again leave room to remove them', { skip }, async (t) => {
  const root = await smallRoot(t);
  const store = openStore(root);
  for (const name of ['a', 'b']) await put(store, name);
  exhaust(join(root, 'filler'), 'bytes');
  let changed = 0;
  const last = async (): Promise<unknown> => {
    for (; changed < 1000; changed++) await put(store, 'a');
    return undefined;
  };
  await t.rejects(last(), { message: /no space left on device; remove something first/ });
  t.ok(changed > 50, String(changed));
  await store.transaction((records) => records.commit([{ table: 'volume', key: 'b' }]));
  t.same(await names(store), ['a']);
  await store.close();
});

void t.test('copies of the database are gone when it is closed, and when who made one has died', { skip }, async (t) => {
  const root = await smallRoot(t);
  const standby = join(runDirectory(), 'standby');
  const store = openStore(root);
  await put(store, 'a');
  await store.close();
  exhaust(join(root, 'filler'), 'bytes');
  const copies = await store.transaction(async () => readdirSync(standby));
  t.equal(copies.length, 1);
  t.same(readdirSync(standby), []);
  mkdirSync(join(standby, 'dead.1.1.1.x'), { recursive: true });
  t.same(await names(openStore(root)), ['a']);
  t.same(readdirSync(standby), []);
});

void t.test('what adds records does not use up the room that is kept for removing', { skip }, async (t) => {
  const root = await smallRoot(t);
  const store = openStore(root);
  for (const name of ['a', 'b']) await put(store, name);
  exhaust(join(root, 'filler'), 'bytes');
  let taken = 0;
  for (let i = 0; i < 100; i++) {
    const refusal = await put(store, `new-${i}`).then(() => undefined, String);
    if (refusal === undefined) taken++;
    else if (!t.match(refusal, /no space left on device; remove something first/)) break;
  }
  t.ok(taken < 10, `${taken} find room in what opening it has freed`);
  await put(store, 'a');
  await store.transaction((records) => records.commit([{ table: 'volume', key: 'b' }]));
  t.equal((await names(store)).length, 1 + taken);
  rmSync(join(root, 'filler'), { recursive: true });
  await put(store, 'new');
  t.ok((await names(store)).includes('new'));
  await store.close();
});
