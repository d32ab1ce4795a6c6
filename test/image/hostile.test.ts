// Entries that no honest tool writes: each is refused with a clear error, and nothing is left, inside or outside.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { asTar, legacyArchive } from './archives.js';
import { failure, openDescriptors, StoreRig } from './store-rig.js';
import { entryBytes, END, paxData, tar } from './tar-bytes.js';
import type { TarEntry } from './tar-bytes.js';

interface Case {
  readonly title: string;
  readonly entries?: readonly TarEntry[];
  readonly bytes?: Buffer;
  readonly says: RegExp;
}

const symlink = (name: string, linkname: string): TarEntry => ({ name, type: '2', linkname });
const loop: TarEntry[] = Array.from({ length: 60 }, (_, i) => symlink(`s${i}`, `s${i + 1}`));

const cases: readonly Case[] = [
  { title: '".." in a name', entries: [{ name: '../evil', data: 'x' }], says: /entry \.\.\/evil: the name contains "\.\."/ },
  { title: '".." inside a name', entries: [{ name: 'a/../../evil', data: 'x' }], says: /contains "\.\."/ },
  { title: '".." after an absolute start', entries: [{ name: '/../evil', data: 'x' }], says: /the name is absolute/ },
  { title: 'an absolute name', entries: [{ name: '/abs/file', data: 'x' }], says: /entry \/abs\/file: the name is absolute/ },
  {
    title: 'a parent symlink that climbs out',
    entries: [symlink('out', '../../../../..'), { name: 'out/evil', data: 'x' }],
    says: /leads out of the layer/,
  },
  {
    title: 'a parent symlink that climbs out later',
    entries: [{ name: 'd', type: '5' }, symlink('d/out', '../x/../..'), { name: 'd/out/evil', data: 'x' }],
    says: /leads out of the layer/,
  },
  {
    title: 'a hard link to a name outside',
    entries: [{ name: 'l', type: '1', linkname: '../../../etc/passwd' }],
    says: /contains "\.\."/,
  },
  {
    title: 'a hard link to an absolute name',
    entries: [{ name: 'l', type: '1', linkname: '/etc/passwd' }],
    says: /hard link to \/etc\/passwd, which is not in the same layer/,
  },
  {
    title: 'a hard link through a symlink that climbs out',
    entries: [symlink('o', '../../..'), { name: 'l', type: '1', linkname: 'o/etc/passwd' }],
    says: /leads out of the layer/,
  },
  {
    title: 'a hard link to a directory',
    entries: [
      { name: 'd', type: '5' },
      { name: 'l', type: '1', linkname: 'd' },
    ],
    says: /hard link to the directory d/,
  },
  {
    title: 'a hard link to a whiteout',
    entries: [{ name: '.wh.d' }, { name: 'l', type: '1', linkname: 'd' }],
    says: /not in the same layer/,
  },
  { title: 'a hard link to the root', entries: [{ name: 'l', type: '1', linkname: '/' }], says: /not in the same layer/ },
  {
    title: 'a symlink loop as a parent',
    entries: [symlink('a', 'b'), symlink('b', 'a'), { name: 'a/x', data: 'x' }],
    says: /too many symbolic links/,
  },
  { title: 'a bomb of symlinks', entries: [...loop, { name: 's0/x', data: 'x' }], says: /too many symbolic links/ },
  {
    title: 'a file as a parent',
    entries: [
      { name: 'f', data: 'x' },
      { name: 'f/x', data: 'x' },
    ],
    says: /not a directory/,
  },
  { title: 'a NUL in a PAX name', entries: [{ name: 'x', pax: [['path', 'a\0b']] }], says: /contains a NUL/ },
  { title: 'a component of 256 bytes', entries: [{ name: 'n'.repeat(256) }], says: /longer than 255 bytes/ },
  { title: 'a path of 5000 bytes', entries: [{ name: 'd/'.repeat(2500) + 'f' }], says: /longer than 4095 bytes/ },
  {
    title: 'a path that symlinks make too long',
    entries: [
      { name: `${'e'.repeat(200)}/`.repeat(18), type: '5' },
      symlink('l', `${'e'.repeat(200)}/`.repeat(18)),
      { name: `l/${'f'.repeat(200)}/`.repeat(1) + `${'g'.repeat(200)}/${'h'.repeat(200)}/x` },
    ],
    says: /longer than 4095 bytes|name too long/,
  },
  { title: 'an empty symlink', entries: [symlink('l', '')], says: /cannot create it/ },
  {
    title: 'a device number out of range',
    entries: [{ name: 'dev', type: '3', major: 70000, minor: 1 }],
    says: /there is no device 70000:1/,
  },
  { title: 'a type nobody knows', entries: [{ name: 'x', type: 'Z' }], says: /type "Z" are not supported/ },
  { title: 'a whiteout of nothing', entries: [{ name: 'd/.wh.' }], says: /whiteout of nothing/ },
  { title: 'a whiteout of ..', entries: [{ name: 'd/.wh...' }], says: /whiteout of nothing/ },
  { title: 'an entry below a whiteout', entries: [{ name: '.wh.d/x' }], says: /entries below it/ },
  {
    title: 'a root that is a file',
    entries: [{ name: './', type: '0', patch: (h) => h.write('.\0', 0, 'latin1') }],
    says: /root is not a directory/,
  },
  { title: 'a size of 8 EiB', entries: [{ name: 'big', size: 2 ** 63 }], says: /number in the header is out of range/ },
  { title: 'a size beyond the archive', entries: [{ name: 'big', size: 2 ** 40 }], says: /unexpected end/ },
  { title: 'a negative size', entries: [{ name: 'x', size: -512 }], says: /size is negative/ },
  {
    title: 'a PAX size that is no number',
    entries: [{ name: 'x', pax: [['size', '1e9']] }],
    says: /PAX record size is not a number/,
  },
  {
    title: 'a PAX record that lies about its length',
    bytes: Buffer.concat([entryBytes({ name: 'p', type: 'x', data: '99 path=x\n' }), entryBytes({ name: 'x' }), END]),
    says: /PAX record is malformed/,
  },
  {
    title: 'a PAX header of 2 MiB',
    bytes: Buffer.concat([
      entryBytes({ name: 'p', type: 'x', data: paxData([['comment', 'x'.repeat(2 << 20)]]) }),
      entryBytes({ name: 'x' }),
      END,
    ]),
    says: /longer than 1 MiB/,
  },
  {
    title: 'a sparse map that leaves the file',
    entries: [
      {
        name: 's',
        data: 'x'.repeat(512),
        pax: [
          ['GNU.sparse.size', '100'],
          ['GNU.sparse.map', '0,512'],
        ],
      },
    ],
    says: /overlaps or leaves the file/,
  },
  {
    title: 'a sparse map that lies about its data',
    entries: [
      {
        name: 's',
        data: 'x'.repeat(512),
        pax: [
          ['GNU.sparse.size', '9999'],
          ['GNU.sparse.map', '0,1024'],
        ],
      },
    ],
    says: /does not match the size/,
  },
  {
    title: 'a sparse file of 2^60 bytes',
    entries: [
      {
        name: 's',
        data: '',
        pax: [
          ['GNU.sparse.size', '9007199254740991'],
          ['GNU.sparse.map', '0,0'],
        ],
      },
    ],
    says: /cannot set its length|EFBIG|errno/i,
  },
];

void t.test('a hostile entry is refused', async (t) => {
  for (const { title, entries, bytes, says } of cases) {
    await t.test(title, async (t) => {
      const rig = new StoreRig();
      try {
        const layer = bytes ?? tar([{ name: 'first', data: 'ok' }, ...(entries ?? [])]);
        const before = openDescriptors();
        const message = await failure(rig.load(asTar(legacyArchive({ layers: [layer] }))));
        t.match(message, /^ImageError: /, 'an error for the user');
        t.match(message, says);
        t.match(message, /; (nothing was loaded|the archive is damaged)/, 'the next step');
        t.same(await rig.residue(), [], 'no residue');
        t.equal(openDescriptors(), before, 'no descriptor leaked');
        t.same(readdirSync(rig.dir), ['root'], 'nothing beside the store');
        t.notOk(existsSync('/evil'), 'nothing in the root of the host');
      } finally {
        await rig.dispose();
      }
    });
  }
});

void t.test('what looks hostile but is not is kept inside the layer', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const layer = tar([
    { name: '/', type: '5' },
    symlink('var-run', '/run'),
    { name: 'var-run/pid', data: 'p' },
    symlink('lib', 'usr/lib'),
    { name: 'lib/libc', data: 'c' },
    symlink('far', '../../../../etc'),
  ]);
  await rig.load(asTar(legacyArchive({ layers: [layer] })));
  const [key = ''] = readdirSync(join(rig.root, 'layers'));
  const diff = rig.store.layerDir(key);
  for (const path of ['run/pid', 'usr/lib/libc']) t.ok(existsSync(join(diff, path)), path);
});
