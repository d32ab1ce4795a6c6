// `lamina mount`, `umount`, `ls`, `stats` as typed: exit codes, what bad input is told, and that it leaves nothing.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { command, signal, waitFor } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import * as op from '../support/ops.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

interface Refusal {
  title: string;
  /** Arguments of `lamina mount`; `prepare` may make what they name. */
  args: (root: Root) => string[];
  prepare?: (root: Root) => void;
  says: RegExp;
  code?: number;
}

const layers = (root: Root): string[] => ['--lower', root.path('lower'), '--upper', root.upper, '--work', root.path('work')];

const REFUSALS: readonly Refusal[] = [
  { title: 'no layers', args: (r) => [r.target], says: /give an IMAGE \(or --lower DIR\) and a TARGET/, code: 125 },
  { title: 'an unknown flag', args: (r) => ['--nope', r.target], says: /unknown flag: --nope/, code: 125 },
  { title: 'an unknown image', args: (r) => ['nosuch', r.target], says: /No such image: nosuch/ },
  { title: 'a missing target', args: (r) => [...layers(r), r.path('nowhere')], says: /mount target \S+nowhere does not exist/ },
  {
    title: 'a file as target',
    prepare: (r) => writeFileSync(r.path('file'), ''),
    args: (r) => [...layers(r), r.path('file')],
    says: /file is not a directory/,
  },
  {
    title: 'a missing lower',
    args: (r) => ['--lower', r.path('nowhere'), r.target],
    says: /lower directory \S+nowhere does not exist: create it/,
  },
  {
    title: 'a file as lower',
    prepare: (r) => writeFileSync(r.path('file'), ''),
    args: (r) => ['--lower', r.path('file'), r.target],
    says: /file is not a directory/,
  },
  {
    title: 'upper without work',
    args: (r) => ['--lower', r.path('lower'), '--upper', r.upper, r.target],
    says: /needs a work directory on the same filesystem/,
  },
  {
    title: 'work without upper',
    args: (r) => ['--lower', r.path('lower'), '--work', r.path('work'), r.target],
    says: /needs an upper directory/,
  },
  {
    title: 'work on another filesystem',
    args: (r) => ['--lower', r.path('lower'), '--upper', r.upper, '--work', '/dev/shm', r.target],
    says: /on different filesystems/,
  },
  {
    title: 'upper as a lower',
    args: (r) => ['--lower', r.upper, '--upper', r.upper, '--work', r.path('work'), r.target],
    says: /overlap/,
  },
  {
    title: 'upper inside a lower',
    prepare: (r) => mkdirSync(r.path('lower/u')),
    args: (r) => ['--lower', r.path('lower'), '--upper', r.path('lower/u'), '--work', r.path('work'), r.target],
    says: /overlap/,
  },
  {
    title: 'work inside upper',
    prepare: (r) => mkdirSync(r.path('upper/w')),
    args: (r) => ['--lower', r.path('lower'), '--upper', r.upper, '--work', r.path('upper/w'), r.target],
    says: /overlap/,
  },
  {
    title: 'a target inside a layer',
    prepare: (r) => mkdirSync(r.path('lower/t')),
    args: (r) => [...layers(r), r.path('lower/t')],
    says: /mount target \S+ and layer \S+ overlap/,
  },
  {
    title: 'a relative destination',
    args: (r) => [...layers(r), '-v', '/tmp:tmp', r.target],
    says: /invalid volume specification: '\/tmp:tmp'.*mount path must be absolute/s,
    code: 125,
  },
  {
    title: 'the root as destination',
    args: (r) => [...layers(r), '-v', '/tmp:/', r.target],
    says: /invalid specification: destination can't be '\/'/,
    code: 125,
  },
  {
    title: 'a destination twice',
    args: (r) => [...layers(r), '-v', '/tmp:/a', '-v', '/var:/a', r.target],
    says: /Duplicate mount point: \/a/,
    code: 125,
  },
  { title: 'a bad mode', args: (r) => [...layers(r), '-v', '/tmp:/a:wo', r.target], says: /invalid mode: wo/, code: 125 },
  {
    title: 'too many colons',
    args: (r) => [...layers(r), '-v', '/a:/b:ro:x', r.target],
    says: /too many colons|invalid volume specification/,
    code: 125,
  },
  {
    title: 'a file on a directory',
    prepare: (r) => {
      writeFileSync(r.path('f'), '');
      mkdirSync(r.path('lower/d'));
    },
    args: (r) => [...layers(r), '-v', `${r.path('f')}:/d`, r.target],
    says: /Are you trying to mount a directory onto a file \(or vice-versa\)\?/,
  },
  {
    title: 'a directory on a file',
    prepare: (r) => {
      mkdirSync(r.path('v'));
      writeFileSync(r.path('lower/f'), '');
    },
    args: (r) => [...layers(r), '-v', `${r.path('v')}:/f`, r.target],
    says: /Are you trying to mount a directory onto a file \(or vice-versa\)\?/,
  },
  {
    title: 'a destination in a symlink loop',
    prepare: (r) => symlinkSync('loop', r.path('lower/loop')),
    args: (r) => [...layers(r), '-v', '/tmp:/loop/x', r.target],
    says: /too many levels of symbolic links/,
  },
  {
    title: 'an unknown tier',
    args: (r) => [...layers(r), '--bypass', 'magic', r.target],
    says: /invalid value "magic" for --bypass/,
    code: 125,
  },
  {
    title: '501 layers',
    args: (r) => ['--lower', Array<string>(501).fill(r.path('lower')).join(':'), r.target],
    says: /501 lower directories: at most 500/,
  },
];

async function testRefusals(t: Test): Promise<void> {
  for (const refusal of REFUSALS) {
    await t.test(`${refusal.title} is refused`, async (t) => {
      const root = new Root();
      t.teardown(() => root.dispose());
      refusal.prepare?.(root);
      const done = await root.lamina('mount', ...refusal.args(root));
      t.match(done.stderr, refusal.says);
      t.equal(done.code, refusal.code ?? 1);
      t.strictSame(root.mounts(), [], 'nothing is mounted');
      t.strictSame(root.servers(), [], 'nothing runs');
      t.strictSame(
        readdirSync(root.path('work')).filter((name) => name !== 'work' && name !== 'links'),
        [],
      );
    });
  }
}

async function testMounts(t: Test): Promise<void> {
  await t.test('a second mount on the target and a second use of upper are refused, the first lives on', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    writeFileSync(root.path('lower/f'), 'F');
    await root.mount();
    const again = await root.lamina('mount', ...layers(root), root.target);
    t.match(again.stderr, /already mounted by lamina/);
    mkdirSync(root.path('other'));
    const shared = await root.lamina('mount', ...layers(root), root.path('other'));
    t.match(shared.stderr, /upper directory \S+ is in use by another mount/);
    t.strictSame([again.code, shared.code], [1, 1]);
    t.strictSame(await root.results(op.cat('f')), ['F']);
    await root.umount();
  });

  await t.test('an upper that is being given up is waited for, until the kernel says that it is free', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    const holder = spawn('flock', [root.upper, '-c', 'echo held; read end'], { stdio: ['pipe', 'pipe', 'ignore'] });
    t.teardown(() => holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    const mounting = root.lamina('mount', ...layers(root), root.target);
    const waiter = new RegExp(`-> FLOCK .*:${statSync(root.upper).ino} `);
    await waitFor('somebody to wait for the lock', () => waiter.test(readFileSync('/proc/locks', 'latin1')));
    t.strictSame(root.mounts(), []);
    holder.stdin.end();
    t.equal((await mounting).code, 0);
    await root.umount();
  });

  await t.test('128 and 500 layers work', async (t) => {
    for (const count of [128, 500]) {
      const root = new Root();
      t.teardown(() => root.dispose());
      const lowers = Array.from({ length: count }, (_, i) => {
        mkdirSync(root.path(`l${i}/d`), { recursive: true });
        writeFileSync(root.path(`l${i}/d/f${i}`), String(i));
        writeFileSync(root.path(`l${i}/top`), String(i));
        return root.path(`l${i}`);
      });
      const done = await root.lamina(
        'mount',
        '--lower',
        lowers.join(':'),
        '--upper',
        root.upper,
        '--work',
        root.path('work'),
        root.target,
      );
      t.equal(done.code, 0, done.stderr);
      const [top, last, names] = await root.results(op.cat('top'), op.cat(`d/f${count - 1}`), op.readdir('d'));
      t.strictSame([top, last, (names as unknown[]).length], ['0', String(count - 1), count]);
      await root.umount();
    }
  });

  await t.test('colons, commas, backslashes and spaces in paths', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    for (const name of ['a:b', 'c,d', 'e\\f g', 'u:p', 'w,k', 't:t']) mkdirSync(root.path(name));
    for (const [i, name] of ['a:b', 'c,d', 'e\\f g'].entries()) writeFileSync(root.path(name, `f${i}`), name);
    const escaped = (name: string): string => root.path(name).replace(/[:\\]/g, '\\$&');
    const flags = [
      '--lower',
      ['a:b', 'c,d', 'e\\f g'].map(escaped).join(':'),
      '--upper',
      root.path('u:p'),
      '--work',
      root.path('w,k'),
    ];
    const done = await root.lamina('mount', ...flags, root.path('t:t'));
    t.equal(done.code, 0, done.stderr);
    t.equal(
      (await command(['cat', root.path('t:t', 'f0'), root.path('t:t', 'f1'), root.path('t:t', 'f2')])).stdout,
      'a:bc,de\\f g',
    );
    t.equal((await root.lamina('umount', root.path('t:t'))).code, 0);
    const option = (name: string): string => root.path(name).replace(/[:,\\]/g, '\\$&');
    const options = `lowerdir=${option('a:b')}:${option('c,d')},upperdir=${option('u:p')},workdir=${option('w,k')}`;
    const helper = await command([join(checkout, 'bin', 'mount.lamina'), root.target, '-o', options], { env: root.env });
    t.equal(helper.code, 0, helper.stderr);
    t.strictSame(await root.results(op.cat('f0'), op.cat('f1')), ['a:b', 'c,d']);
    await root.umount();
  });

  await t.test('a layer that may not be read is named', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    chmodSync(root.path('lower'), 0o000);
    const done = await command(
      [
        'setpriv',
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        join(checkout, 'bin', 'lamina'),
        'mount',
        '--lower',
        root.path('lower'),
        root.target,
      ],
      { env: root.env },
    );
    t.match(done.stderr, /not readable: permission denied|does not exist|permission denied/i);
    t.not(done.code, 0);
  });
}

async function testLooking(t: Test): Promise<void> {
  await t.test('ls, stats and umount show and end what is mounted', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    mkdirSync(root.path('vol'));
    await root.mount('-v', `${root.path('vol')}:/data:ro`);
    const listed = JSON.parse((await root.lamina('ls', '--json')).stdout) as {
      target: string;
      routes: { destination: string; readOnly: boolean; tier: string }[];
    }[];
    t.equal(listed.length, 1);
    t.equal(listed[0]?.target, root.target);
    t.match(listed[0]?.routes, [{ destination: '/data', readOnly: true, tier: 'passthrough' }]);
    await root.run(op.put('f', 'x'), op.mkdir('d'));
    const stats = JSON.parse((await root.lamina('stats', '--json', root.target)).stdout) as {
      requests: Record<string, number>;
      nodes: number;
    };
    t.ok((stats.requests['CREATE'] ?? 0) >= 1 && (stats.requests['MKDIR'] ?? 0) >= 1);
    await root.umount();
    t.strictSame(JSON.parse((await root.lamina('ls', '--json')).stdout), []);
    const again = await root.lamina('umount', root.target);
    t.match(again.stderr, /is not mounted by lamina/);
    t.equal(again.code, 1);
  });

  await t.test('a busy mount stays, and goes with -l when its user leaves', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    await root.mount();
    const user = spawn('sleep', ['60'], { cwd: root.target, stdio: 'ignore' });
    t.teardown(() => user.kill());
    await waitFor('the user to be inside', () => readlinkSync(`/proc/${user.pid ?? 0}/cwd`) === root.target);
    const busy = await root.lamina('umount', root.target);
    t.match(busy.stderr, /is busy/);
    t.equal(busy.code, 1);
    t.equal((await root.lamina('umount', '-l', root.target)).code, 0);
    t.strictSame(root.mounts(), []);
    t.equal(root.servers().length, 1, 'served as long as somebody is inside');
    user.kill();
    await waitFor('the server to end', () => root.servers().length === 0);
  });

  await t.test('killed servers leave a mount that umount takes away', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    await root.mount();
    for (const pid of root.servers()) signal(pid, 'SIGKILL');
    t.equal((await root.lamina('umount', root.target)).code, 0);
    t.strictSame(root.mounts(), []);
    await root.mount();
    t.equal((await root.results(op.put('f', 'x'), op.cat('f')))[1], 'x');
    await root.umount();
  });
}

void t.test('the command line', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  await testRefusals(t);
  await testMounts(t);
  await testLooking(t);
  return undefined;
});
