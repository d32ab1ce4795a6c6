// Mounting without root, through fusermount3: the relay tier, user.overlay attributes, nothing left. The test runs as
// nobody in a mount namespace that has a /dev/fuse for everybody, as udev makes it, and the checkout where he can reach it.

import { chmodSync, chownSync, existsSync, statSync } from 'node:fs';
import t, { type Test } from 'tap';
import { command } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

const NOBODY = 65534;

/** Runs a script as nobody where /dev/fuse is open to all. */
function asNobody(root: Root, script: string): ReturnType<typeof command> {
  const outer = `mknod ${root.path('fuse')} c 10 229; chmod 666 ${root.path('fuse')}; mount --bind ${root.path('fuse')} /dev/fuse
    mkdir ${root.path('checkout')}; mount --bind ${checkout} ${root.path('checkout')}
    exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups bash -euc "$SCRIPT"`;
  const env = { ...root.env, SCRIPT: script, LAMINA: root.path('checkout/bin/lamina'), HOME: root.dir, NODE_OPTIONS: '' };
  return command(['unshare', '-m', 'sh', '-euc', outer], { env, cwd: root.dir, limitMs: 30_000 });
}

/** A root whose directories are nobody's, or why nothing can be mounted here. */
async function rootOfNobody(t: Test): Promise<Root | string> {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return missing;
  const root = new Root();
  t.teardown(() => root.dispose());
  chmodSync(root.dir, 0o755);
  for (const name of ['.', 'target', 'upper', 'work', 'lower']) chownSync(root.path(name), NOBODY, NOBODY);
  return root;
}

void t.test('rootless', async (t) => {
  const root = await rootOfNobody(t);
  if (typeof root === 'string') return t.plan(0, root);
  const script = `
    mkdir -p lower/d vol run; echo low > lower/f; echo deep > lower/d/g; seq 20000 > lower/big
    $LAMINA mount --lower lower --upper upper --work work -v $PWD/vol:/data target
    cd target; cat f d/g; echo more >> d/g; cat d/g; rm f; mkdir f; echo in > f/in; mv d e; cat e/g; cmp big ../lower/big
    dd if=/dev/urandom of=x bs=64k count=20 status=none; cp x y; cmp x y; truncate -s 5 y; chmod 600 y; stat -c '%a %s %U' y
    echo v > data/v; setfattr -n user.a -v b y; getfattr -d -m - --only-values y; echo; cd ..
    $LAMINA stats --json target | grep -E 'passthrough|bytesWritten' | tr -d ' ,'; $LAMINA ls -q; $LAMINA umount target; $LAMINA ls -q`;
  const done = await asNobody(root, script);
  t.equal(done.code, 0, done.stderr);
  t.match(done.stdout, /^low\ndeep\ndeep\nmore\ndeep\nmore\n600 5 nobody\nb\n/);
  t.match(done.stdout, /"passthrough":0/);
  t.match(done.stdout, new RegExp(`\n${root.target}\n$`), 'listed while mounted, not after');
  t.ok(existsSync(root.path('vol/v')), 'the volume was written to');
  t.ok(statSync(root.path('upper/d')).isCharacterDevice(), 'a whiteout needs no privilege');
  const marks = await command(['getfattr', '-d', '-m', 'user.overlay', root.path('upper/f'), root.path('upper/e')]);
  t.match(marks.stdout, /user\.overlay\.opaque="y"/);
  t.match(marks.stdout, /user\.overlay\.redirect="d"/);
  t.strictSame(root.mounts(), []);
  t.strictSame(root.servers(), []);
  return undefined;
});

void t.test('rootless: a directory that is two volumes keeps the rules of each', async (t) => {
  const root = await rootOfNobody(t);
  if (typeof root === 'string') return t.plan(0, root);
  const script = `
    mkdir -p vol run; echo 1 > vol/a; echo 2 > vol/b; echo low > lower/f
    $LAMINA mount --lower lower --upper upper --work work -v $PWD/vol:/own -v $PWD/vol:/shown:ro -v $PWD/lower:/below target
    cat target/own/a target/shown/b; if echo no > target/shown/a; then echo written; fi; echo more >> target/own/b
    cat target/f; echo direct > target/below/f; cat target/below/f; echo copied > target/f; cat target/f
    $LAMINA umount target; cat vol/a vol/b lower/f upper/f`;
  const done = await asNobody(root, script);
  t.equal(done.code, 0, done.stderr);
  t.equal(done.stdout, '1\n2\nlow\ndirect\ncopied\n1\n2\nmore\ndirect\ncopied\n');
  t.match(done.stderr, /shown\/a: Read-only file system/);
  return undefined;
});

void t.test('rootless: a copy of what belongs to others keeps its mode and attributes, but for setuid', async (t) => {
  const root = await rootOfNobody(t);
  if (typeof root === 'string') return t.plan(0, root);
  const made = await command(
    ['bash', '-euc', 'mkdir d; echo a > d/f; setfattr -n user.a -v b d/f; chmod 4667 d/f; chmod 1777 d'],
    {
      cwd: root.path('lower'),
    },
  );
  t.equal(made.code, 0, made.stderr);
  // In a user namespace of one id root has no number at all, and the kernel lets nobody write what has none.
  const script = `
    mkdir -p run
    try() {
      rm -rf upper/* work/*
      squash=$1; shift
      squash=$squash "$@" bash -euc '
        $(dirname $LAMINA)/mount.lamina -o lowerdir=lower,upperdir=upper,workdir=work$squash x target
        echo b >> target/d/f; stat -c %a target/d target/d/f; cat target/d/f; getfattr -n user.a --only-values target/d/f; echo
        $LAMINA umount target'
      stat -c %a upper/d upper/d/f
    }
    try ''; try ,squash_to_uid=0,squash_to_gid=0 unshare -Urm`;
  const done = await asNobody(root, script);
  const shown = '1777\n667\na\nb\nb\n1777\n667\n';
  t.equal(done.stdout, shown + shown, done.stderr);
  return undefined;
});
