// lamina as mount(8) calls it: by `-t lamina`, by `-t fuse.lamina`, with mount(8)'s options, and in a hurry.
// Each script runs in a mount namespace of its own, in which the programs are installed as a package would.

import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { command, processesWith, waitFor } from '../support/command.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

// Cycles of mounting and unmounting; 200 in the long form.
const CYCLES = Number(process.env['LAMINA_MOUNT_CYCLES'] ?? 8);

/** Runs a script in which mount(8) finds lamina, $o are the options for the layers and the mountpoint is `target`. */
async function run(t: Test, root: Root, script: string): Promise<string> {
  for (const name of ['sbin', 'bin']) mkdirSync(root.path(name), { recursive: true });
  const install = (dir: string, name: string, what: string): void => {
    if (!existsSync(root.path(dir, name))) symlinkSync(what, root.path(dir, name));
  };
  install('sbin', 'mount.lamina', join(checkout, 'bin', 'mount.lamina'));
  install('bin', 'lamina', join(checkout, 'bin', 'lamina'));
  install('bin', 'node', process.execPath);
  const whole = `set -e
    mount -t overlay overlay -o lowerdir=${root.path('sbin')}:/usr/sbin /usr/sbin
    mount -t overlay overlay -o lowerdir=${root.path('bin')}:/usr/local/bin /usr/local/bin
    o=lowerdir=${root.path('lower')},upperdir=${root.upper},workdir=${root.path('work')}
    cd ${root.dir}
    shown() { grep ' ${root.target} ' /proc/mounts; }
    ${script}`;
  const done = await command(['unshare', '--mount', 'sh', '-c', whole], { env: root.env, limitMs: 120_000 + CYCLES * 2000 });
  t.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  t.equal(done.stderr, '', 'without a complaint');
  await waitFor('the servers to end', () => processesWith(`LAMINA_TEST_ROOT=${root.dir}`).length === 0);
  return done.stdout;
}

for (const type of ['lamina', 'fuse.lamina']) {
  void t.test(`mount -t ${type} shows its source, type and filesystem`, async (sub) => {
    const root = new Root();
    sub.teardown(() => root.dispose());
    const out = await run(
      sub,
      root,
      `mount -t ${type} some-source target -o$o; shown; df --output=source,target target | tail -n1; echo x >target/f
       umount target; cat upper/f`,
    );
    const [table = '', df = '', file = ''] = out.split('\n');
    sub.match(
      table,
      `some-source ${root.target} fuse.lamina rw,relatime,user_id=0,group_id=0,default_permissions,allow_other 0 0`,
    );
    sub.strictSame(df.split(/\s+/), ['some-source', root.target]);
    sub.equal(file, 'x');
  });

  void t.test(`mount -t ${type} heeds the options of mount(8), and -o remount`, async (sub) => {
    const root = new Root();
    sub.teardown(() => root.dispose());
    const out = await run(
      sub,
      root,
      `mount -t ${type} src target -o nosuid,exec,noatime,nodev,dev,$o; shown | cut -d' ' -f4
       mount -o remount,ro,noexec target; shown | cut -d' ' -f4; touch target/f 2>&1 || true
       mount -o remount,rw target; touch target/f
       umount target; test -e upper/f; mount -t ${type} src target -o ro,$o; shown | cut -d' ' -f4; umount target`,
    );
    const [first = '', second = '', refused = '', third = ''] = out.split('\n');
    sub.match(first, /^rw,nosuid,noatime,user_id/);
    sub.match(second, /^ro,nosuid,noexec,noatime,user_id/);
    sub.match(refused, /Read-only file system/);
    sub.match(third, /^ro,relatime,user_id/);
  });
}

void t.test(`upper and work are free when umount returns, ${CYCLES} times`, async (sub) => {
  const root = new Root();
  sub.teardown(() => root.dispose());
  const out = await run(
    sub,
    root,
    `i=0; while [ $i -lt ${CYCLES} ]; do
       mount -t lamina src target -o $o; touch target/f$i; set -- target/*; echo $#; umount target; i=$((i+1))
     done`,
  );
  sub.strictSame(
    out.trim().split('\n').map(Number),
    Array.from({ length: CYCLES }, (_, i) => i + 1),
  );
});

void t.test('an upper is waited for whose last server is still ending', async (sub) => {
  const root = new Root();
  sub.teardown(() => root.dispose());
  const out = await run(
    sub,
    root,
    `flock upper sleep 1 & until ! flock -n upper true; do :; done
     mount -t lamina src target -o $o; touch target/f; umount target; ls upper`,
  );
  sub.equal(out, 'f\n');
});

void t.test('an upper that another mount uses is refused at once', async (sub) => {
  const root = new Root();
  sub.teardown(() => root.dispose());
  const out = await run(
    sub,
    root,
    `mkdir other work2; mount -t lamina src target -o $o
     s=$(date +%s%N); mount -t lamina src other -o lowerdir=lower,upperdir=upper,workdir=work2 2>&1 || echo failed
     echo $(( ($(date +%s%N) - s) / 1000000 )); umount target`,
  );
  const lines = out.trim().split('\n');
  sub.match(lines[0], /is in use by another mount/);
  sub.equal(lines[1], 'failed');
  sub.ok(Number(lines[2]) < 3000, `${lines[2]} ms`);
});

void t.test('an upper that the kernel had mounted volatile is refused until its mark is gone', async (sub) => {
  const root = new Root();
  sub.teardown(() => root.dispose());
  const script = `
    mount -t overlay overlay -o $o,volatile target
    umount target
    ! mount -t lamina lamina -o $o target 2>refusal || exit 1
    cat refusal
    rm -r work/work/incompat/volatile
    mount -t lamina lamina -o $o target
    umount target`;
  sub.match(await run(sub, root, script), /left the mark "volatile": begin with an empty upper, or remove/);
});
