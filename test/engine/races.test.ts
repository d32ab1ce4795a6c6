// Several clients at once after the same thing: one of them gets it, the others hear why not, and nothing is half there.

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Endpoints } from '../../src/network/endpoints.js';
import { Networks } from '../../src/network/networks.js';
import { type Answer, call, mustCall } from '../support/engine-api.js';
import { command, waitFor } from '../support/command.js';
import { makeDataImage } from '../support/data-image.js';
import { EngineAudit } from '../support/engine-audit.js';
import { EngineRig } from '../support/engine-rig.js';
import { checkout } from '../support/paths.js';

const rig = new EngineRig();
const audit = new EngineAudit(rig);
t.teardown(() => rig.end());
t.setTimeout(180_000);

const ask = (method: string, path: string, body?: unknown): Promise<Answer> => call(rig.socket, method, path, body);
const must = (method: string, path: string, body?: unknown): Promise<Answer> => mustCall(rig.socket, method, path, body);
const none = { NetworkMode: 'none' };
const create = (name: string, hostConfig: object = none, more: object = {}): Promise<Answer> =>
  ask('POST', `/containers/create?name=${name}`, { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: hostConfig, ...more });
const discard = (...names: readonly string[]): Promise<unknown> =>
  Promise.all(names.map((name) => ask('DELETE', `/containers/${name}?force=1&v=1`)));
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).sort((a, b) => a - b);
const inspect = async (name: string): Promise<{ Id: string; Name: string; State: { Status: string; Pid: number } }> =>
  JSON.parse((await must('GET', `/containers/${name}/json`)).body) as never;
const settled = async (t: Test): Promise<void> => void t.same(await audit.run(), [], 'nothing is half there');

/** A port that nothing has at the moment. */
async function freePort(): Promise<number> {
  await create('finder', { PortBindings: { '80/tcp': [{ HostPort: '' }] } });
  await must('POST', '/containers/finder/start');
  const { body } = await must('GET', '/containers/finder/json');
  await discard('finder');
  const { NetworkSettings: settings } = JSON.parse(body) as {
    NetworkSettings: { Ports: Record<string, { HostPort: string }[]> };
  };
  return Number(settings.Ports['80/tcp']?.[0]?.HostPort);
}

let small: Buffer;

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  // So that no prune takes the image.
  await create('keeper');
  await must('POST', '/containers/keeper/start');
  small = makeDataImage('small', 20, (i) => [`f${i}`, Buffer.alloc(200_000, i + 1)]).archive;
});

void t.test('who has stopped a container finds its ports free', { timeout: 60_000 }, async (t) => {
  const port = await freePort();
  const [first, second] = ['stopped', 'follower'] as const;
  for (const name of [first, second]) await create(name, { PortBindings: { '80/tcp': [{ HostPort: String(port) }] } });
  await must('POST', `/containers/${first}/start`);
  for (const end of ['stop?t=0', 'kill', 'stop?t=0']) {
    await must('POST', `/containers/${first}/${end}`);
    t.match(await ask('POST', `/containers/${second}/start`), { status: 204 }, end);
    await must('POST', `/containers/${second}/kill`);
    t.match(await ask('POST', `/containers/${first}/start`), { status: 204 }, 'kill');
  }
  await discard(first, second);
  await settled(t);
});

void t.test('a container that goes with its end stays when it is restarted', { timeout: 60_000 }, async (t) => {
  const before = rig.log();
  await create('stays', { ...none, AutoRemove: true });
  await must('POST', '/containers/stays/start');
  for (const _ of range(3)) await must('POST', '/containers/stays/restart?t=0');
  t.match(await inspect('stays'), { State: { Status: 'running' } });
  t.equal(rig.log(), before, 'nothing is to be tried again');
  await must('POST', '/containers/stays/kill');
  await waitFor('it to go', async () => (await ask('GET', '/containers/stays/json')).status === 404);
  await settled(t);
});

void t.test('a container between its restarts has not ended, and a start counts them anew', { timeout: 60_000 }, async (t) => {
  interface Seen {
    readonly RestartCount: number;
    readonly State: { readonly Running: boolean; readonly Restarting: boolean };
  }
  const policy = { ...none, RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 } };
  await create('again', policy, { Cmd: ['false'] });
  const seen: Seen[] = [];
  const look = async (): Promise<Seen> => JSON.parse((await must('GET', '/containers/again/json?size=1')).body) as Seen;
  const hasEnded = ({ State: { Running: runs, Restarting: waits } }: Seen): boolean => !runs && !waits;
  for (const _ of range(2)) {
    await must('POST', '/containers/again/start');
    await waitFor('its last restart', async () => {
      const looks = await Promise.all(range(12).map(look));
      seen.push(...looks);
      return looks.some((each) => each.RestartCount === 3 && hasEnded(each));
    });
  }
  t.same(
    seen.filter((each) => each.RestartCount < 3 && hasEnded(each)),
    [],
  );
  const { body } = await must(
    'GET',
    `/events?since=0&until=${Date.now() / 1000}&filters={"container":["again"],"event":["die"]}`,
  );
  t.equal(body.trim().split('\n').length, 8);
  await discard('again');
  await settled(t);
});

void t.test('one host port asked for by several goes to one', { timeout: 60_000 }, async (t) => {
  const port = await freePort();
  const names = range(4).map((i) => `port${i}`);
  for (const name of names) await create(name, { PortBindings: { '80/tcp': [{ HostPort: String(port) }] } });
  const answers = await Promise.all(names.map((name) => ask('POST', `/containers/${name}/start`)));
  t.same(statuses(answers), [204, 500, 500, 500]);
  const losers = answers.filter(({ status }) => status !== 204).map(({ body }) => body);
  for (const words of losers)
    t.match(
      words,
      new RegExp(`driver failed programming external connectivity .*0\\.0\\.0\\.0:${port} failed: port is already allocated`),
    );
  const [first, second] = await Promise.all(
    range(2).map(() => command(['lamina', 'run', '--rm', '-p', `${port}:80`, 'busybox', 'true'], { env: rig.env })),
  );
  t.same([first?.code, second?.code], [125, 125], 'run says it too');
  t.match(first?.stderr, /port is already allocated/);
  await discard(...names);
  await settled(t);
});

void t.test('who asks for a port in the same moment hears that it is allocated', { timeout: 30_000 }, async (t) => {
  const directory = rig.path('network-of-its-own');
  const endpoints = new Endpoints(directory, new Networks(directory));
  t.teardown(() => rmSync(directory, { recursive: true }));
  // Those between keep the choice going for a while.
  const ports = [0, 0, 0, 0, 0, 0, 0, 0, await freePort()].map((hostPort) => ({ port: '80/tcp', hostIp: '0.0.0.0', hostPort }));
  const ids = range(4).map((i) => `asks${i}`);
  const setUps = await Promise.allSettled(ids.map((id) => endpoints.setUp({ id, name: id, networks: [], ports })));
  t.equal(setUps.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const each of setUps) if (each.status === 'rejected') t.match(String(each.reason), /failed: port is already allocated/);
  for (const id of ids) await endpoints.tearDown(id);
  t.same(endpoints.ids(), []);
});

void t.test('one container name goes to one', { timeout: 60_000 }, async (t) => {
  const answers = await Promise.all(range(6).map((i) => create('same', none, { Volumes: { [`/v${i}`]: {} } })));
  t.same(statuses(answers), [201, 409, 409, 409, 409, 409]);
  const { Id: id } = await inspect('same');
  for (const { status, body } of answers) if (status === 409) t.match(body, `is already in use by container \\"${id}\\"`);
  await discard('same');
  await settled(t);
});

void t.test('a container that is renamed twice at once has one name, and the others are free', { timeout: 60_000 }, async (t) => {
  await create('first');
  const { Id: id } = await inspect('first');
  const names = range(5).map((i) => `renamed${i}`);
  const answers = await Promise.all(names.map((name) => ask('POST', `/containers/first/rename?name=${name}`)));
  t.ok(answers.some(({ status }) => status === 204));
  const { Name: last } = await inspect(id);
  const free = ['first', ...names].filter((name) => `/${name}` !== last);
  t.same(
    statuses(await Promise.all(free.map((name) => create(name)))),
    free.map(() => 201),
  );
  await discard(id, ...free);
  await settled(t);
});

void t.test('two containers renamed to one name: one is', { timeout: 60_000 }, async (t) => {
  await Promise.all(['left', 'right'].map((name) => create(name)));
  const answers = await Promise.all(['left', 'right'].map((name) => ask('POST', `/containers/${name}/rename?name=goal`)));
  t.same(statuses(answers), [204, 409]);
  await discard('left', 'right', 'goal');
  await settled(t);
});

void t.test('one volume name with different options is one volume', { timeout: 60_000 }, async (t) => {
  const answers = await Promise.all(
    range(6).map((i) =>
      ask('POST', '/volumes/create', {
        Name: 'wanted',
        DriverOpts: { type: 'tmpfs', device: 'tmpfs', o: `size=${i + 1}m` },
        Labels: { number: String(i) },
      }),
    ),
  );
  t.same(
    statuses(answers),
    range(6).map(() => 201),
  );
  t.equal(new Set(answers.map(({ body }) => body)).size, 1, 'all are told of the same');
  await must('DELETE', '/volumes/wanted');
  await settled(t);
});

void t.test('a volume is removed or used, not both', { timeout: 60_000 }, async (t) => {
  for (const i of range(8)) {
    await must('POST', '/volumes/create', { Name: 'torn' });
    const [made] = await Promise.all([
      create(`torn${i}`, { ...none, Binds: ['torn:/v'] }),
      ask('DELETE', '/volumes/torn'),
      ask('POST', '/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D'),
    ]);
    t.equal(made.status, 201);
    t.equal((await ask('GET', '/volumes/torn')).status, 200, 'what a container refers to is there');
    await discard(`torn${i}`);
    await ask('DELETE', '/volumes/torn');
  }
  await settled(t);
});

void t.test('an image is removed or used, not both', { timeout: 90_000 }, async (t) => {
  const outcomes = new Set<number>();
  for (const i of range(6)) {
    await must('POST', '/images/load', small);
    const [made] = await Promise.all([
      create(`img${i}`, none, { Image: 'small', Cmd: ['/x'], Volumes: { '/data': {} } }),
      ask('DELETE', i % 2 ? '/images/small?force=1' : '/images/small'),
      ask('POST', '/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D'),
    ]);
    outcomes.add(made.status);
    t.ok([201, 404].includes(made.status), made.body);
    if (made.status === 201) t.equal((await ask('GET', `/containers/img${i}/archive?path=/data/f1`)).status, 200);
    await discard(`img${i}`);
    await ask('DELETE', '/images/small');
  }
  t.comment(`outcomes ${[...outcomes].join(' ')}`);
  await settled(t);
});

void t.test('a container that is being started is not removed without force', { timeout: 90_000 }, async (t) => {
  for (const [i, path] of ['DELETE', 'DELETE', 'POST', 'POST'].entries()) {
    await create(`start${i}`);
    const [started, removed] = await Promise.all([
      ask('POST', `/containers/start${i}/start`),
      path === 'DELETE' ? ask('DELETE', `/containers/start${i}`) : ask('POST', '/containers/prune'),
    ]);
    const there = await ask('GET', `/containers/start${i}/json`);
    t.equal(there.status, started.status === 204 ? 200 : 404, `${started.body} ${removed.body}`);
    if (started.status === 204) t.equal((await inspect(`start${i}`)).State.Status, 'running');
    await discard(`start${i}`);
  }
  await settled(t);
});

void t.test('an end and a stop at the same moment are both recorded', { timeout: 90_000 }, async (t) => {
  for (const i of range(6)) {
    const policy = { ...none, RestartPolicy: { Name: 'always' } };
    await create(`ends${i}`, policy, { Cmd: ['sh', '-c', 'sleep 0.1; exit 3'] });
    await must('POST', `/containers/ends${i}/start`);
    const { Id: id } = await inspect(`ends${i}`);
    await Promise.all(range(3).map((n) => ask('POST', `/containers/ends${i}/${n === 0 ? 'start' : 'stop?t=0'}`)));
    await must('POST', `/containers/ends${i}/stop?t=0`).catch(() => undefined);
    await waitFor('it to rest', async () => (await inspect(id)).State.Status === 'exited');
    await settled(t);
    await discard(`ends${i}`);
  }
  await settled(t);
});

void t.test('a container that ends while it is committed is committed', { timeout: 90_000 }, async (t) => {
  for (const i of range(8)) {
    await create(`ending${i}`);
    await must('POST', `/containers/ending${i}/start`);
    const [killed, committed] = await Promise.all([
      ask('POST', `/containers/ending${i}/kill`),
      ask('POST', `/commit?container=ending${i}&repo=ended${i}`),
    ]);
    t.match([killed, committed], [{ status: 204 }, { status: 201 }], committed.body);
    await discard(`ending${i}`);
    await must('DELETE', `/images/ended${i}`);
  }
  await settled(t);
});

void t.test('a network is removed or joined, not both', { timeout: 90_000 }, async (t) => {
  for (const i of range(4)) {
    await must('POST', '/networks/create', { Name: 'torn' });
    await create(`net${i}`, { NetworkMode: 'torn' });
    const [started, removed] = await Promise.all([
      ask('POST', `/containers/net${i}/start`),
      i % 2 ? ask('DELETE', '/networks/torn') : ask('POST', '/networks/prune'),
    ]);
    if (started.status === 204) t.equal((await ask('GET', '/networks/torn')).status, 200, removed.body);
    await discard(`net${i}`);
    await ask('DELETE', '/networks/torn');
    await settled(t);
  }
});

void t.test('a dozen runs with --rm at once', { timeout: 120_000 }, async (t) => {
  const count = Number(process.env['LAMINA_RACE_RUNS'] ?? 12);
  const done = await Promise.all(
    range(count).map((i) =>
      command(['lamina', 'run', '--rm', '-v', '/v', '--network', i % 3 ? 'none' : 'bridge', 'busybox', 'echo', `run ${i}`], {
        env: rig.env,
        limitMs: 100_000,
      }),
    ),
  );
  for (const [i, { code, stdout, stderr }] of done.entries()) t.same([code, stdout, stderr], [0, `run ${i}\n`, '']);
  t.equal((JSON.parse((await must('GET', '/containers/json?all=1')).body) as object[]).length, 1);
  await settled(t);
});

void t.test('one image loaded by several at once, while another removes it', { timeout: 120_000 }, async (t) => {
  const answers = await Promise.all(range(5).map(() => ask('POST', '/images/load', small)));
  t.same(
    statuses(answers),
    range(5).map(() => 200),
  );
  for (const { body } of answers) t.match(body, /Loaded image: small:latest/);
  await settled(t);
  for (const _ of range(3)) {
    await Promise.all([...range(3).map(() => ask('POST', '/images/load', small)), ask('DELETE', '/images/small?force=1')]);
    await settled(t);
  }
  await must('POST', '/images/load', small);
  await create('reads', none, { Image: 'small', Cmd: ['/x'] });
  t.equal((await ask('GET', '/containers/reads/archive?path=/data/f19')).status, 200);
  await discard('reads');
});

void t.test('a second daemon on the data root is refused, and the first goes on', { timeout: 60_000 }, async (t) => {
  const lamina = join(checkout, 'bin', 'lamina');
  const { code, stderr } = await command([lamina, 'daemon'], { env: { ...rig.env, LAMINA_SOCKET: rig.path('second.sock') } });
  t.not(code, 0);
  t.match(stderr, `another daemon has the data root ${rig.env.LAMINA_ROOT}`);
  t.equal(existsSync(rig.path('second.sock')), false);
  const other = await command([lamina, 'daemon'], { env: { ...rig.env, LAMINA_ROOT: rig.path('other') } });
  t.not(other.code, 0);
  t.match(other.stderr, `${rig.socket}: another daemon listens there`);
  t.equal((await must('GET', '/_ping')).body, 'OK');
});
