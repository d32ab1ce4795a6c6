// Others are answered at once while one client has the engine fill, clone, import or remove what is large, or bring large images
// in and out.
//
// What another process of this machine needs to answer at the same time is measured beside it, and allowed for.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import t, { type Test } from 'tap';
import { startRegistry } from '../image/registry-rig.js';
import { makeDataImage } from '../support/data-image.js';
import { EngineAudit } from '../support/engine-audit.js';
import { call, mustCall } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';
import { patient } from '../support/patience.js';

const FILES = Number(process.env['LAMINA_RESPONSIVE_FILES'] ?? 10_000);
const DIRECTORIES = 200;
const LIMIT_MS = patient(200);
const rig = new EngineRig();
const audit = new EngineAudit(rig);
const idle = rig.path('idle.sock');
let other: ChildProcess;
let archive: Buffer;
let tar: Buffer;

t.setTimeout(900_000);
t.teardown(async () => {
  other.kill();
  await rig.end();
});

t.before(async () => {
  const server = `require('node:http').createServer((_, answer) => answer.end('OK')).listen(process.argv[1], () => console.log('up'))`;
  other = spawn(process.execPath, ['-e', server, idle], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (other.stdout) await once(other.stdout, 'data');
  ({ archive, data: tar } = makeDataImage('large', FILES, (i) => [`${i % DIRECTORIES}/${i}`, `${i}\n`]));
  await rig.start();
  await mustCall(rig.socket, 'POST', '/images/load', archive);
});

async function answerIn(socket: string, path: string): Promise<number> {
  const start = performance.now();
  await mustCall(socket, 'GET', path);
  return performance.now() - start;
}

/** Does `work` while others ask for something small, one after the other. Checks how long the longest of them waited. */
async function whileOthersAsk(t: Test, what: string, work: Promise<unknown>): Promise<void> {
  const state = { over: false, asked: 0, longest: { ping: 0, ps: 0, client: 0, other: 0 } };
  const { longest } = state;
  const began = performance.now();
  const done = work.finally(() => (state.over = true));
  const asking = (async () => {
    while (!state.over) {
      longest.ping = Math.max(longest.ping, await answerIn(rig.socket, '/_ping'));
      longest.ps = Math.max(longest.ps, await answerIn(rig.socket, '/containers/json?all=1'));
      longest.other = Math.max(longest.other, await answerIn(idle, '/'));
      state.asked++;
    }
  })();
  const typing = (async () => {
    while (!state.over) {
      const start = performance.now();
      await rig.must('docker', 'ps');
      longest.client = Math.max(longest.client, performance.now() - start);
    }
  })();
  await Promise.all([done, asking, typing]);
  const took = performance.now() - began;
  const shown = Object.entries(longest).map(([name, ms]) => `${name} ${ms.toFixed(0)} ms`);
  t.comment(`${what}: ${took.toFixed(0)} ms, ${state.asked} rounds, longest: ${shown.join(', ')}`);
  const allowed = LIMIT_MS + 2 * longest.other;
  t.ok(longest.ping < allowed, `${what}: the longest ping took ${longest.ping.toFixed(0)} ms`);
  t.ok(longest.ps < allowed, `${what}: the longest list of containers took ${longest.ps.toFixed(0)} ms`);
  t.ok(longest.client < 5 * allowed, `${what}: the longest \`docker ps\` took ${longest.client.toFixed(0)} ms`);
}

const must = (method: string, path: string, body?: unknown): Promise<unknown> => mustCall(rig.socket, method, path, body);
const filesOf = (volume: string): number =>
  readdirSync(rig.path('data', 'volumes', volume, '_data'), { recursive: true }).length - DIRECTORIES;

void t.test('a volume is filled, cloned, replaced and removed', { timeout: 300_000 }, async (t) => {
  const container = { Image: 'large', Cmd: ['true'], HostConfig: { NetworkMode: 'none', Binds: ['vol:/data'] } };
  await whileOthersAsk(t, 'fill', must('POST', '/containers/create?name=cc', container));
  t.equal(filesOf('vol'), FILES);
  await whileOthersAsk(t, 'clone', must('POST', '/volumes/vol/clone', { Name: 'twin' }));
  t.equal(filesOf('twin'), FILES);
  await whileOthersAsk(t, 'import of a new one', must('POST', '/volumes/fresh/import', tar));
  t.equal(filesOf('fresh'), FILES);
  await whileOthersAsk(t, 'import over another', must('POST', '/volumes/twin/import', tar));
  t.equal(filesOf('twin'), FILES);
  await whileOthersAsk(t, 'remove', must('DELETE', '/volumes/twin'));
  await whileOthersAsk(t, 'prune', must('POST', `/volumes/prune?filters=${encodeURIComponent('{"all":["true"]}')}`));
  t.equal(filesOf('vol'), FILES);
  await must('DELETE', '/containers/cc');
  await must('DELETE', '/volumes/vol');
  t.same(await audit.run(), [], 'nothing is left');
});

void t.test('images come in and go out', { timeout: 600_000 }, async (t) => {
  const host = await startRegistry(t);
  await must('DELETE', '/images/large');
  await whileOthersAsk(t, 'load', must('POST', '/images/load', archive));
  await must('POST', `/images/large/tag?repo=${host}/large&tag=1`);
  await whileOthersAsk(t, 'save', must('GET', '/images/large/get'));
  await whileOthersAsk(t, 'push', must('POST', `/images/${host}/large/push?tag=1`));
  await must('DELETE', `/images/large`);
  await must('DELETE', `/images/${host}/large:1`);
  await whileOthersAsk(t, 'pull', must('POST', `/images/create?fromImage=${host}/large&tag=1`));
  await must('POST', `/images/${host}/large:1/tag?repo=large`);
  await whileOthersAsk(t, 'import of an image', must('POST', '/images/create?fromSrc=-&repo=imported', tar));
  const container = { Image: 'large', Cmd: ['true'], HostConfig: { NetworkMode: 'none' } };
  await must('POST', '/containers/create?name=cc', container);
  await must('PUT', '/containers/cc/archive?path=/data', tar);
  await whileOthersAsk(t, 'commit', must('POST', '/commit?container=cc&repo=committed'));
  await must('DELETE', '/containers/cc');
  for (const image of ['imported', 'committed', 'large', `${host}/large:1`]) await must('DELETE', `/images/${image}`);
  t.same(await audit.run(), [], 'nothing is left');
});

void t.test('containers and images are removed', { timeout: 300_000 }, async (t) => {
  await must('POST', '/images/load', archive);
  const container = { Image: 'large', Cmd: ['true'], Volumes: { '/data': {} }, HostConfig: { NetworkMode: 'none' } };
  await must('POST', '/containers/create?name=cc', container);
  await whileOthersAsk(t, 'remove a container and its volume', must('DELETE', '/containers/cc?v=1'));
  await must('POST', '/containers/create?name=cc', { ...container, Volumes: {} });
  await must('PUT', '/containers/cc/archive?path=/', tar);
  await whileOthersAsk(t, 'remove a container and what it has written', must('DELETE', '/containers/cc'));
  await whileOthersAsk(t, 'remove an image', must('DELETE', '/images/large'));
  t.equal((await call(rig.socket, 'GET', '/images/large/json')).status, 404);
  t.same(await audit.run(), [], 'nothing is left');
});
