// Names are bytes: those that are not UTF-8, the longest, and the strangest go through every op unchanged.

import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { type Spec, build, dir, namesIn, withXattrs } from './disk.js';
import { Rig } from './rig.js';

const strange = {
  'not UTF-8': '\xff\xfe\x80name',
  'every byte but / and NUL': Array.from({ length: 254 }, (_, i) => String.fromCharCode(i + 1))
    .filter((char) => char !== '/')
    .join(''),
  '255 bytes': '\xe9'.repeat(255),
  'UTF-8': Buffer.from('überß 💾').toString('latin1'),
  'a newline': 'a\nb',
  'a space at the end': 'a ',
  'a backslash': 'a\\b',
  'a colon': 'a:b,c',
  'nearly a whiteout': '.wh',
  'nearly the dots': '...',
  __proto__: '__proto__',
};

for (const [what, name] of Object.entries(strange)) {
  void t.test(`a name that is ${what}`, async (t) => {
    const rig = new Rig(t, [{ [`d/${name}`]: 'lower' }, { [`e/${name}/in`]: '1', 'd/other': '' }, { [`e/${name}/out`]: '2' }]);
    const client = rig.open();
    t.same(client.names('d'), [name, 'other'].sort());
    t.same(client.names(`e/${name}`), ['in', 'out']);
    t.equal(client.read(`d/${name}`), 'lower');
    t.equal(client.write(`d/${name}`, 'upper'), 5);
    t.same(namesIn(`${rig.upper}/d`), [name]);
    t.equal(client.unlink(`d/${name}`), 0);
    t.equal(client.lookup(`d/${name}`), -errno.ENOENT);
    t.match(client.symlink(`d/${name}`, name), { mode: 0o120777 });
    t.equal(client.readlink(`d/${name}`), name);
    t.equal(client.rename(`e/${name}`, 'e/moved'), 0);
    t.equal(client.rename('e/moved', `d/other-${name}`.slice(0, 257)), 0);
    const wanted = client.tree();
    t.same(Object.keys(wanted).filter((path) => path.endsWith('/out')).length, 1);
    t.same(rig.open().tree(), wanted, 'and when mounted again');
    t.equal(client.rename(`d/other-${name}`.slice(0, 257), `e/${name}`), 0);
    t.same(client.names(`e/${name}`), ['in', 'out']);
    t.same(rig.leftInWork(), []);
  });
}

void t.test('a name of 256 bytes is too long for every op', async (t) => {
  const client = new Rig(t, [{ 'd/f': '' }, { 'd/g': '' }]).open();
  const long = `d/${'x'.repeat(256)}`;
  const ENAMETOOLONG = -errno.ENAMETOOLONG;
  t.equal(client.mkdir(long), ENAMETOOLONG);
  t.equal(client.create(long), ENAMETOOLONG);
  t.equal(client.symlink(long, 'x'), ENAMETOOLONG);
  t.equal(client.rename('d/f', long), ENAMETOOLONG);
  t.equal(client.link(client.id('d/f'), long), ENAMETOOLONG);
  t.equal(client.lookup(long), ENAMETOOLONG);
  t.same(client.names('d'), ['f', 'g']);
});

const WH_NAMES = ['.wh.f', '.wh.', '.wh..wh..opq'];

const places: Readonly<Record<string, { upper: Spec; lower: Spec }>> = {
  'a merged directory': { upper: { 'd/f': 'f' }, lower: { 'd/g': 'g' } },
  'a directory of upper alone': { upper: { 'd/f': 'f', 'd/g': 'g' }, lower: {} },
  'a directory of a lower alone': { upper: {}, lower: { 'd/f': 'f', 'd/g': 'g' } },
  'the root': { upper: { f: 'f' }, lower: { g: 'g' } },
};

for (const [where, { upper, lower }] of Object.entries(places)) {
  void t.test(`in ${where}, names that begin with .wh. are names like any other`, async (t) => {
    const rig = new Rig(t, [lower]);
    build(rig.upper, upper);
    const client = rig.open();
    const at = where === 'the root' ? '' : 'd/';
    for (const name of WH_NAMES) {
      t.equal(client.lookup(at + name), -errno.ENOENT, name);
      t.type(client.create(at + name), 'object', name);
      t.equal(client.create(at + name), -errno.EEXIST, name);
    }
    t.equal(client.rename(`${at}.wh.`, `${at}.wh.other`), 0);
    t.type(client.link(client.id(`${at}g`), `${at}.wh.g`), 'object');
    t.type(client.mkdir(`${at}.wh.dir`), 'object');
    t.type(client.create(`${at}.wh.dir/.wh.deep`), 'object');
    t.equal(client.rename(`${at}f`, `${at}.wh..wh..opq`), 0);
    const content = {
      '.wh..wh..opq': 'f',
      '.wh.dir/': '',
      '.wh.dir/.wh.deep': '',
      '.wh.f': '',
      '.wh.g': 'g',
      '.wh.other': '',
      g: 'g',
    };
    const shown: Record<string, string> = at === '' ? {} : { 'd/': '' };
    for (const [name, text] of Object.entries(content)) shown[at + name] = text;
    t.same(client.tree(), shown);
    const again = rig.open();
    t.same(again.tree(), shown, 'and after a new mount');
    t.equal(again.unlink(`${at}.wh.other`), 0);
    t.equal(again.unlink(`${at}.wh.dir/.wh.deep`), 0);
    t.equal(again.rmdir(`${at}.wh.dir`), 0);
    t.same(again.names(at.slice(0, -1)), ['.wh..wh..opq', '.wh.f', '.wh.g', 'g']);
  });
}

void t.test('a layer that has such names keeps them below another upper', async (t) => {
  const plain = withXattrs(dir(), { 'trusted.overlay.plainnames': 'y', 'trusted.overlay.impure': 'y' });
  const layer = { 'd/': plain, 'd/.wh.f': '1', 'd/.wh.x': '2', 'd/.wh..wh..opq': '3' };
  const rig = new Rig(t, [layer, { 'd/f': '', 'd/x': '' }]);
  const client = rig.open();
  t.same(client.names('d'), ['.wh..wh..opq', '.wh.f', '.wh.x', 'f', 'x']);
  t.equal(client.unlink('d/.wh.f'), 0);
  t.equal(client.write('d/.wh.x', 'changed'), 7);
  const shown = { 'd/': '', 'd/.wh..wh..opq': '3', 'd/.wh.x': 'changed', 'd/f': '', 'd/x': '' };
  t.same(client.tree(), shown);
  t.same(rig.open().tree(), shown);
});

void t.test('where upper has whiteouts of that form, there are none', async (t) => {
  const rig = new Rig(t, [{ 'd/f': '', 'd/g': '' }]);
  build(rig.upper, { 'd/.wh.f': '' });
  const client = rig.open();
  for (const name of WH_NAMES) {
    t.equal(client.create(`d/${name}`), -errno.EINVAL);
    t.equal(client.rename('d/g', `d/${name}`), -errno.EINVAL);
  }
  t.same(client.names('d'), ['g']);
});

void t.test('a whiteout device cannot be made', async (t) => {
  const client = new Rig(t, [{ 'd/f': '' }]).open();
  t.equal(client.mknod('d/w', 0o020000, 0), -errno.EPERM);
  t.same(client.names('d'), ['f']);
});

void t.test('a tree deeper than PATH_MAX', async (t) => {
  const client = new Rig(t, [{ 'top/f': '' }, { 'top/g': '' }], { fdLimit: 64 }).open();
  const name = 'n'.repeat(250);
  let at = client.id('top');
  for (let depth = 0; depth < 40; depth++) {
    const body = Buffer.concat([Buffer.from(Uint32Array.from([0o755, 0]).buffer), Buffer.from(`${name}\0`)]);
    const made = client.ask(9, at, body);
    if (typeof made === 'number') return t.fail(`depth ${depth}: errno ${-made}`);
    at = Number(made.readBigUInt64LE(0));
    client.counts.set(at, 1);
  }
  // The fds of the upper part were given up long ago: the last one is found again by its names.
  for (let i = 0; i < 100; i++) client.mkdir(`top/other${i}`);
  t.match(client.getattr(at), { mode: 0o040755 });
  t.same(
    client.entries(at).map((entry) => entry.name),
    ['.', '..'],
  );
  t.equal(client.rename('top', 'moved'), 0);
  t.match(client.getattr(at), { mode: 0o040755 });
});
