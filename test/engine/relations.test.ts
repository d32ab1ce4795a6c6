// What containers, images, names and mounts are to each other, where Docker's own integration tests look.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { openStore } from '../../src/store/index.js';
import { mountTable, waitFor } from '../support/command.js';
import { EngineRig, clients } from '../support/engine-rig.js';

const rig = new EngineRig();
t.teardown(() => rig.end());

const run = ['run', '-d', '--network', 'none'] as const;
const docker = (...args: string[]): Promise<string> => rig.must('docker', ...args);
const remove = (...names: string[]): Promise<string> => docker('rm', '-f', '-v', ...names);

t.before(async () => {
  await rig.start();
  await rig.loadImages();
});

void t.test('links are to a container, whatever it is called, and name it', async (t) => {
  const first = await docker('run', '-d', '--name', 'first', '-h', 'fred', 'busybox', 'sleep', '100');
  await docker('run', '-d', '--name', 'inner', '--network', 'container:first', 'busybox', 'sleep', '100');
  await docker('run', '-d', '--name', 'second', '--link', 'first:db', '--link', 'inner', 'busybox', 'sleep', '100');
  const names = (): Promise<string> => docker('ps', '--no-trunc', '-f', `id=${first}`, '--format', '{{.Names}}');
  t.equal(await names(), 'first,second/db,second/inner');
  for (const client of clients) t.equal(await rig.must(client, 'ps', '-f', `id=${first}`, '--format', '{{.Names}}'), 'first');
  await docker('run', '-d', '--name', 'innermost', '--network', 'container:inner', 'busybox', 'sleep', '100');
  t.match(await docker('exec', 'innermost', 'cat', '/etc/hosts'), /\tfred$/m, 'and further in');
  t.match(await docker('run', '--rm', '--link', 'innermost:deep', 'busybox', 'cat', '/etc/hosts'), /\tdeep fred first$/m);
  await remove('innermost');
  await docker('rename', 'first', 'renamed');
  const links = '{{json .HostConfig.Links}}';
  t.same(JSON.parse(await docker('inspect', '-f', links, 'second')), ['/renamed:/second/db', '/renamed:/second/inner']);
  await docker('restart', '-t', '0', 'second');
  t.match(await docker('exec', 'second', 'cat', '/etc/hosts'), /\tdb fred renamed\n/);
  t.match(await docker('exec', 'second', 'env'), /^DB_NAME=\/second\/db$/m);
  for (const client of clients) t.equal(await rig.must(client, 'inspect', '-f', '{{.Id}}', 'second/db'), first);
  t.match(await docker('exec', 'second/db', 'hostname'), 'fred');
  for (const client of clients) {
    for (const name of ['renamed', first])
      t.match(await rig.run(client, 'rm', '--link', name), {
        code: 1,
        stderr: /Conflict, cannot remove the default link name of the container/,
      });
    t.match(await rig.run(client, 'rm', '--link', 'second/other'), { code: 1, stderr: /No such container: second\/other/ });
  }
  t.equal(await docker('rm', '--link', 'second/db'), 'second/db');
  t.same(JSON.parse(await docker('inspect', '-f', links, 'second')), ['/renamed:/second/inner']);
  t.notMatch(await docker('exec', 'second', 'cat', '/etc/hosts'), /\tdb /);
  t.equal(await rig.must('lamina', 'rm', '-l', 'second/inner'), 'second/inner');
  t.equal(await docker('inspect', '-f', links, 'second'), 'null');
  t.match(await rig.run('docker', 'inspect', 'second/db'), { code: 1, stderr: /[Nn]o such object: second\/db/ });
  await remove('second', 'inner', 'renamed');
});

void t.test('a row names the image as long as the name is the image', async (t) => {
  const image = (): Promise<string> => docker('ps', '-a', '--no-trunc', '--format', '{{.Image}}');
  await docker('tag', 'busybox', 'moving');
  await docker(...run, '--name', 'box', 'moving', 'true');
  const id = await docker('inspect', '-f', '{{.Image}}', 'box');
  t.equal(await image(), 'moving');
  await docker('commit', 'box', 'moving');
  t.equal(await image(), id);
  t.equal(await rig.must('lamina', 'ps', '-a', '--format', '{{.Image}}'), id.slice(7, 19));
  await docker(...run, '--name', 'child', 'moving', 'true');
  t.equal(await docker('ps', '-a', '-f', 'ancestor=busybox', '--format', '{{.Names}}'), 'child\nbox');
  t.match(await rig.run('docker', 'rmi', 'moving'), { code: 1, stderr: /unable to remove repository reference "moving"/ });
  await docker('tag', 'moving', 'only');
  await docker('rmi', 'moving');
  await docker('commit', 'child', 'grandchild');
  t.match(await rig.run('docker', 'rmi', 'only'), { code: 1, stderr: /is using its referenced image/ }, 'with children too');
  await remove('box');
  await docker('rmi', 'grandchild');
  const stopped = await docker('inspect', '-f', '{{.Image}}', 'child');
  t.match(await rig.run('docker', 'rmi', stopped), { code: 1, stderr: /is being used by stopped container/ });
  t.equal(await docker('rmi', '-f', stopped), 'Untagged: only:latest');
  await remove('child');
  await docker('rmi', stopped);
});

void t.test('filters of ps', async (t) => {
  const first = await docker(...run, '--name', 'first', 'busybox', 'true');
  await docker('wait', 'first');
  await docker('run', '-d', '--name', 'second', 'busybox', 'sleep', '100');
  await docker(...run, '--name', 'third', 'busybox', 'true');
  await docker('wait', 'third');
  const ps = async (...flags: string[]): Promise<string> =>
    (await docker('ps', ...flags, '--format', '{{.Names}}')).replace(/\n/g, ' ');
  t.equal(await ps('-f', `since=${first}`), 'second');
  t.equal(await ps('-a', '-f', `since=${first}`), 'third second');
  t.equal(await ps('-f', 'exited=0'), '');
  const network = await docker('network', 'inspect', '-f', '{{.Id}}', 'bridge');
  for (const reference of [network, network.slice(0, 4)]) t.equal(await ps('-f', `network=${reference}`), 'second');
  await remove('first', 'second', 'third');
});

void t.test('commit --change has the variables that the image has', async (t) => {
  await docker('create', '--name', 'box', '-e', 'A=/a b', 'busybox');
  const change = ['-c', 'ENV B=$A/${B:-c} C="$A"', '-c', 'WORKDIR $B', '-c', "LABEL l='$A'"];
  await docker('commit', ...change, 'box', 'changed');
  const {
    Env: env,
    WorkingDir: cwd,
    Labels: labels,
  } = JSON.parse(await docker('image', 'inspect', '-f', '{{json .Config}}', 'changed')) as {
    Env: string[];
    WorkingDir: string;
    Labels: Record<string, string>;
  };
  t.same(env.slice(-3), ['A=/a b', 'B=/a b/c', 'C=/a b']);
  t.equal(cwd, '/a b/c');
  t.same(labels, { l: '$A' });
  await remove('box');
  await docker('rmi', 'changed');
});

void t.test('a container that waits to be started again is killed, and one that tried often enough has ended', async (t) => {
  await docker(...run, '--name', 'box', '--restart', 'always', 'busybox', 'false');
  await waitFor('a long pause', async () => (await docker('inspect', '-f', '{{.RestartCount}}', 'box')) === '4');
  await waitFor('it', async () => (await docker('inspect', '-f', '{{.State.Status}}', 'box')) === 'restarting');
  await docker('kill', 'box');
  t.equal(await docker('inspect', '-f', '{{.State.Status}}', 'box'), 'exited');
  t.match(await rig.run('docker', 'kill', 'box'), { code: 1, stderr: /is not running/ });
  await remove('box');
  await docker(
    ...run,
    '--name',
    'box',
    '--restart',
    'always',
    '--stop-signal',
    'USR1',
    'busybox',
    'sh',
    '-c',
    'trap exit USR1; echo ready; sleep 100 & wait',
  );
  await waitFor('its trap', async () => (await docker('logs', 'box')) === 'ready');
  await docker('kill', '-s', 'USR1', 'box');
  await waitFor('its end', async () => (await docker('inspect', '-f', '{{.State.Status}}', 'box')) === 'exited');
  await remove('box');
  await docker(...run, '--name', 'box', '--restart', 'on-failure:2', 'busybox', 'false');
  const state = '{{.RestartCount}} {{.State.Status}} {{.State.Restarting}} {{.State.Running}}';
  await waitFor('its end', async () => (await docker('inspect', '-f', state, 'box')) === '2 exited false false');
  await remove('box');
  await docker(...run, '--name', 'box', '--cpus', '0.5', 'busybox', 'sleep', '100');
  t.match(await rig.run('docker', 'update', '--cpu-quota', '2000', 'box'), {
    code: 1,
    stderr: /Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set/,
  });
  await remove('box');
});

void t.test('what a build names is told, and a link to the host is refused', async (t) => {
  mkdirSync(rig.path('context'));
  writeFileSync(rig.path('context', 'Dockerfile'), 'FROM busybox\nLABEL a=b\n');
  await rig.must('lamina', 'build', '-q', '-t', 'built', 'context');
  const until = String(Math.ceil(Date.now() / 1000));
  t.match(
    await docker('events', '--until', until, '-f', 'type=image', '-f', 'event=tag'),
    /image tag sha256:[0-9a-f]{64} .*built:latest/,
  );
  await docker('rmi', 'built');
  await docker('run', '-d', '--name', 'box', '--network', 'host', 'busybox', 'sleep', '100');
  const linked = await rig.run('docker', 'run', '--rm', '--link', 'box:x', 'busybox', 'true');
  t.match(linked, { code: 125, stderr: /host type networking can't be used with links/ });
  await remove('box');
});

void t.test('inspect shows what Docker fills in', async (t) => {
  await docker('create', '--name', 'box', 'busybox');
  const config = JSON.parse(await docker('inspect', '-f', '{{json .}}', 'box')) as {
    HostConfig: { MaskedPaths: string[]; ReadonlyPaths: string[]; ShmSize: number };
    Config: { Volumes: unknown };
  };
  t.ok(config.HostConfig.MaskedPaths.includes('/proc/kcore'));
  t.ok(config.HostConfig.ReadonlyPaths.includes('/proc/sys'));
  t.equal(config.HostConfig.ShmSize, 64 << 20);
  t.equal(config.Config.Volumes, null);
  t.match(await rig.run('docker', 'cp', 'box:/bin/busybox/', 'x'), { code: 1, stderr: /not a directory/ });
  for (const client of clients) {
    await rig.must(client, 'cp', 'box:/', `new-${client}`);
    t.ok(readdirSync(rig.path(`new-${client}`)).includes('srv'), `${client} cp of the whole root to a new place`);
    mkdirSync(rig.path(`old-${client}`));
    await rig.must(client, 'cp', 'box:/', `old-${client}`);
    t.ok(readdirSync(rig.path(`old-${client}`)).includes('srv'), `${client} cp of the whole root into a directory`);
  }
  await remove('box');
});

void t.test('a container whose record an older version made still has its tmpfs', async (t) => {
  const tmpfs = 'type=tmpfs,dst=/t/../fast,tmpfs-mode=700';
  const id = await docker(
    'create',
    '--name',
    'box',
    '--network',
    'none',
    '--mount',
    tmpfs,
    'busybox',
    'grep',
    ' /fast ',
    '/proc/mounts',
  );
  const shown = await docker('inspect', '-f', '{{json .Mounts}}', 'box');
  await rig.stop();
  const store = openStore(rig.env.LAMINA_ROOT);
  await store.transaction(async (records) => {
    const record = await records.get('container', id);
    if (record) await records.commit([{ table: 'container', key: id, value: { ...record, mounts: [] } }]);
  });
  await store.close();
  await rig.start();
  t.equal(await docker('inspect', '-f', '{{json .Mounts}}', 'box'), shown);
  t.match(await docker('start', '-a', 'box'), /^tmpfs \/fast tmpfs \S*mode=700/);
  await remove('box');
});

void t.test('mounts that are shared are seen on both sides', async (t) => {
  for (const [flags, propagation] of [
    [['-v', `${rig.env.LAMINA_ROOT}:/x`], 'rslave'],
    [['-v', '/:/x:ro'], 'rslave'],
    [['--mount', `type=bind,src=${rig.dir},dst=/x,bind-propagation=rshared`], 'rshared'],
    [['-v', '/etc:/x'], 'rprivate'],
  ] as const) {
    await docker('create', '--name', 'box', ...flags, 'busybox');
    t.equal(await docker('inspect', '-f', '{{(index .Mounts 0).Propagation}}', 'box'), propagation, flags.join(' '));
    await remove('box');
  }
  t.match(await rig.run('docker', 'create', '-v', '/:/x:rprivate', 'busybox'), {
    code: 1,
    stderr: /must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root/,
  });
  const shared = rig.path('shared');
  mkdirSync(`${shared}/m`, { recursive: true });
  writeFileSync(`${shared}/m/f`, '');
  await rig.sh(`mount --bind shared shared && mount --make-private shared && mount --make-shared shared`);
  await docker('run', '--rm', '--privileged', '-v', `${shared}:/x:shared`, 'busybox', 'mount', '-t', 'tmpfs', 'none', '/x/m');
  t.ok(mountTable().some(({ point }) => point === `${shared}/m`));
  await rig.sh('umount -R shared');
});

void t.test("on the user's own networks a link waits for its container, and names have the network's", async (t) => {
  await docker('network', 'create', 'own');
  await docker('run', '-d', '--name', 'near', '--network', 'own', '--link', 'far:alias', 'busybox', 'sleep', '100');
  const hosts = (): Promise<string> => docker('exec', 'near', 'cat', '/etc/hosts');
  t.notMatch(await hosts(), /alias/);
  await docker('run', '-d', '--name', 'far', '--network', 'own', 'busybox', 'sleep', '100');
  const told = await hosts();
  t.match(told, /\talias .*far$/m);
  t.match(told, /\tfar .* far\.own( |$)/m);
  await remove('near', 'far');
  await docker('network', 'rm', 'own');
});

void t.test('an internal network publishes nothing, another beside it does', async (t) => {
  for (const network of [['--internal', 'inside'], ['outside']]) await docker('network', 'create', ...network);
  const ports = async (): Promise<unknown> =>
    JSON.parse(await docker('inspect', '-f', '{{json .NetworkSettings.Ports}}', 'served'));
  const serve = ['sh', '-c', 'while :; do echo served | nc -l -p 80; done'];
  await docker('run', '-d', '--name', 'served', '--network', 'inside', '-p', '127.0.0.1::80', 'busybox', ...serve);
  t.notMatch(JSON.stringify(await ports()), /HostPort/);
  await docker('stop', '-t', '0', 'served');
  await docker('network', 'connect', 'outside', 'served');
  await docker('start', 'served');
  const [{ HostPort: port } = { HostPort: '' }] = ((await ports()) as Record<string, { HostPort: string }[]>)['80/tcp'] ?? [];
  await waitFor(
    'the port to answer',
    async () => (await rig.sh(`busybox nc -w 1 127.0.0.1 ${port} </dev/null`)).stdout === 'served\n',
  );
  await remove('served');
  await docker('network', 'rm', 'inside', 'outside');
});
