// The daemon is killed (-9) while containers run and while it makes, starts and removes them: afterwards no record is without
// its files, no files without a record, and what ran still runs.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import t from 'tap';
import { EngineRig } from '../support/engine-rig.js';
import { waitFor } from '../support/command.js';

function listing(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : [];
}

void t.test('containers outlive the daemon', { timeout: 120_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  const loop = 'i=0; while true; do i=$((i+1)); echo line $i; sleep 0.05; done';
  await rig.must('lamina', 'run', '-d', '--name', 'ticker', '-p', '0:80', '-v', '/data', 'busybox', 'sh', '-c', loop);
  await rig.must(
    'lamina',
    'run',
    '-d',
    '--name',
    'short',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'while [ ! -e /go ]; do sleep 0.05; done; exit 7',
  );
  const upper = await rig.must('lamina', 'inspect', '-f', '{{.GraphDriver.Data.UpperDir}}', 'short');
  const pid = await rig.must('lamina', 'inspect', '-f', '{{.State.Pid}}', 'ticker');
  const lines = (): number => readFileSync(log, 'utf8').split('\n').length;
  const log = await rig.must('lamina', 'inspect', '-f', '{{.LogPath}}', 'ticker');
  // One of them ends while nobody looks.
  const root = `${upper.replace(/upper$/, 'root')}/go`;
  await rig.kill();
  const before = lines();
  await waitFor('the log to grow without a daemon', () => lines() > before);
  t.equal((await rig.sh(`touch ${root}`)).code, 0);
  await rig.start();
  t.equal(await rig.must('lamina', 'inspect', '-f', '{{.State.Pid}}', 'ticker'), pid);
  t.equal(await rig.must('lamina', 'exec', 'ticker', 'echo', 'alive'), 'alive');
  t.equal(await rig.must('lamina', 'wait', 'short'), '7');
  t.match(await rig.must('lamina', 'logs', '--tail', '1', 'ticker'), /^line \d+/);
  t.match(await rig.must('lamina', 'port', 'ticker'), /80\/tcp -> 0\.0\.0\.0:\d+/);
  await rig.must('lamina', 'stop', '-t', '0', 'ticker');
});

void t.test('a supervisor that dies takes its containers with it, and others start', { timeout: 120_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  await rig.must('lamina', 'run', '-d', '--name', 'victim', '--network', 'none', 'busybox', 'sleep', '1000');
  const supervisor = rig.processes().find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('supervisor-main'));
  process.kill(supervisor ?? -1, 'SIGKILL');
  await waitFor(
    'the container to be told dead',
    async () => (await rig.must('lamina', 'inspect', '-f', '{{.State.Status}}', 'victim')) === 'exited',
  );
  t.equal(await rig.must('lamina', 'inspect', '-f', '{{.State.ExitCode}}', 'victim'), '137');
  t.equal(await rig.must('lamina', 'run', '--rm', '--network', 'none', 'busybox', 'echo', 'again'), 'again');
  await rig.must('lamina', 'start', 'victim');
  await rig.must('lamina', 'rm', '-f', 'victim');
});

void t.test('a container goes while another mount namespace has a copy of its root', { timeout: 60_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  await rig.must('lamina', 'run', '-d', '--name', 'copied', '--network', 'none', 'busybox', 'sleep', '1000');
  const root = rig.mounts().find((point) => point.endsWith('/root')) ?? '';
  const holder = spawn('unshare', ['--mount', 'sh', '-c', 'echo; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => holder.kill());
  await once(holder.stdout, 'data');
  const copied = (): boolean => readFileSync(`/proc/${holder.pid}/mountinfo`, 'utf8').includes(root);
  t.ok(copied(), 'by unshare --mount');
  await rig.must('lamina', 'restart', '-t', '0', 'copied');
  t.equal(await rig.must('lamina', 'exec', 'copied', 'echo', 'again'), 'again', 'it can be started again');
  t.ok(copied(), 'the copy of the first is still there');
  await rig.must('lamina', 'rm', '-f', 'copied');
});

void t.test('a container goes while a program of the host is in its root', { timeout: 60_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  await rig.must('lamina', 'run', '-d', '--name', 'visited', '--network', 'none', 'busybox', 'sleep', '1000');
  const root = rig.mounts().find((point) => point.endsWith('/root')) ?? '';
  const visitor = spawn('sh', ['-c', 'echo; exec sleep 1000'], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => visitor.kill());
  await once(visitor.stdout, 'data');
  await rig.must('lamina', 'restart', '-t', '0', 'visited');
  t.equal(await rig.must('lamina', 'exec', 'visited', 'echo', 'again'), 'again', 'it can be started again');
  t.equal(visitor.exitCode, null, 'the program is still there');
  await rig.must('lamina', 'rm', '-f', 'visited');
});

void t.test('kill -9 in the middle of create, start, rm, commit and prune', { timeout: 240_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  const seed = Date.now() % 100_000;
  t.comment(`seed ${seed}`);
  let random = seed;
  const next = (below: number): number => {
    random = (random * 1103515245 + 12345) % 2147483648;
    return Math.floor((random / 2147483648) * below);
  };
  const work = [
    'lamina create --name c$i -v /v -v named$i:/n busybox true',
    'lamina run --name r$i -v /v --network none busybox touch /v/f',
    'lamina run --rm -v /v busybox true',
    'lamina run --name k$i --network none busybox touch /f && lamina commit k$i made$i && lamina rm -v k$i',
    'lamina volume prune -f',
    'lamina rm -f -v c$i r$i',
  ];
  for (let round = 0; round < 12; round++) {
    const line = `i=${round}; ${work.slice(next(3)).join('; ')}`;
    const busy = rig.sh(line);
    await new Promise((resolve) => setTimeout(resolve, 50 + next(700)));
    await rig.kill();
    await busy;
    await rig.start();
    const ids = (await rig.must('lamina', 'ps', '-aq', '--no-trunc')).split('\n').filter(Boolean).sort();
    t.same(
      listing(rig.path('data', 'containers')),
      ids,
      `round ${round}: a directory for each record, a record for each directory`,
    );
    const volumes = (await rig.must('lamina', 'volume', 'ls', '-q')).split('\n').filter(Boolean).sort();
    t.same(
      listing(rig.path('data', 'volumes')).filter((name) => !name.startsWith('.')),
      volumes,
      `round ${round}: volumes and their directories`,
    );
    const running = (await rig.must('lamina', 'ps', '-q', '--no-trunc')).split('\n').filter(Boolean);
    const roots = rig.mounts().filter((point) => point.endsWith('/root'));
    t.ok(roots.length <= running.length, `round ${round}: no root is mounted for a container that does not run`);
    t.same(
      listing(rig.path('data', 'network', 'endpoints')).filter((name) => !running.includes(name.replace('.json', ''))),
      [],
      `round ${round}: no network is left`,
    );
    for (const id of ids) t.equal((await rig.run('lamina', 'inspect', id)).code, 0);
  }
});
