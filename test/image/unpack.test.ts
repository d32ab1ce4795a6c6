// What a layer's tar becomes on disk: every entry type with all attributes, whiteouts in overlayfs form, and the same
// tree as other programs make of the same bytes.

import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { loadImage, resolveImage } from '../../src/image/index.js';
import { TarReader } from '../../src/tar/tar-reader.js';
import { command, mustCommand } from '../support/command.js';
import { asDirectory, asTar, legacyArchive, ociLayout, sha256 } from './archives.js';
import { failure, StoreRig } from './store-rig.js';
import { entryBytes, END, padded, tar } from './tar-bytes.js';
import type { TarEntry } from './tar-bytes.js';
import { dumpTree, xattrsOf } from './tree-dump.js';

const hasUmoci = spawnSync('umoci', ['--version']).status === 0;
const asRoot = process.geteuid?.() === 0 ? {} : { skip: 'owners, devices and trusted attributes need root' };

/** Loads one layer and gives the directory of its tree. */
async function unpacked(t: { teardown(fn: () => unknown): unknown }, layer: Buffer): Promise<string> {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  await rig.load(asTar(legacyArchive({ layers: [layer] })));
  return rig.store.layerDir(sha256(layer));
}

const xattr = (path: string, name: string): string | undefined =>
  xattrsOf(Buffer.from(path).toString('latin1')).get(name)?.toString('latin1');

void t.test('every type and attribute is kept', asRoot, async (t) => {
  // cap_net_raw,cap_setpcap+ep as revision 2: bytes that are no UTF-8.
  const capability = Buffer.from('0100000200a1000000000000000000000000000000'.slice(0, 40), 'hex').toString('latin1');
  const acl = Buffer.from(
    '0200000001000600ffffffff02000700e803000004000400ffffffff10000700ffffffff20000400ffffffff',
    'hex',
  ).toString('latin1');
  const dir = await unpacked(
    t,
    tar([
      { name: './', type: '5', mode: 0o750, uid: 5, gid: 6, mtime: 1_100_000_000 },
      { name: './suid', data: 'su', mode: 0o6755, uid: 1000, gid: 1001, pax: [['mtime', '1234567890.123456789']] },
      {
        name: './cap',
        data: 'c',
        mode: 0o755,
        uid: 7,
        pax: [
          ['SCHILY.xattr.security.capability', capability],
          ['SCHILY.xattr.user.bin', 'a\xff\n=\x80b'],
        ],
      },
      { name: './acl', data: 'a', mode: 0o674, pax: [['SCHILY.xattr.system.posix_acl_access', acl]] },
      { name: './lib', data: 'l', pax: [['LIBARCHIVE.xattr.user.a%20b', 'aGVsbG8=']] },
      { name: './tmp/', type: '5', mode: 0o1777, mtime: 1_200_000_000 },
      { name: './tmp/inner', data: 'x' },
      { name: './chr', type: '3', major: 4, minor: 300, mode: 0o620, uid: 3 },
      { name: './blk', type: '4', major: 259, minor: 70000, mode: 0o660 },
      { name: './fifo', type: '6', mode: 0o600 },
      { name: './sym', type: '2', linkname: '/absolute/../target', uid: 9, gid: 9, mtime: 1_300_000_000 },
      { name: './hard', type: '1', linkname: 'suid' },
      { name: './old', mtime: -86400 },
      { name: './huge-id', uid: 2 ** 31 - 2, gid: 2 ** 31 - 2 },
      {
        name: './pax-id',
        pax: [
          ['uid', '4294967294'],
          ['gid', '3000000000'],
        ],
      },
    ]),
  );
  const stat = (name: string) => lstatSync(join(dir, name), { bigint: true });
  t.match(stat('.'), { mode: 0o40750n, uid: 5n, gid: 6n, mtimeNs: 1_100_000_000_000_000_000n });
  t.match(stat('suid'), { mode: 0o106755n, uid: 1000n, gid: 1001n, mtimeNs: 1234567890123456789n, nlink: 2n });
  t.equal(xattr(join(dir, 'cap'), 'security.capability'), capability);
  t.equal(xattr(join(dir, 'cap'), 'user.bin'), 'a\xff\n=\x80b');
  t.equal(xattr(join(dir, 'acl'), 'system.posix_acl_access'), acl);
  t.equal(xattr(join(dir, 'lib'), 'user.a b'), 'hello');
  t.match(stat('tmp'), { mode: 0o41777n, mtimeNs: 1_200_000_000_000_000_000n }, 'times of a directory survive its children');
  t.match(stat('chr'), { mode: 0o20620n, uid: 3n, rdev: (4n << 8n) | (300n & 0xffn) | ((300n & ~0xffn) << 12n) });
  t.equal(stat('blk').mode, 0o60660n);
  t.equal(stat('fifo').mode, 0o10600n);
  t.equal(readlinkSync(join(dir, 'sym')), '/absolute/../target');
  t.match(stat('sym'), { uid: 9n, gid: 9n, mtimeNs: 1_300_000_000_000_000_000n });
  t.equal(stat('hard').ino, stat('suid').ino);
  t.equal(stat('old').mtimeNs, -86400_000_000_000n);
  t.equal(stat('huge-id').uid, BigInt(2 ** 31 - 2));
  t.match(stat('pax-id'), { uid: 4294967294n, gid: 3000000000n });
});

void t.test('names are bytes', async (t) => {
  const names = ['caf\xe9', '\xff\xfe', 'a\nb', ' ', 'n'.repeat(255), '\xc3\xa9'];
  const dir = await unpacked(
    t,
    tar([
      ...names.map((name) => ({ name })),
      { name: 'pax-\xff', pax: [['path', 'pax-\xfe']] },
      { name: 'l', type: '2', linkname: '\xe9\xff' },
    ]),
  );
  const found = readdirSync(dir, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
  t.same(found.sort(), [...names, 'pax-\xfe', 'l'].sort());
  t.equal(readlinkSync(join(dir, 'l'), 'latin1'), '\xe9\xff');
});

void t.test('GNU long names and an ustar prefix', async (t) => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(90)}`;
  const bytes = Buffer.concat([
    entryBytes({ name: '././@LongLink', type: 'L', data: `${long}\0` }),
    entryBytes({ name: long.slice(0, 100), data: 'x' }),
    entryBytes({ name: '././@LongLink', type: 'K', data: `${long}\0` }),
    entryBytes({ name: 'hard', type: '1', linkname: long.slice(0, 100) }),
    entryBytes({ name: 'base', data: 'p', patch: (h) => h.write('pre/fix', 345, 'latin1') }),
    END,
  ]);
  const dir = await unpacked(t, bytes);
  t.equal(readFileSync(join(dir, 'hard'), 'latin1'), 'x');
  t.equal(readFileSync(join(dir, 'pre/fix/base'), 'latin1'), 'p');
});

void t.test('whiteouts', asRoot, async (t) => {
  const dir = await unpacked(
    t,
    tar([
      { name: 'd/', type: '5' },
      { name: 'd/.wh.gone' },
      { name: 'd/kept' },
      { name: 'd/.wh.kept' },
      { name: 'd/.wh.back' },
      { name: 'd/back', data: 'b' },
      { name: 'e/', type: '5' },
      { name: 'e/child' },
      { name: 'e/.wh..wh..opq' },
      { name: 'f/.wh..wh..opq' },
      { name: '.wh.g' },
      { name: 'g/', type: '5' },
      { name: '.wh.h' },
      { name: 'h/implied' },
      { name: 'i/', type: '5' },
      { name: '.wh.i' },
      { name: 'dev0', type: '3', major: 0, minor: 0 },
      { name: '.wh..wh.aufs' },
      { name: '.wh..wh.plnk/', type: '5' },
      { name: '.wh..wh.plnk/1.2', data: 'x' },
      { name: '.wh.dup' },
      { name: '.wh.dup' },
    ]),
  );
  const isWhiteout = (name: string): boolean => {
    const { mode, rdev } = lstatSync(join(dir, name));
    return (mode & 0o170000) === 0o020000 && rdev === 0;
  };
  t.ok(isWhiteout('d/gone'));
  t.ok(lstatSync(join(dir, 'd/kept')).isFile(), 'a whiteout after a real entry of the layer hides lower layers only');
  t.ok(lstatSync(join(dir, 'd/back')).isFile(), 'a real entry takes the place of a whiteout');
  for (const name of ['e', 'f', 'g', 'h', 'i'])
    t.equal(xattr(join(dir, name), 'trusted.overlay.opaque'), 'y', `${name} is opaque`);
  t.equal(xattr(join(dir, 'd'), 'trusted.overlay.opaque'), undefined);
  t.ok(lstatSync(join(dir, 'e/child')).isFile());
  t.ok(lstatSync(join(dir, 'h/implied')).isFile());
  t.ok(isWhiteout('dev0'));
  t.ok(isWhiteout('dup'));
  t.same(readdirSync(dir).sort(), ['d', 'dev0', 'dup', 'e', 'f', 'g', 'h', 'i'], "no .wh. name, none of aufs's");
});

void t.test("overlay's own attributes cannot be forged", asRoot, async (t) => {
  const forged = ['trusted.overlay.opaque', 'trusted.overlay.redirect', 'user.overlay.opaque', 'user.fuseoverlayfs.opaque'];
  const dir = await unpacked(t, tar([{ name: 'd/', type: '5', pax: forged.map((name) => [`SCHILY.xattr.${name}`, 'y']) }]));
  t.same(
    [...xattrsOf(join(dir, 'd')).keys()],
    ['trusted.overlay.overlay.opaque', 'trusted.overlay.overlay.redirect', 'user.overlay.overlay.opaque'],
  );
});

void t.test('a later entry replaces an earlier one', async (t) => {
  const dir = await unpacked(
    t,
    tar([
      { name: 'f', data: 'one' },
      { name: 'f', data: 'two' },
      { name: 'd/', type: '5', mode: 0o700 },
      { name: 'd/x', data: 'x' },
      { name: 'd/', type: '5', mode: 0o711 },
      { name: 'e/', type: '5' },
      { name: 'e/x', data: 'x' },
      { name: 'e', data: 'file now' },
      { name: 's', type: '2', linkname: 'd' },
      { name: 's', data: 'no link' },
      { name: 'g', data: 'file' },
      { name: 'g/', type: '5', mode: 0o755 },
      { name: 'g/x', data: 'x' },
      { name: 'h', data: 'h' },
      { name: 'f', type: '1', linkname: 'h' },
      { name: 't', type: '2', linkname: 'd' },
      { name: 't/y', data: 'y' },
      { name: 't/', type: '5' },
      { name: 't/z', data: 'z' },
    ]),
  );
  t.equal(readFileSync(join(dir, 'f'), 'latin1'), 'h');
  t.equal(lstatSync(join(dir, 'd')).mode & 0o7777, 0o711);
  t.same(readdirSync(join(dir, 'd')), ['x', 'y']);
  t.equal(readFileSync(join(dir, 'e'), 'latin1'), 'file now');
  t.equal(readFileSync(join(dir, 's'), 'latin1'), 'no link');
  t.same(readdirSync(join(dir, 'g')), ['x']);
  t.same(readdirSync(join(dir, 't')), ['z'], 'a directory replaces a symlink');
  if (process.geteuid?.() === 0)
    t.equal(xattr(join(dir, 't'), 'trusted.overlay.opaque'), 'y', 'and hides what lower layers have there');
});

void t.test('a deep tree and many directories', async (t) => {
  const deep = Array.from({ length: 1500 }, () => 'd').join('/');
  const wide = Array.from({ length: 600 }, (_, i): TarEntry => ({ name: `w${i}/f`, data: 'x' }));
  const dir = await unpacked(
    t,
    tar([
      { name: `${deep}/f`, data: 'x' },
      ...wide,
      ...wide.map(({ name }) => ({ name: `${name}2`, type: '1', linkname: name })),
    ]),
  );
  t.equal(readFileSync(join(dir, deep, 'f'), 'latin1'), 'x');
  t.equal(lstatSync(join(dir, 'w599/f2')).nlink, 2);
});

void t.test('sparse files in every form of GNU tar', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const file = join(rig.dir, 'sparse');
  const content = Buffer.alloc(3 << 20);
  for (let i = 0; i < 40; i++) content.write(`part ${i}`, i * 65536 + 4096, 'latin1');
  writeFileSync(file, content);
  execFileSync('fallocate', ['-d', file]);
  for (const format of ['gnu', 'pax0.0', 'pax0.1', 'pax1.0']) {
    const [kind = '', version] = format === 'gnu' ? ['gnu'] : ['posix', format.slice(3)];
    const made = await command([
      'sh',
      '-c',
      `tar --sparse -c --format=${kind} ${version ? `--sparse-version=${version}` : ''} -C ${rig.dir} -f ${rig.dir}/layer.tar sparse`,
    ]);
    t.equal(made.code, 0, made.stderr);
    const layer = readFileSync(join(rig.dir, 'layer.tar'));
    t.ok(layer.length < 1 << 20, `${format}: the archive is sparse`);
    await rig.load(asTar(legacyArchive({ layers: [layer], tags: [`${format}:1`] })));
    const path = join(rig.store.layerDir(sha256(layer)), 'sparse');
    t.ok(readFileSync(path).equals(content), `${format}: the content`);
    t.ok(lstatSync(path).blocks * 512 < 1 << 20, `${format}: the holes`);
  }
});

void t.test('the same tree whatever the pieces it arrives in', async (t) => {
  const layer = tar([
    { name: 'a', data: 'x'.repeat(1000) },
    { name: 'n'.repeat(300).replace(/(.{50})/g, '$1/'), data: 'y' },
    { name: 'b', data: '' },
    { name: 'c', data: 'z'.repeat(512) },
  ]);
  const seen = new Set<string>();
  for (const step of [1, 7, 511, 512, 513, 1024, 100_000]) {
    let log = '';
    const reader = new TarReader({
      entry: (h) => (log += `<${h.name} ${h.size}>`),
      data: (d) => (log += d.toString('latin1')),
      end: () => (log += ';'),
    });
    for (let at = 0; at < layer.length; at += step) reader.write(layer.subarray(at, at + step));
    reader.finish();
    seen.add(log);
  }
  t.equal(seen.size, 1);
  t.match([...seen][0], /<a 1000>x{1000};.*<b 0>;<c 512>z{512};$/);
});

void t.test('a tar without its end marker is read to its end', async (t) => {
  const dir = await unpacked(t, entryBytes({ name: 'f', data: 'x' }));
  t.same(readdirSync(dir), ['f']);
});

void t.test('a header inside the padding is not an entry', async (t) => {
  const inner = entryBytes({ name: 'evil', data: 'x' });
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const layer = Buffer.concat([entryBytes({ name: 'f', data: 'x' }), padded(Buffer.alloc(1)), inner, END]);
  t.match(await failure(rig.load(asTar(legacyArchive({ layers: [layer] })))), /data after the end marker/);
});

/** A root of real files with everything that tar programs write, as three layers made by GNU tar. */
async function realLayers(dir: string): Promise<Buffer[]> {
  const tree = join(dir, 'tree');
  mkdirSync(tree);
  const script = [
    'mkdir -p usr/bin usr/lib etc "sp ace" tmp; chmod 1777 tmp; ln -s usr/lib lib',
    'cp /bin/ls usr/bin/; cp -a /etc/passwd /etc/group etc/; chmod 4755 usr/bin/ls; ln usr/bin/ls usr/bin/dir',
    'printf x > "$(printf \'caf\\351\')"; mknod null c 1 3; mkfifo pipe; ln -s ../../.. up; chown 12:34 etc/group; chown -h 5:5 lib',
    'setfattr -n user.note -v 0x00ff01 etc/passwd; setcap cap_net_raw+ep usr/bin/ls 2>/dev/null; setfacl -m u:1000:r etc/group',
    'touch -d @1111111111.5 etc; touch -h -d @1000000000.000000001 lib',
  ].join(' && ');
  await mustCommand(['sh', '-c', script], { cwd: tree });
  const make = async (names: string): Promise<Buffer> => {
    await mustCommand(
      ['sh', '-c', `tar -c --format=posix --xattrs --xattrs-include='*' --numeric-owner -f ../layer.tar ${names}`],
      { cwd: tree },
    );
    return readFileSync(join(dir, 'layer.tar'));
  };
  const first = await make('.');
  await mustCommand(
    [
      'sh',
      '-c',
      "touch etc/.wh.group; printf new > etc/new; mkdir -p tmp/sub; printf y > tmp/sub/f; touch 'sp ace/.wh..wh..opq'; chmod 700 etc",
    ],
    { cwd: tree },
  );
  const second = await make('./etc ./tmp "./sp ace"');
  await mustCommand(['sh', '-c', 'rm etc/.wh.group; printf back > etc/group; touch usr/lib/x'], { cwd: tree });
  return [first, second, await make('./etc/group ./usr/lib')];
}

void t.test('umoci makes the same root of the same image', hasUmoci ? asRoot : { skip: 'umoci is not installed' }, async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const layers = await realLayers(rig.dir);
  const files = ociLayout({ layers, tags: ['one'], compress: (layer) => gzipSync(layer) });
  asDirectory(files, join(rig.dir, 'oci'));
  const { images } = await loadImage(rig.store, join(rig.dir, 'oci'));
  const image = await resolveImage(rig.store, images[0]?.id ?? '');
  await mustCommand(['umoci', 'unpack', '--image', `${join(rig.dir, 'oci')}:one`, join(rig.dir, 'bundle')], { limitMs: 60_000 });
  const point = join(rig.dir, 'mnt');
  mkdirSync(point);
  const mounted = await command(['mount', '-t', 'overlay', 'overlay', '-o', `ro,lowerdir=${image.layers.join(':')}`, point]);
  t.equal(mounted.code, 0, `kernel overlayfs mounts the layers: ${mounted.stderr.trim()}`);
  try {
    const ignoreXattr = /^trusted\.overlay\.|^security\.selinux/;
    // Without the first line: a layer whose tar has no entry for its root has a default one, and hides those below.
    t.same(dumpTree(point, { ignoreXattr }).slice(1), dumpTree(join(rig.dir, 'bundle/rootfs'), { ignoreXattr }).slice(1));
  } finally {
    await mustCommand(['umount', point]);
  }
});

void t.test('GNU tar makes the same tree of the same layer', asRoot, async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const [layer = Buffer.alloc(0)] = await realLayers(rig.dir);
  writeFileSync(join(rig.dir, 'layer.tar'), layer);
  await rig.load(asTar(legacyArchive({ layers: [layer] })));
  mkdirSync(join(rig.dir, 'reference'));
  await mustCommand([
    'tar',
    '-x',
    '-p',
    '--same-owner',
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
    '-f',
    join(rig.dir, 'layer.tar'),
    '-C',
    join(rig.dir, 'reference'),
  ]);
  const ignoreXattr = /^security\.selinux/;
  t.same(dumpTree(rig.store.layerDir(sha256(layer)), { ignoreXattr }), dumpTree(join(rig.dir, 'reference'), { ignoreXattr }));
});
