// A fresh volume gets what the image has at its destination, with all that tar would carry; a used one keeps what it has.

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import t from 'tap';
import { populate } from '../../src/volume/populate.js';
import { openDescriptors } from '../image/store-rig.js';
import { dumpTree } from '../image/tree-dump.js';
import { mustCommand } from '../support/command.js';
import { VolumeRig, messageOf } from './rig.js';

const root = process.geteuid?.() === 0;
const privileged = root ? {} : { skip: 'owners, devices and trusted attributes need root' };

function rigFor(test: { teardown(end: () => Promise<void>): unknown }): VolumeRig {
  const rig = new VolumeRig();
  test.teardown(() => rig.dispose());
  return rig;
}

function fill(volume: string, layers: string[], path: string): string {
  return populate(volume, layers, path, root ? 'trusted' : 'user');
}

/** Names beside `_data`: there must be none after any fill. */
function besides(volume: string): string[] {
  return readdirSync(dirname(volume)).filter((name) => name !== '_data');
}

/** Where the data of a file is, by lseek: pairs of offsets. */
function extents(path: string): string {
  const script = `import os,sys
fd=os.open(sys.argv[1],os.O_RDONLY); end=os.fstat(fd).st_size; at=0; found=[]
while at<end:
    try: data=os.lseek(fd,at,os.SEEK_DATA)
    except OSError: break
    at=os.lseek(fd,data,os.SEEK_HOLE); found.append((data,at))
print(found)`;
  return spawnSync('python3', ['-c', script, path], { encoding: 'latin1' }).stdout;
}

void t.test('every kind of file arrives with owner, mode, times, attributes and links', privileged, async (test) => {
  const rig = rigFor(test);
  const image = rig.layer(
    'image',
    `
    mkdir -p var/data/sub/deep var/data/empty && cd var/data
    echo one > one; ln one two; ln one sub/three; echo other > sub/other
    ln -s 'no where/../x' dangling; ln -s one link; ln link linked-link
    mkfifo fifo; mknod null c 1 3; mknod disk b 7 200; ln null sub/null
    cp /bin/true suid; chmod 6755 suid; chmod 1777 empty; chmod 000 sub/other
    printf x > $'\\xff\\xfe bytes'; ln -s $'\\xe9' $'link\\xff'; printf y > "$(printf 'n%.0s' {1..255})"
    chown 1001:1002 one sub sub/deep empty; chown -h 1001:1001 link; chown 1001:0 suid; chmod 4711 suid
    setfattr -n user.note -v hello one; setfattr -n trusted.note -v secret sub; setfattr -h -n trusted.l -v s dangling
    setfacl -m u:1001:rw,g:1002:r sub/three; setfacl -d -m u:1003:rwx sub
    setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 sub/deep/../../two
    chown 1001:1002 .; chmod 2750 .; setfattr -n user.root -v yes .; setfacl -m u:77:rx .
    touch -hd '2001-02-03 04:05:06.123456789' one link fifo null suid sub/other
    touch -d '1999-01-02 03:04:05.000000001' sub/deep sub empty .`,
  );
  const server = createServer().listen(join(image, 'var/data/sock'));
  await new Promise((resolve) => server.once('listening', resolve));
  await mustCommand(['touch', '-d', '1999-01-02 03:04:05.000000001', join(image, 'var/data')]);
  const expected = dumpTree(join(image, 'var/data'));
  const volume = rig.volume();
  const inode = statSync(volume).ino;
  test.equal(fill(volume, [image], '/var/data'), 'filled');
  server.close();
  test.same(dumpTree(volume), expected);
  test.ok(expected.length >= 20, 'the tree has what it should');
  test.equal(statSync(volume).ino, inode, 'mounts that have the directory open see it');
  test.equal(statSync(join(volume, 'one')).nlink, 3);
  test.same(besides(volume), []);
});

void t.test('holes stay holes', async (test) => {
  const rig = rigFor(test);
  const image = rig.layer(
    'image',
    `mkdir d && cd d
    truncate -s 64M empty
    truncate -s 32M mixed; for at in 0 9 20; do printf data | dd of=mixed bs=1M seek=$at conv=notrunc status=none; done`,
  );
  const volume = rig.volume();
  fill(volume, [image], '/d');
  for (const name of ['empty', 'mixed']) {
    const [from, to] = [join(image, 'd', name), join(volume, name)];
    test.equal(statSync(to).size, statSync(from).size);
    test.ok(statSync(to).blocks <= statSync(from).blocks, `${name}: ${statSync(to).blocks} blocks`);
    test.equal(extents(to), extents(from));
  }
  test.match(extents(join(volume, 'mixed')), /\(.*\(.*\(/, 'three extents');
  test.same(dumpTree(volume), dumpTree(join(image, 'd')));
});

void t.test('three layers show as their union, in every format of whiteout', privileged, async (test) => {
  const rig = rigFor(test);
  const bottom = rig.layer(
    'bottom',
    `mkdir -p d/{merged/low,opaque-x,opaque-f,replaced,gone,between} d/x; echo low > d/between/low
    for f in d/keep d/char d/wh d/x/attr d/x/stay d/over d/merged/low/a d/opaque-x/b d/opaque-f/c d/replaced/e d/gone/g; do echo bottom > $f; done
    chown 5:5 d/merged; echo back > d/again; touch -d 2000-01-01 d d/* d/*/* d/*/*/*`,
  );
  const middle = rig.layer(
    'middle',
    `mkdir -p d/{merged/mid,opaque-x,opaque-f,x} && cd d
    mknod char c 0 0; touch .wh.wh .wh.gone; setfattr -n trusted.overlay.opaque -v x x; touch x/attr; setfattr -n trusted.overlay.whiteout -v y x/attr
    echo file > between; setfattr -n trusted.overlay.opaque -v y opaque-x; touch opaque-f/.wh..wh..opq; echo m > opaque-x/m; echo m > opaque-f/m
    echo middle > over; echo file > replaced; mknod again c 0 0; touch -d 2010-01-01 over merged . x opaque-x opaque-f merged/mid replaced opaque-x/m opaque-f/m`,
  );
  const top = rig.layer(
    'top',
    `mkdir -p d/merged d/gone d/between && cd d; echo top > over; echo new > again; echo t > gone/t; chmod 700 merged; chown 9:9 merged
    setfattr -n user.kept -v 1 merged; setfattr -n trusted.overlay.origin -v 1 merged; setfattr -n trusted.overlay.impure -v y .
    touch -d 2020-01-01 over again gone/t gone between merged .`,
  );
  const control = rig.layer(
    'control',
    `mkdir -p merged/{low,mid} opaque-x opaque-f gone between x
    echo bottom > keep; echo bottom > x/stay; echo top > over; echo bottom > merged/low/a; echo m > opaque-x/m; echo m > opaque-f/m
    echo file > replaced; echo t > gone/t; echo new > again; chmod 700 merged; chown 9:9 merged; setfattr -n user.kept -v 1 merged
    touch -d 2000-01-01 keep x/stay merged/low/a merged/low; touch -d 2010-01-01 replaced opaque-x/m opaque-f/m merged/mid x opaque-x opaque-f
    touch -d 2020-01-01 over again gone/t gone between merged .`,
  );
  const volume = rig.volume();
  test.equal(fill(volume, [top, middle, bottom], '/d'), 'filled');
  test.same(dumpTree(volume), dumpTree(control));
  const two = rig.volume('two');
  fill(two, [middle, bottom], '/d');
  test.same(readdirSync(two).sort(), ['between', 'keep', 'merged', 'opaque-f', 'opaque-x', 'over', 'replaced', 'x']);
});

void t.test('a directory that was renamed in a layer brings its content along', privileged, async (test) => {
  const rig = rigFor(test);
  const bottom = rig.layer('bottom', 'mkdir -p d/old a/far; echo 1 > d/old/file; echo 2 > a/far/bottom');
  const middle = rig.layer('middle', 'mkdir -p a/far; echo 3 > a/far/middle; setfattr -n trusted.overlay.opaque -v y a');
  const top = rig.layer(
    'top',
    `mkdir -p d/new d/abs; mknod d/old c 0 0
    setfattr -n trusted.overlay.redirect -v old d/new; setfattr -n trusted.overlay.redirect -v /a/far d/abs`,
  );
  const volume = rig.volume();
  fill(volume, [top, bottom], '/d');
  test.same(readdirSync(volume).sort(), ['abs', 'new']);
  test.same(readdirSync(join(volume, 'new')), ['file']);
  test.same(readdirSync(join(volume, 'abs')), ['bottom']);
  const opaque = rig.volume('opaque');
  fill(opaque, [top, middle, bottom], '/d');
  test.same(readdirSync(join(opaque, 'abs')), ['middle'], 'an opaque directory on the way still counts itself');
  const moved = rig.layer('moved', 'mkdir c; mknod a c 0 0; setfattr -n trusted.overlay.redirect -v /a c');
  const again = rig.layer('again', 'mkdir e; setfattr -n trusted.overlay.redirect -v /c/far e');
  const chain = rig.volume('chain');
  fill(chain, [again, moved, bottom], '/e');
  test.same(readdirSync(chain), ['bottom'], 'a directory on the way was renamed itself');
});

void t.test('symlinks in the path are followed inside the layers, also across them', async (test) => {
  const rig = rigFor(test);
  const bottom = rig.layer('bottom', 'mkdir -p home/foo etc; echo 1 > home/foo/file; ln -s ../../../../../home out');
  const top = rig.layer('top', 'ln -s home bar; ln -s /bar/foo abs; ln -s loop loop; mkdir -p é; echo 2 > é/file');
  for (const [i, path] of ['/bar/foo', '/abs', '/out/foo', '/../../abs', '/é'].entries()) {
    const volume = rig.volume(`v${i}`);
    test.equal(fill(volume, [top, bottom], path), 'filled', path);
    test.same(readdirSync(volume), ['file'], path);
  }
  const volume = rig.volume();
  for (const path of ['/loop', '/none', '/bar/none/x', '/etc/passwd', `/out/..${rig.dir}`]) {
    test.equal(fill(volume, [top, bottom], path), 'no source', path);
    test.same(readdirSync(volume), [], path);
  }
});

void t.test('an empty directory gives the volume its owner and mode', privileged, async (test) => {
  const rig = rigFor(test);
  const image = rig.layer('image', `mkdir d; chown 1001:1001 d; chmod 1700 d; touch -d '2002-02-02 02:02:02.2' d`);
  const volume = rig.volume();
  fill(volume, [image], '/d');
  test.same(dumpTree(volume), dumpTree(join(image, 'd')));
});

void t.test('a volume that holds anything is left as it is', async (test) => {
  const rig = rigFor(test);
  const image = rig.layer('image', 'mkdir -m 700 d; echo 1 > d/file; echo 2 > d/.hidden');
  const volume = rig.volume();
  writeFileSync(join(volume, '.hidden'), 'mine');
  const before = dumpTree(volume);
  test.equal(fill(volume, [image], '/d'), 'not empty');
  test.same(dumpTree(volume), before);
  test.same(besides(volume), []);
});

void t.test('an emptied volume is filled again', async (test) => {
  const rig = rigFor(test);
  const image = rig.layer('image', 'mkdir d; echo 1 > d/file');
  const volume = rig.volume();
  fill(volume, [image], '/d');
  await mustCommand(['rm', join(volume, 'file')]);
  test.equal(fill(volume, [image], '/d'), 'filled');
  test.same(readdirSync(volume), ['file']);
});

void t.test('a file at the destination is refused in the words of Docker', async (test) => {
  const rig = rigFor(test);
  const image = rig.layer('image', 'mkdir etc; touch etc/passwd; ln -s /etc/passwd link');
  const volume = rig.volume();
  for (const path of ['/etc/passwd', '/link']) {
    test.equal(
      await messageOf(() => fill(volume, [image], path)),
      'VolumeSpecError: cannot mount volume over existing file, file exists /etc/passwd',
    );
  }
  test.same(readdirSync(volume), []);
});

void t.test('a full disk is named, and nothing is left', privileged, async (test) => {
  const rig = rigFor(test);
  const image = rig.layer(
    'image',
    'mkdir d; head -c 100000 /dev/urandom > d/a; head -c 3000000 /dev/urandom > d/b; mkdir d/sub; echo x > d/sub/x',
  );
  const volume = rig.volume('small/vol');
  const small = dirname(dirname(volume));
  await mustCommand(['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=755', 'lamina-test', small]);
  test.teardown(() => mustCommand(['umount', '-l', small]));
  await mustCommand(['mkdir', '-p', volume]);
  const descriptors = openDescriptors();
  test.match(
    await messageOf(() => fill(volume, [image], '/d')),
    /^VolumeError: volume vol: cannot copy \/b from the image: no space left on device: free some space/,
  );
  test.same(readdirSync(volume), []);
  test.same(besides(volume), []);
  test.equal(openDescriptors(), descriptors);
  await mustCommand(['mount', '-o', 'remount,size=9m', small]);
  test.equal(fill(volume, [image], '/d'), 'filled');
  test.same(readdirSync(volume).sort(), ['a', 'b', 'sub']);
});

void t.test('a deep tree of long names is copied, and no descriptor stays open', async (test) => {
  const rig = rigFor(test);
  const image = rig.layer(
    'image',
    `mkdir d; cd d; n=$(printf 'n%.0s' {1..200}); for i in {1..40}; do mkdir $n; cd ./$n; echo $i > file; done`,
  );
  const volume = rig.volume();
  const descriptors = openDescriptors();
  test.equal(fill(volume, [image], '/d'), 'filled');
  test.equal(openDescriptors(), descriptors);
  const count = async (dir: string): Promise<string> =>
    mustCommand(['bash', '-c', 'cd "$1" && find . -type f | wc -l', '-', dir]);
  test.equal((await count(volume)).trim(), '40');
});

void t.test('a missing layer is named', async (test) => {
  const rig = rigFor(test);
  const descriptors = openDescriptors();
  const missing = join(rig.dir, 'nothing');
  test.match(
    await messageOf(() => fill(rig.volume(), [rig.layer('image', 'mkdir d'), missing], '/d')),
    new RegExp(`^VolumeError: layer ${missing}: no such file`),
  );
  test.equal(openDescriptors(), descriptors);
});

void t.test('who has the empty volume open sees it filled', async (test) => {
  const rig = rigFor(test);
  const image = rig.layer('image', 'mkdir d; echo 1 > d/file');
  const volume = rig.volume();
  const fd = openSync(volume, 'r');
  test.teardown(() => closeSync(fd));
  fill(volume, [image], '/d');
  test.same(readdirSync(`/proc/self/fd/${fd}`), ['file']);
});
