// The store: records, the lock between processes, what is swept, volumes, the data root.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { dataRoot, openStore, volumeRecords, withStore } from '../../src/store/index.js';
import { removeNow } from '../../src/process/remove-tree.js';
import type { Change, LayerRecord, Store } from '../../src/store/index.js';
import { scratchDir } from '../support/paths.js';

function scratch(t: { teardown(fn: () => unknown): unknown }): string {
  const dir = scratchDir();
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const layer = (key: string): LayerRecord => ({ key, size: 1, images: 1, dependent: false });
const layers = (store: Store): Promise<string[]> =>
  store.transaction(async (records) => (await records.list('layer')).map(({ key }) => key));

/** A process that has the database of `root` open until its standard input ends. */
async function holder(root: string): Promise<ChildProcess> {
  const store = join(__dirname, '../../src/store/index.js');
  const script = `const { openStore } = require(${JSON.stringify(store)}); const s = openStore(process.argv[1]);
    s.transaction(() => new Promise((end) => (console.log(s.makeStaging()), process.stdin.resume().once('end', end))));`;
  const child = spawn(process.execPath, ['-e', script, root], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

void t.test('the data root', async (t) => {
  t.equal(dataRoot({ LAMINA_ROOT: '/x/y' }, false), '/x/y');
  t.equal(dataRoot({ LAMINA_ROOT: 'rel' }, true), join(process.cwd(), 'rel'));
  t.equal(dataRoot({}, true), '/var/lib/lamina');
  t.equal(dataRoot({ XDG_DATA_HOME: '/d' }, false), '/d/lamina');
  t.match(dataRoot({ XDG_DATA_HOME: 'rel' }, false), /^\/.*\/\.local\/share\/lamina$/);
  t.match(dataRoot({}, false), /^\/.*\/\.local\/share\/lamina$/);
});

void t.test('a batch is written whole or not at all, and survives reopening', async (t) => {
  const root = join(scratch(t), 'root');
  await withStore(root, (store) =>
    store.transaction(async (records) => {
      await records.commit([
        { table: 'reference', key: 'b', value: { name: 'b', id: '1' } },
        { table: 'reference', key: 'a', value: { name: 'a', id: '2' } },
      ]);
      const unwritable = {
        ...layer('x'),
        toJSON: (): never => {
          throw new Error('no JSON');
        },
      };
      const broken: readonly Change[] = [
        { table: 'reference', key: 'c', value: { name: 'c', id: '3' } },
        { table: 'layer', key: 'x', value: unwritable },
      ];
      await t.rejects(records.commit(broken));
    }),
  );
  await withStore(root, (store) =>
    store.transaction(async (records) => {
      t.same(
        (await records.list('reference')).map(({ name }) => name),
        ['a', 'b'],
        'by key',
      );
      t.equal((await records.get('reference', 'a'))?.id, '2');
      t.equal(await records.get('reference', 'c'), undefined);
      t.equal(await records.get('image', 'a'), undefined, 'tables are apart');
      t.same(await records.list('reference', 'b'), [{ name: 'b', id: '1' }]);
      await records.commit([{ table: 'reference', key: 'a' }]);
      t.equal((await records.list('reference')).length, 1);
    }),
  );
});

void t.test('transactions of one process queue up', async (t) => {
  const store = openStore(join(scratch(t), 'root'));
  const order: number[] = [];
  const results = await Promise.allSettled(
    [0, 1, 2].map((i) =>
      store.transaction(async (records) => {
        order.push(i);
        await records.commit([{ table: 'reference', key: `${i}`, value: { name: `${i}`, id: '' } }]);
        order.push(i);
        if (i === 1) throw new Error('one fails');
      }),
    ),
  );
  t.same(order, [0, 0, 1, 1, 2, 2]);
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  await store.close();
});

void t.test('a database that another process has open', async (t) => {
  const root = join(scratch(t), 'root');
  const child = await holder(root);
  t.teardown(() => child.kill('SIGKILL'));
  const impatient = openStore(root, { waitMs: 100 });
  await t.rejects(layers(impatient), {
    name: 'StoreError',
    message: /db: another process has kept the database open for 0.1 s; try again/,
  });
  const patient = layers(openStore(root));
  child.stdin?.end();
  t.same(await patient, [], 'is waited for');
});

void t.test('what dead processes left is swept, what living ones work on is not', async (t) => {
  const root = join(scratch(t), 'root');
  const store = openStore(root);
  const mine = store.makeStaging();
  const child = await holder(root);
  t.teardown(() => child.kill('SIGKILL'));
  const [boot = '', namespace = '', pid = '', started = ''] = (
    readdirSync(store.tmp).find((name) => name.includes(`.${process.pid}.`)) ?? ''
  ).split('.');
  const make = (...parts: readonly string[]): string => {
    mkdirSync(join(store.tmp, parts.join('.'), 'deep'), { recursive: true });
    return parts.join('.');
  };
  const gone = [
    make(boot, namespace, '4194305', '1', 'x'),
    make(boot, namespace, pid, `${Number(started) - 1}`, 'reused-pid'),
    make('00000000', namespace, pid, started, 'other-boot'),
    make('strange'),
  ];
  const kept = [make(boot, '1', '4194305', '1', 'other-namespace')];
  openStore(root);
  const left = readdirSync(store.tmp);
  for (const name of gone) t.notOk(left.includes(name), name);
  for (const name of kept) t.ok(left.includes(name), name);
  t.ok(existsSync(mine));
  t.equal(left.length, 3, "the living process's directory is there");
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  openStore(root);
  t.equal(readdirSync(store.tmp).length, 2, 'and goes when that process was killed');
});

void t.test('a layer without a record is removed, one with a record is not', async (t) => {
  const root = join(scratch(t), 'root');
  const store = openStore(root);
  for (const key of ['orphan', 'known']) mkdirSync(store.layerDir(key), { recursive: true });
  await store.transaction(async (records) => {
    t.same(readdirSync(join(root, 'layers')), [], 'none has a record yet');
    mkdirSync(store.layerDir('known'), { recursive: true });
    await records.commit([{ table: 'layer', key: 'known', value: layer('known') }]);
  });
  mkdirSync(join(store.layerDir('orphan'), 'deep'), { recursive: true });
  t.same(await layers(store), ['known']);
  t.same(readdirSync(join(root, 'layers')), ['known']);
  t.same(readdirSync(store.tmp), []);
});

void t.test('a root that cannot be used, a database of another time, a damaged one', async (t) => {
  const dir = scratch(t);
  writeFileSync(join(dir, 'file'), '');
  t.throws(() => openStore(join(dir, 'file', 'x')), {
    name: 'StoreError',
    message: /cannot use this as the data root: ENOTDIR; set LAMINA_ROOT/,
  });
  const { Level } = await import('level');
  mkdirSync(join(dir, 'new'), { recursive: true });
  const level = new Level<string, unknown>(join(dir, 'new', 'db'), { valueEncoding: 'json' });
  await level.put('schema', 99);
  await level.close();
  await t.rejects(layers(openStore(join(dir, 'new'))), { message: /the database has schema 99, this lamina knows 1/ });
  const damaged = openStore(join(dir, 'damaged'));
  await layers(damaged);
  renameSync(join(dir, 'damaged', 'db', 'CURRENT'), join(dir, 'damaged', 'db', 'GONE'));
  writeFileSync(join(dir, 'damaged', 'db', 'CURRENT'), 'rubbish');
  await t.rejects(layers(damaged), {
    name: 'StoreError',
    message: /damaged.*db: (cannot open the database|the database is damaged)/,
  });
});

void t.test('volumes', async (t) => {
  const store = openStore(join(scratch(t), 'root'));
  const volumes = volumeRecords(store);
  const made = await volumes.create({ name: 'data', path: '/v/data', labels: { a: 'b' }, anonymous: false });
  t.ok(Math.abs(made.created - Date.now()) < 60_000);
  t.same(await volumes.get('data'), made);
  await t.rejects(volumes.create({ name: 'data', path: '/w', labels: {}, anonymous: true }), {
    message: /volume data: the name is taken/,
  });
  await volumes.create({ name: 'an', path: '/v/an', labels: {}, anonymous: true });
  t.same(
    (await volumes.list()).map(({ name }) => name),
    ['an', 'data'],
  );
  t.same(await volumes.remove('data'), made);
  t.equal(await volumes.remove('data'), undefined);
  t.equal(await volumes.get('data'), undefined);
});

void t.test('removeTree', async (t) => {
  const dir = scratch(t);
  const top = join(dir, 'top');
  let deep = top;
  mkdirSync(deep);
  for (let i = 0; i < 30; i++) {
    // Built from the inside out by renames: the whole path is longer than PATH_MAX.
    mkdirSync(join(dir, 'next'));
    writeFileSync(join(dir, 'next', 'f'), '');
    renameSync(top, join(dir, 'next', 'd'.repeat(250)));
    renameSync(join(dir, 'next'), top);
  }
  deep = join(top, 'locked');
  mkdirSync(join(deep, 'inner'), { recursive: true });
  writeFileSync(Buffer.concat([Buffer.from(`${deep}/caf`), Buffer.from([0xe9])]), '');
  chmodSync(deep, 0);
  const outside = join(dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'f'), '');
  symlinkSync(outside, join(top, 'link'));
  removeNow(top);
  t.notOk(existsSync(top));
  t.ok(existsSync(join(outside, 'f')), 'symlinks are not followed');
  removeNow(top);
});

void t.test('who holds the database lets others in when it has no use for it', async (t) => {
  const root = join(scratch(t), 'root');
  const holder = openStore(root);
  await holder.hold();
  const store = join(__dirname, '../../src/store/index.js');
  const script = `require(${JSON.stringify(store)}).openStore(process.argv[1], { waitMs: 10000 }).transaction(async () => console.log('in')).catch((e) => console.log(e.name));`;
  const child = spawn(process.execPath, ['-e', script, root], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  t.equal(said.toString(), 'in\n');
  await holder.close();
});

void t.test('two stores of one process on one root keep the lock against other processes', async (t) => {
  const root = join(scratch(t), 'root');
  const [first, second] = [openStore(root), openStore(join(root, '..', 'root'))];
  await first.hold();
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const inside = second.transaction(async (records) => {
    await records.commit([{ table: 'reference', key: 'a', value: { name: 'a', id: '1' } }]);
    await released;
  });
  const store = join(__dirname, '../../src/store/index.js');
  const script = `require(${JSON.stringify(store)}).openStore(process.argv[1], { waitMs: 100 }).transaction(async () => console.log('in')).catch((e) => console.log(e.name));`;
  const child = spawn(process.execPath, ['-e', script, root], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  t.equal(said.toString(), 'StoreError\n');
  release();
  await inside;
  await first.close();
  t.equal(await second.transaction(async (records) => (await records.get('reference', 'a'))?.id), '1');
});
