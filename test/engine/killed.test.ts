// kill -9 of the daemon, the supervisor or both at each step of what they do, the steps found by counting them: afterwards
// nothing is half there, what ran still runs, and everything works.
//
// A few steps of a few works, by a seed that LAMINA_KILL_SEED repeats. LAMINA_KILL=all dies at every step of everything (an
// hour); LAMINA_KILL='part of a name' at every step of that.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { FakeRegistry } from '../image/fake-registry.js';
import { source } from '../image/seed.js';
import { makeDataImage } from '../support/data-image.js';
import { call, mustCall } from '../support/engine-api.js';
import { KillRig, type Victim, type Work, chosen } from '../support/kill-rig.js';

const asked = process.env['LAMINA_KILL'];
const seed = Number(process.env['LAMINA_KILL_SEED'] ?? Date.now() % 1_000_000);
const WORKS = 3;
const STEPS = 2;
const killed = new KillRig();
const { rig } = killed;
t.teardown(() => rig.end());

const must = (method: string, path: string, body?: unknown): Promise<unknown> => mustCall(rig.socket, method, path, body);
const may = (method: string, path: string, body?: unknown): Promise<unknown> => call(rig.socket, method, path, body);
const create = (name: string, body: object = {}): Promise<unknown> =>
  must('POST', `/containers/create?name=${name}`, { Image: 'busybox', Cmd: ['sleep', '1000'], ...body });
const discard = (name: string) => (): Promise<unknown> => may('DELETE', `/containers/${name}?force=1&v=1`);
const none = { HostConfig: { NetworkMode: 'none' } };

let archive: Buffer;
let context: Buffer;
let volumeTar: Buffer;
let registry: FakeRegistry;

const works: Work[] = [
  {
    name: 'create',
    act: () => create('cc', { Volumes: { '/bin': {}, '/w': {} }, HostConfig: { Binds: ['made:/etc'] } }),
    after: async () => [await discard('cc')(), await may('DELETE', '/volumes/made')],
  },
  {
    name: 'create with a working directory',
    act: () => create('cc', { WorkingDir: '/w/new', Volumes: { '/w': {} } }),
    after: discard('cc'),
  },
  {
    name: 'start',
    before: () => create('cc', { Volumes: { '/v': {} } }),
    act: () => must('POST', '/containers/cc/start'),
    after: discard('cc'),
  },
  {
    name: 'start with ports',
    before: () => create('cc', { HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '' }] } } }),
    act: () => must('POST', '/containers/cc/start'),
    after: discard('cc'),
  },
  {
    name: 'stop',
    before: async () => [await create('cc'), await must('POST', '/containers/cc/start')],
    act: () => must('POST', '/containers/cc/stop?t=0'),
    after: discard('cc'),
  },
  {
    name: 'remove',
    before: () => create('cc', { Volumes: { '/bin': {}, '/w': {} } }),
    act: () => must('DELETE', '/containers/cc?v=1'),
    after: discard('cc'),
  },
  {
    name: 'remove by force',
    before: async () => [await create('cc', { Volumes: { '/v': {} } }), await must('POST', '/containers/cc/start')],
    act: () => must('DELETE', '/containers/cc?force=1&v=1'),
    after: discard('cc'),
  },
  {
    name: 'run --rm',
    act: async () => {
      await create('cc', { Cmd: ['true'], Volumes: { '/v': {} }, HostConfig: { AutoRemove: true, NetworkMode: 'none' } });
      const gone = must('POST', '/containers/cc/wait?condition=removed');
      await Promise.all([gone, must('POST', '/containers/cc/start')]);
    },
    after: discard('cc'),
  },
  {
    name: 'rename',
    before: () => create('cc'),
    act: () => must('POST', '/containers/cc/rename?name=dd'),
    after: async () => [await discard('cc')(), await discard('dd')()],
  },
  {
    name: 'commit',
    before: async () => [
      await create('cc', { Cmd: ['touch', '/new'], ...none }),
      await must('POST', '/containers/cc/start'),
      await must('POST', '/containers/cc/wait'),
    ],
    act: () => must('POST', '/commit?container=cc&repo=made'),
    after: async () => [await discard('cc')(), await may('DELETE', '/images/made')],
  },
  { name: 'load', act: () => must('POST', '/images/load', archive), after: () => may('DELETE', '/images/small') },
  {
    name: 'pull',
    act: () => must('POST', `/images/create?fromImage=${registry.host}/pulled&tag=latest`),
    after: () => may('DELETE', `/images/${registry.host}/pulled`),
  },
  {
    name: 'import an image',
    act: () => must('POST', '/images/create?fromSrc=-&repo=small', volumeTar),
    after: () => may('DELETE', '/images/small'),
  },
  {
    name: 'save',
    before: () => must('POST', '/images/load', archive),
    act: () => must('GET', '/images/small/get'),
    after: () => may('DELETE', '/images/small'),
  },
  { name: 'tag', act: () => must('POST', '/images/busybox/tag?repo=other'), after: () => may('DELETE', '/images/other') },
  {
    name: 'remove an image',
    before: () => must('POST', '/images/load', archive),
    act: () => must('DELETE', '/images/small'),
    after: () => may('DELETE', '/images/small'),
  },
  {
    name: 'build',
    act: () => must('POST', '/build?t=built&nocache=1&networkmode=none', context),
    after: async () => [await may('DELETE', '/images/built?force=1'), await may('POST', '/images/prune')],
  },
  {
    name: 'prune of containers',
    before: async () => [await create('cc'), await create('dd')],
    act: () => must('POST', '/containers/prune'),
    after: async () => [await discard('cc')(), await discard('dd')()],
  },
  {
    name: 'prune of volumes',
    before: async () => [await must('POST', '/volumes/create', {}), await must('POST', '/volumes/create', {})],
    act: () => must('POST', '/volumes/prune'),
    after: () => may('POST', '/volumes/prune'),
  },
  {
    name: 'prune of images',
    before: () => must('POST', '/images/load', archive),
    act: () => must('POST', '/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D'),
    after: () => may('DELETE', '/images/small'),
  },
  {
    name: 'volume create',
    act: () => must('POST', '/volumes/create', { Name: 'vol', Labels: { a: 'b' } }),
    after: () => may('DELETE', '/volumes/vol'),
  },
  {
    name: 'volume rm',
    before: () => must('POST', '/volumes/vol/import', volumeTar),
    act: () => must('DELETE', '/volumes/vol'),
    after: () => may('DELETE', '/volumes/vol'),
  },
  {
    name: 'volume import over another',
    before: () => must('POST', '/volumes/vol/import', volumeTar),
    act: () => must('POST', '/volumes/vol/import', volumeTar),
    after: () => may('DELETE', '/volumes/vol'),
  },
  {
    name: 'volume import of a new one',
    act: () => must('POST', '/volumes/vol/import', volumeTar),
    after: () => may('DELETE', '/volumes/vol'),
  },
  {
    name: 'volume clone',
    before: () => must('POST', '/volumes/vol/import', volumeTar),
    act: () => must('POST', '/volumes/vol/clone', { Name: 'twin' }),
    after: async () => [await may('DELETE', '/volumes/vol'), await may('DELETE', '/volumes/twin')],
  },
  {
    name: 'cp into a container that does not run',
    before: () => create('cc', { Volumes: { '/v': {} } }),
    act: () => must('PUT', '/containers/cc/archive?path=/', volumeTar),
    after: discard('cc'),
  },
  {
    name: 'cp out of one',
    before: () => create('cc', { Volumes: { '/v': {} } }),
    act: () => must('GET', '/containers/cc/archive?path=/bin'),
    after: discard('cc'),
  },
  {
    name: 'network create',
    act: () => must('POST', '/networks/create', { Name: 'net' }),
    after: () => may('DELETE', '/networks/net'),
  },
  {
    name: 'start on a network of its own',
    before: async () => [
      await must('POST', '/networks/create', { Name: 'net' }),
      await create('cc', { HostConfig: { NetworkMode: 'net' } }),
    ],
    act: () => must('POST', '/containers/cc/start'),
    after: async () => [await discard('cc')(), await may('DELETE', '/networks/net')],
  },
  {
    name: 'network connect and disconnect',
    before: async () => [
      await must('POST', '/networks/create', { Name: 'net' }),
      await create('cc'),
      await must('POST', '/containers/cc/start'),
    ],
    act: async () => [
      await must('POST', '/networks/net/connect', { Container: 'cc' }),
      await must('POST', '/networks/net/disconnect', { Container: 'cc' }),
    ],
    after: async () => [await discard('cc')(), await may('DELETE', '/networks/net')],
  },
  {
    name: 'network rm',
    before: async () => [
      await must('POST', '/networks/create', { Name: 'net' }),
      await create('cc', { HostConfig: { NetworkMode: 'net' } }),
      await must('POST', '/containers/cc/start'),
      await discard('cc')(),
    ],
    act: () => must('DELETE', '/networks/net'),
    after: () => may('DELETE', '/networks/net'),
  },
  {
    name: 'exec',
    before: async () => [await create('cc', none), await must('POST', '/containers/cc/start')],
    act: async () => {
      const made = await mustCall(rig.socket, 'POST', '/containers/cc/exec', { Cmd: ['true'] });
      const { Id: id } = JSON.parse(made.body) as { Id: string };
      await must('POST', `/exec/${id}/start`, { Detach: true });
    },
    after: discard('cc'),
  },
];

function prepare(): void {
  ({ archive, data: volumeTar } = makeDataImage('small', 5, (i) => [`f${i}`, `${i}\n`.repeat(2000)]));
  mkdirSync(rig.path('context'));
  writeFileSync(rig.path('context', 'Dockerfile'), 'FROM busybox\nCOPY Dockerfile /x\nRUN touch /y\nENV A=b\n');
  execFileSync('tar', ['-C', rig.path('context'), '-cf', rig.path('context.tar'), '.']);
  context = readFileSync(rig.path('context.tar'));
}

/** A container that runs through it all. Its pid. */
async function ticker(): Promise<number> {
  await may('POST', '/containers/create?name=ticker', { Image: 'busybox', Cmd: ['sleep', '100000'], ...none });
  await may('POST', '/containers/ticker/start');
  const { body } = await mustCall(rig.socket, 'GET', '/containers/ticker/json');
  return (JSON.parse(body) as { State: { Pid: number } }).State.Pid;
}

/** Dies at step `at`. What is wrong afterwards; undefined when the work was over before. */
async function attempt(victim: Victim, work: Work, at: number): Promise<string[] | undefined> {
  const pid = await ticker();
  const died = await killed.cut(victim, work, at);
  const complaints = await killed.audit.run();
  if (victim === 'daemon' && (await ticker()) !== pid) complaints.push('what ran has ended');
  await work.after?.();
  complaints.push(...(await killed.audit.run()).map((each) => `after all was removed: ${each}`));
  return died || complaints.length > 0 ? complaints : undefined;
}

async function killAt(t: Test, victim: Victim, work: Work, choose: (numbers: number[]) => number[]): Promise<void> {
  await ticker();
  const steps = await killed.steps(victim === 'daemon' ? 'daemon' : 'supervisor', work);
  const numbers = choose(chosen(steps));
  t.comment(`${work.name}: ${steps.length} steps, ${numbers.length} chosen`);
  for (const at of numbers) {
    const complaints = await attempt(victim, work, at);
    if (complaints === undefined) break;
    t.same(complaints, [], `killed between ${steps[at - 2] ?? 'the beginning'} and ${steps[at - 1] ?? 'the end'}`);
  }
}

let random = seed;
/** `count` of the values, in their order. */
function some<T>(values: readonly T[], count: number): T[] {
  const rest = values.map((value, i) => ({ value, i }));
  const taken: typeof rest = [];
  while (taken.length < count && rest.length > 0) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    taken.push(...rest.splice(Math.floor((random / 2 ** 32) * rest.length), 1));
  }
  return taken.sort((a, b) => a.i - b.i).map(({ value }) => value);
}

t.setTimeout(4 * 3_600_000);

t.before(async () => {
  await killed.start();
  await rig.loadImages();
  prepare();
  registry = await FakeRegistry.start(t);
  registry.put('latest', source);
  await create('warm');
  await must('POST', '/containers/warm/start');
  await discard('warm')();
});

const victims = ['daemon', 'supervisor', 'both'] as const;
if (asked === undefined) {
  void t.test(`killed at some steps, seed ${seed}`, async (t) => {
    for (const work of some(works, WORKS)) await killAt(t, 'daemon', work, (numbers) => some(numbers, STEPS));
    for (const victim of ['supervisor', 'both'] as const) {
      const [work] = some(works, 1);
      if (work) await killAt(t, victim, work, (numbers) => some(numbers, 1));
    }
  });
}
for (const victim of asked === undefined ? [] : victims) {
  for (const work of works) {
    const name = `${victim}: ${work.name}`;
    if (asked !== 'all' && !name.includes(asked ?? '')) continue;
    void t.test(name, { timeout: 3_600_000 }, (t) => killAt(t, victim, work, (numbers) => numbers));
  }
}
