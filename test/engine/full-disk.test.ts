// A disk that is full: each command that needs room fails with a clear error, leaves nothing half there, and works again
// once there is room.

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { packLayerOf } from '../../src/demo/busybox.js';
import { FakeRegistry } from '../image/fake-registry.js';
import { tar } from '../image/tar-bytes.js';
import { waitFor } from '../support/command.js';
import { makeDataImage } from '../support/data-image.js';
import { type Answer, call, mustCall } from '../support/engine-api.js';
import { EngineAudit } from '../support/engine-audit.js';
import { EngineRig } from '../support/engine-rig.js';
import { exhaust } from '../support/exhaust.js';

function listing(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

void t.test('a full disk', { timeout: 180_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.limitData('64M');
  const audit = new EngineAudit(rig);
  await rig.start();
  await rig.loadImages();
  const must = (...args: string[]): Promise<string> => rig.must('lamina', ...args);
  const run = (...args: string[]): ReturnType<EngineRig['run']> => rig.run('lamina', ...args);
  const data = rig.env.LAMINA_ROOT;
  /** Everything that a command might have left. */
  const state = async (): Promise<object> => ({
    images: await must('images', '-aq'),
    containers: await must('ps', '-aq'),
    volumes: await must('volume', 'ls', '-q'),
    directories: Object.fromEntries(
      ['layers', 'containers', 'volumes', 'staging'].map((name) => [
        name,
        listing(join(data, name)).filter((each) => !each.startsWith('.')),
      ]),
    ),
  });
  const registry = await FakeRegistry.start(t);
  registry.put('latest', { layers: [tar([{ name: 'large', data: randomBytes(30 << 20) }])] });
  const full = /no space left on device|disk quota exceeded|ENOSPC/i;

  writeFileSync(rig.path('big.tar'), makeDataImage('big', 20, (i) => [`f${i}`, Buffer.alloc(1 << 20, i + 1)]).archive);
  await must('load', '-i', rig.path('big.tar'));
  await must(
    'create',
    '--name',
    'writer',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'dd if=/dev/zero of=/big bs=1M count=12 2>/dev/null',
  );
  await must('start', '-a', 'writer');
  const fill = (megabytes: number): void => writeFileSync(join(data, 'filler'), Buffer.alloc(megabytes << 20, 7));
  await must('run', '-d', '--name', 'stays', '--network', 'none', 'busybox', 'sleep', '1000');
  await must('volume', 'create', 'some');
  await must('volume', 'create', 'half');
  writeFileSync(join(data, 'volumes', 'half', '_data', 'file'), Buffer.alloc(8 << 20, 9));
  writeFileSync(rig.path('file'), Buffer.alloc(16 << 20, 9));
  mkdirSync(rig.path('tree'));
  writeFileSync(rig.path('tree', 'file'), Buffer.alloc(16 << 20, 9));
  packLayerOf(rig.path('tree'), rig.path('volume.tar'));
  mkdirSync(rig.path('context'));
  writeFileSync(rig.path('context', 'file'), Buffer.alloc(4 << 20, 9));
  writeFileSync(rig.path('context', 'Dockerfile.copy'), 'FROM busybox\nCOPY file /a\nCOPY file /b\nCOPY file /c\n');
  writeFileSync(rig.path('context', 'Dockerfile.run'), 'FROM busybox\nRUN dd if=/dev/zero of=/file bs=1M count=16\n');
  fill(10);
  const before = await state();

  const attempts: readonly (readonly [what: string, args: string[]])[] = [
    ['fill a volume from the image', ['create', '-v', 'fresh:/data', 'big', 'x']],
    ['fill an anonymous one', ['run', '--rm', '-v', '/data', 'big', 'x']],
    ['commit', ['commit', 'writer', 'committed']],
    ['import an image', ['import', rig.path('import.tar'), 'imported']],
    ['import a new volume', ['volume', 'import', 'new', rig.path('volume.tar')]],
    ['import over a volume', ['volume', 'import', 'some', rig.path('volume.tar')]],
    ['clone a volume', ['volume', 'clone', 'half', 'twin']],
    ['cp into a container that does not run', ['cp', rig.path('file'), 'writer:/file']],
    ['cp into one that runs', ['cp', rig.path('file'), 'stays:/file']],
    ['build: COPY', ['build', '-q', '-f', rig.path('context', 'Dockerfile.copy'), rig.path('context')]],
    ['build: RUN', ['build', '-q', '-f', rig.path('context', 'Dockerfile.run'), rig.path('context')]],
  ];
  packLayerOf(join(data, 'layers'), rig.path('import.tar'));
  for (const [what, args] of attempts) {
    const done = await run(...args);
    t.not(done.code, 0, what);
    t.match(done.stderr, full, what);
    t.same(await state(), before, `${what}: nothing is left`);
    t.same(await audit.run(), [], what);
  }
  t.equal((await run('exec', 'stays', 'true')).code, 0, 'what runs goes on');
  rmSync(join(data, 'filler'));
  for (const args of [
    ['rm', '-f', 'stays'],
    ['volume', 'rm', 'some', 'half'],
    ['rmi', 'big'],
  ])
    await must(...args);
  fill(36);
  const empty = await state();
  const loaded = await run('load', '-i', rig.path('big.tar'));
  t.not(loaded.code, 0);
  t.match(loaded.stderr, full, 'load');
  t.same(await state(), empty, 'load: nothing is left');
  const pulled = await run('pull', '-q', `${registry.host}/big`);
  t.not(pulled.code, 0);
  t.match(pulled.stderr, full, 'pull');
  t.same(await state(), empty, 'pull: nothing is left');
  t.same(listing(join(data, 'download', 'kept')), [], 'pull: what has arrived takes no room either');

  rmSync(join(data, 'filler'));
  await must('load', '-i', rig.path('big.tar'));
  await must('rmi', 'big');
  await must('commit', 'writer', 'committed');
  t.equal(await must('run', '--rm', '--network', 'none', 'committed', 'stat', '-c', '%s', '/big'), String(12 << 20));
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

for (const what of ['inodes', 'bytes'] as const) {
  void t.test(`no ${what} left at all`, { timeout: 180_000 }, async (t) => {
    const rig = new EngineRig();
    t.teardown(() => rig.end());
    await rig.limitData('32M', what === 'inodes' ? 400 : undefined);
    const audit = new EngineAudit(rig);
    await rig.start();
    await rig.loadImages();
    const ask = (method: string, path: string, body?: unknown): Promise<Answer> => call(rig.socket, method, path, body);
    const made = { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none' } };
    for (const name of ['ends', 'stays']) {
      await mustCall(rig.socket, 'POST', `/containers/create?name=${name}`, made);
      await mustCall(rig.socket, 'POST', `/containers/${name}/start`);
    }
    await mustCall(rig.socket, 'POST', '/containers/create?name=unused', { ...made, Volumes: { '/v': {} } });
    await mustCall(rig.socket, 'POST', '/volumes/create', { Name: 'unused' });
    const { body: shown } = await mustCall(rig.socket, 'GET', '/containers/ends/json');
    const pid = (JSON.parse(shown) as { State: { Pid: number } }).State.Pid;
    const archive = readFileSync(rig.path('busybox.tar'));
    const filler = join(rig.env.LAMINA_ROOT, 'filler');
    exhaust(filler, what);
    const refused: Record<string, Answer> = {
      create: await ask('POST', '/containers/create?name=new', { ...made, Volumes: { '/v': {} } }),
      'volume create': await ask('POST', '/volumes/create', { Name: 'new' }),
      'network create': await ask('POST', '/networks/create', { Name: 'new' }),
      commit: await ask('POST', '/commit?container=stays&repo=new'),
      load: await ask('POST', '/images/load', archive),
      tag: await ask('POST', '/images/busybox/tag?repo=new'),
      rename: await ask('POST', '/containers/stays/rename?name=new'),
    };
    // It ends now, and its end is recorded when there is room again.
    const killed = ask('POST', '/containers/ends/kill');
    await waitFor('its process to end', () => !isAlive(pid));
    const told = Object.entries(refused).filter(([, { status }]) => status >= 400);
    t.comment(`refused: ${told.map(([name]) => name).join(', ')}`);
    t.ok(told.length >= 3);
    for (const [name, { body }] of told) t.match(body, /no space left on device|ENOSPC/i, name);
    // What shows what there is, and what makes room, works all the same.
    for (const path of ['/containers/json?all=1', '/images/json', '/volumes', '/networks', '/system/df', '/info'])
      await mustCall(rig.socket, 'GET', path);
    await mustCall(rig.socket, 'DELETE', '/containers/unused?v=1');
    await mustCall(rig.socket, 'DELETE', '/volumes/unused');
    await mustCall(rig.socket, 'POST', '/volumes/prune?all=1');
    rmSync(filler, { recursive: true });
    t.equal((await killed).status, 204);
    const status = async (): Promise<string> =>
      (JSON.parse((await mustCall(rig.socket, 'GET', '/containers/ends/json')).body) as { State: { Status: string } }).State
        .Status;
    await waitFor('the end to be recorded', async () => (await status()) === 'exited');
    t.same(await audit.run(), [], 'nothing is half there');
    await mustCall(rig.socket, 'POST', '/containers/create?name=again', made);
    await mustCall(rig.socket, 'POST', '/containers/again/start');
    t.equal(
      (await ask('POST', '/containers/stays/kill')).status === 204 || (await ask('POST', '/containers/new/kill')).status === 204,
      true,
    );
  });
}

void t.test('a container that takes each byte that comes free', { timeout: 180_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.limitData('48M');
  const audit = new EngineAudit(rig);
  await rig.start();
  await rig.loadImages();
  const must = (...args: string[]): Promise<string> => rig.must('lamina', ...args);
  const busybox = ['--network', 'none', 'busybox', 'sh', '-c'];
  await must('create', '--name', 'other', '-v', '/data', ...busybox, 'true');
  await must('run', '-d', '--name', 'greedy', ...busybox, 'while :; do cat /dev/zero >> /file 2> /dev/null; done');
  await waitFor('the disk to be full', () => statfsSync(rig.env.LAMINA_ROOT).bavail === 0);
  t.equal(await must('ps', '--format', '{{.Names}} {{.State}}'), 'greedy running');
  await must('rm', '-v', 'other');
  t.match(await rig.run('lamina', 'create', ...busybox, 'true'), { code: 1, stderr: /no space left on device/ });
  await rig.kill();
  await rig.start();
  t.equal(await must('ps', '-a', '--format', '{{.Names}} {{.State}}'), 'greedy running');
  await must('rm', '-f', 'greedy');
  t.same(await audit.run(), []);
  t.equal(await must('run', '--rm', ...busybox, 'echo yes'), 'yes');
});

void t.test('a container that logs', { timeout: 180_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.limitData('32M');
  await rig.start();
  await rig.loadImages();
  const must = (...args: string[]): Promise<string> => rig.must('lamina', ...args);
  const filler = join(rig.env.LAMINA_ROOT, 'filler');
  const program = `i=0; pad=$(printf %0200d 0)
    while :; do
      i=$((i+1)); echo line $i $pad; echo $i > /dev/shm/next; mv /dev/shm/next /dev/shm/count; sleep 0.01
      if [ -e /dev/shm/burst ]; then rm /dev/shm/burst; yes "line 0 $pad" | head -n 30000; fi
    done`;
  await must('run', '-d', '--name', 'talks', '--network', 'none', 'busybox', 'sh', '-c', program);
  const count = async (): Promise<number> => Number(await must('exec', 'talks', 'cat', '/dev/shm/count'));
  const reaches = (what: string, n: number): Promise<void> => waitFor(what, async () => (await count()) >= n);
  await reaches('its first lines', 5);
  exhaust(filler, 'bytes');
  // More than its last block has room for, and more than waits in memory.
  await reaches('it to go on', (await count()) + 100);
  await must('exec', 'talks', 'touch', '/dev/shm/burst');
  await waitFor(
    'the burst to begin',
    async () => (await rig.run('lamina', 'exec', 'talks', 'test', '-e', '/dev/shm/burst')).code === 1,
  );
  await reaches('it to go on after a burst', (await count()) + 50);
  t.equal(await must('ps', '--format', '{{.Names}} {{.State}}'), 'talks running', 'the daemon answers');
  t.equal(await must('exec', 'talks', 'echo', 'yes'), 'yes');
  rmSync(filler, { recursive: true });
  const freed = await count();
  const logged = async (): Promise<number[]> =>
    (await must('logs', 'talks')).split('\n').map((line) => Number(/^line (\d+) 0{200}$/.exec(line)?.[1] ?? NaN));
  await waitFor('its new lines to be logged', async () => (await logged()).some((n) => n > freed + 20));
  await must('kill', 'talks');
  const lines = await logged();
  t.notOk(lines.some(Number.isNaN), 'no line is in pieces');
  t.ok(lines.includes(1) && lines.includes(freed + 20));
  t.ok(lines.filter((n) => n > 0).length < freed, 'some did not have room');
});
