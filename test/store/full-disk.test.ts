// The database on a disk that is full, and when it no longer is.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Store, openStore } from '../../src/store/index.js';
import { mustCommand } from '../support/command.js';
import { exhaust } from '../support/exhaust.js';
import { scratchDir } from '../support/paths.js';

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

const reserve = (root: string): string[] => readdirSync(join(root, 'db')).filter((name) => name.startsWith('reserve-'));

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
    t.equal(reserve(root).length, 8);
    exhaust(join(root, 'filler'), what);
    for (let i = 0; i < 10; i++) t.same(await names(store), ['a', 'b', 'c']);
    await store.transaction((records) => records.commit([{ table: 'volume', key: 'b' }]));
    t.same(await names(store), ['a', 'c']);
    rmSync(join(root, 'filler'), { recursive: true });
    t.same(await names(store), ['a', 'c']);
    t.equal(reserve(root).length, 8, 'there is a reserve again');
    await store.close();
  });
}

void t.test('what adds records does not use up the room that is kept for removing', { skip }, async (t) => {
  const root = await smallRoot(t);
  const store = openStore(root);
  for (const name of ['a', 'b']) await put(store, name);
  exhaust(join(root, 'filler'), 'bytes');
  let taken = 0;
  for (let i = 0; i < 400; i++) {
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
