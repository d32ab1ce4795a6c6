// Listing: every name once, whatever happens between two pages, in directories of one layer, of several, and in those
// that change from the one to the other meanwhile.

import t from 'tap';
import type { Client } from './client.js';
import { type Spec, node, symlink } from './disk.js';
import { Rig } from './rig.js';

const PAGE = 200;
const DOTS = ['.', '..'];

/** `count` files called `prefix` and a number. */
const many = (folder: string, prefix: string, count: number): Spec =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${folder}/${prefix}${i}`, '']));
const numbered = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

const onTwo: Spec[] = [many('d', 'a', 40), many('d', 'b', 40)];

function listed(client: Client, path: string, between: (page: number) => void, plus = false): string[] {
  return client.entries(client.id(path), PAGE * (plus ? 4 : 1), plus, between).map(({ name }) => name);
}

for (const plus of [false, true]) {
  const op = plus ? 'READDIRPLUS' : 'READDIR';
  void t.test(`${op}: pages of any size list every name once, the dots first`, async (t) => {
    const client = new Rig(t, onTwo).open();
    for (const size of [plus ? 200 : 64, 500, 4096]) {
      const all = client.entries(client.id('d'), size, plus).map(({ name }) => name);
      t.same(all.slice(0, 2), DOTS);
      t.same(all.sort(), [...DOTS, ...numbered('a', 40), ...numbered('b', 40)].sort());
    }
  });

  void t.test(`${op}: names removed between two pages neither shift nor repeat the rest`, async (t) => {
    const client = new Rig(t, onTwo).open();
    for (const name of numbered('u', 20)) client.create(`d/${name}`); // on upper alone: no whiteout when they go
    const gone: string[] = [];
    const seen = listed(
      client,
      'd',
      () => {
        // Some that were listed and some that were not, from every layer.
        for (const name of [`a${gone.length}`, `b${39 - gone.length}`, `u${gone.length}`]) {
          if (client.unlink(`d/${name}`) === 0) gone.push(name);
        }
      },
      plus,
    );
    t.equal(new Set(seen).size, seen.length, 'none twice');
    const stayed = [...numbered('a', 40), ...numbered('b', 40), ...numbered('u', 20)].filter((name) => !gone.includes(name));
    t.same(
      stayed.filter((name) => !seen.includes(name)),
      [],
      'none missed',
    );
    t.ok(gone.length > 4);
    t.same(client.names('d'), stayed.sort());
  });

  void t.test(`${op}: names that come and move between two pages repeat nothing`, async (t) => {
    const client = new Rig(t, onTwo).open();
    let made = 0;
    const seen = listed(
      client,
      'd',
      () => {
        if (made >= 10) return;
        client.create(`d/new${made}`);
        client.rename(`d/b${made}`, `d/moved${made++}`);
      },
      plus,
    );
    t.equal(new Set(seen).size, seen.length, 'none twice');
    const stayed = [...numbered('a', 40), ...numbered('b', 40).slice(10)];
    t.same(
      stayed.filter((name) => !seen.includes(name)),
      [],
      'none missed',
    );
  });
}

void t.test('a directory of one layer that is taken over in the middle goes on where it was', async (t) => {
  for (const change of ['mkdir', 'unlink', 'rename'] as const) {
    for (const pages of [1, 4]) {
      const client = new Rig(t, [many('d', 'f', 80), {}]).open();
      const seen = listed(client, 'd', (page) => {
        if (page !== pages) return;
        if (change === 'mkdir') client.mkdir('d/sub');
        else if (change === 'unlink') client.unlink('d/f79');
        else client.rename('d/f79', 'd/f79.new');
      });
      const names = new Set(seen);
      t.equal(names.size, seen.length, `${change} after page ${pages}: none twice`);
      t.same(
        numbered('f', 79).filter((name) => !names.has(name)),
        [],
        `${change} after page ${pages}: none missed`,
      );
    }
  }
});

void t.test('a second reader starts from the beginning of a taken-over directory', async (t) => {
  const client = new Rig(t, [many('d', 'f', 30), {}]).open();
  t.equal(client.unlink('d/f3'), 0);
  for (let round = 0; round < 2; round++) {
    t.same(listed(client, 'd', () => undefined).sort(), [...DOTS, ...numbered('f', 30).filter((name) => name !== 'f3')].sort());
  }
});

void t.test('types and numbers are those of the objects', async (t) => {
  const kinds: Spec = {
    'd/file': 'x',
    'd/dir/': '',
    'd/link': symlink('x'),
    'd/fifo': node(0o010644),
    'd/chr': node(0o020644, (1n << 32n) | 3n),
  };
  const client = new Rig(t, [kinds, { 'd/below': '' }]).open();
  client.mkdir('d/made');
  client.symlink('d/made-link', 'x');
  client.mknod('d/made-fifo', 0o010600);
  const types: Record<string, number> = {
    file: 8,
    dir: 4,
    link: 10,
    fifo: 1,
    chr: 2,
    below: 8,
    made: 4,
    'made-link': 10,
    'made-fifo': 1,
    '.': 4,
    '..': 4,
  };
  for (const plus of [false, true]) {
    for (const { name, type, ino } of client.entries(client.id('d'), 4096, plus)) {
      t.equal(type, types[name], `type of ${name}`);
      const found = client.lookup(DOTS.includes(name) ? 'd' : `d/${name}`);
      if (name !== '..') t.match(found, { ino }, `number of ${name}`);
    }
  }
});

void t.test('a further name has the type of its object', async (t) => {
  const client = new Rig(t, [{ 'd/f': '' }, { 'd/g': '' }]).open();
  client.symlink('d/link', 'x');
  client.mknod('d/fifo', 0o010600);
  client.link(client.id('d/link'), 'd/link2');
  client.link(client.id('d/fifo'), 'd/fifo2');
  const types = new Map(client.entries(client.id('d')).map(({ name, type }) => [name, type]));
  t.equal(types.get('link2'), 10, 'DT_LNK');
  t.equal(types.get('fifo2'), 1, 'DT_FIFO');
});

void t.test('a name that comes back is listed again, once', async (t) => {
  const client = new Rig(t, onTwo).open();
  for (let round = 0; round < 3; round++) {
    client.unlink('d/a7');
    client.create('d/a7');
  }
  t.equal(client.entries(client.id('d')).filter(({ name }) => name === 'a7').length, 1);
  t.equal(client.names('d').length, 80);
});

void t.test('a name that is copied up is listed once', async (t) => {
  const client = new Rig(t, onTwo).open();
  t.equal(client.names('d').length, 80);
  for (const name of ['a3', 'b3']) t.equal(client.chmod(`d/${name}`, 0o600), 0);
  t.equal(client.names('d').length, 80);
});

void t.test('names made and removed for ever do not make a directory grow', async (t) => {
  const client = new Rig(t, onTwo).open();
  const id = client.id('d');
  for (let round = 0; round < 2000; round++) {
    client.create('d/tmp');
    client.unlink('d/tmp');
  }
  const dir = client.union.directory(id as never);
  const positions = typeof dir === 'number' ? 0 : (dir.index?.length ?? 0);
  t.ok(positions < 1000, `${positions} positions for 80 names`);
});

void t.test('another who lists the directory does not lead astray who removes what it lists', async (t) => {
  const client = new Rig(t, onTwo).open();
  for (const name of numbered('u', 400)) client.create(`d/${name}`);
  const seen: string[] = [];
  for (let offset = 0n; ;) {
    const page = client.page(client.id('d'), offset, PAGE);
    if (typeof page === 'number') return t.fail(`errno ${-page}`);
    const last = page.at(-1);
    if (!last) break;
    offset = last.off;
    for (const { name } of page) {
      seen.push(name);
      if (!DOTS.includes(name) && client.unlink(`d/${name}`) !== 0) t.fail(name);
    }
    client.names('d');
  }
  t.same(seen.sort(), [...DOTS, ...numbered('a', 40), ...numbered('b', 40), ...numbered('u', 400)].sort());
  t.equal(client.rmdir('d'), 0);
});

void t.test('a removed directory lists nothing', async (t) => {
  const client = new Rig(t, [{ 'd/sub/f': '' }, { 'd/sub/': '' }]).open();
  const id = client.id('d/sub');
  t.equal(client.unlink('d/sub/f'), 0);
  t.equal(client.rmdir('d/sub'), 0);
  t.same(client.entries(id), []);
});

void t.test('numbers of merged and moved directories are those of stat before anybody looked at them', (t) => {
  const rig = new Rig(t, [{ 'd/s/f': '', 'd/m/f': '', 'd/k/f': '' }, { 'd/s/g': '' }]);
  const before = rig.open();
  before.mkdir('d/s/new');
  before.rename('d/m', 'd/n');
  before.mkdir('d/own');
  before.close();
  const client = rig.open();
  const listed = client.entries(client.id('d'), 4096, false).filter(({ name }) => !DOTS.includes(name));
  t.same(listed.map(({ name }) => name).sort(), ['k', 'n', 'own', 's']);
  for (const { name, ino } of listed) t.match(client.lookup(`d/${name}`), { ino }, name);
  t.end();
});

void t.test('numbers are those of stat, with layers on filesystems of their own', (t) => {
  const client = new Rig(t, [{ 'd/f': '', 'd/s/t': '', 'e/f': '' }, { 'e/g': '' }], { tmpfs: 'size=1m' }).open();
  client.mkdir('new');
  client.create('new/f');
  for (const path of ['d', 'd/s', 'e', 'new']) {
    for (const plus of [false, true]) {
      for (const { name, ino } of client.entries(client.id(path), 4096, plus)) {
        const above = path.split('/').slice(0, -1).join('/');
        const at = name === '.' ? path : name === '..' ? above : `${path}/${name}`;
        t.match(client.lookup(at), { ino }, `${path}: ${name}`);
      }
    }
  }
  t.end();
});
