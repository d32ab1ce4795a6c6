// Several clients at once who do whatever comes to their mind with the same few containers, volumes, networks and images: each
// hears an answer that is one, and afterwards records and world fit.
//
// Seeded: LAMINA_STORM_SEED repeats the choices (not their timing). LAMINA_STORM=300 rounds instead of a few.

import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { makeDataImage } from '../support/data-image.js';
import { type Answer, call, mustCall } from '../support/engine-api.js';
import { EngineAudit } from '../support/engine-audit.js';
import { EngineRig } from '../support/engine-rig.js';
import { patient } from '../support/patience.js';

const ROUNDS = Number(process.env['LAMINA_STORM'] ?? 3);
const CLIENTS = 5;
const ACTIONS = 8;
const LIMIT_MS = patient(40_000);
const seed = Number(process.env['LAMINA_STORM_SEED'] ?? Date.now() % 1_000_000);

const rig = new EngineRig();
const audit = new EngineAudit(rig);
t.teardown(() => rig.end());
t.setTimeout(24 * 3_600_000);

class Choices {
  #state: number;

  constructor(from: number) {
    this.#state = from >>> 0;
  }

  pick<T>(values: readonly [T, ...T[]]): T {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return values[Math.floor((this.#state / 2 ** 32) * values.length)] ?? values[0];
  }
}

let archive: Buffer;
let tar: Buffer;
const enough = (filters: object): string => encodeURIComponent(JSON.stringify(filters));
const PORT = 20_000 + (process.pid % 10_000);

type Asking = readonly [method: string, path: string, body?: unknown];

function container(choose: Choices, image: string): object {
  return {
    Image: image,
    Cmd: choose.pick([['sleep', '1000'], ['sleep', '0.1'], ['false'], ['nothing-of-that-name']]),
    StopSignal: 'SIGKILL',
    ...choose.pick([{}, { Volumes: { '/bin': {}, '/w': {} } }]),
    HostConfig: {
      NetworkMode: choose.pick(['none', 'bridge', 'net']),
      Binds: choose.pick([[], ['vol:/etc'], ['vol:/v', 'twin:/w:ro']]),
      RestartPolicy: { Name: choose.pick(['', '', 'always', 'on-failure']), MaximumRetryCount: 0 },
      AutoRemove: false,
      PortBindings: choose.pick([{}, {}, { '80/tcp': [{ HostPort: String(PORT) }] }]),
    },
  };
}

/** What there is to do. */
function asking(choose: Choices): Asking {
  const name = choose.pick(['c1', 'c2', 'c3']);
  const other = choose.pick(['c1', 'c2', 'c3', 'c4']);
  const image = choose.pick(['busybox', 'busybox', 'small']);
  const volume = choose.pick(['vol', 'twin']);
  return choose.pick<Asking>([
    ['POST', `/containers/create?name=${name}`, container(choose, image)],
    ['POST', `/containers/create?name=${name}`, container(choose, image)],
    ['POST', `/containers/create?name=${name}`, container(choose, 'busybox')],
    ['POST', `/containers/${name}/start`],
    ['POST', `/containers/${name}/start`],
    ['POST', `/containers/${name}/start`],
    ['POST', `/containers/${name}/stop?t=0`],
    ['POST', `/containers/${name}/restart?t=0`],
    ['POST', `/containers/${name}/kill`],
    ['POST', `/containers/${name}/pause`],
    ['POST', `/containers/${name}/unpause`],
    ['POST', `/containers/${name}/rename?name=${other}`],
    ['POST', `/containers/${name}/update`, { Memory: 64 << 20, MemorySwap: 64 << 20 }],
    ['DELETE', `/containers/${name}?v=1`],
    ['DELETE', `/containers/${other}?force=1&v=1`],
    ['PUT', `/containers/${name}/archive?path=/`, tar],
    ['GET', `/containers/${name}/archive?path=/bin`],
    ['GET', `/containers/${name}/export`],
    ['GET', `/containers/${name}/changes`],
    ['POST', `/commit?container=${name}&repo=made`],
    ['POST', '/images/load', archive],
    ['DELETE', `/images/${image === 'busybox' ? 'made' : 'small'}`],
    ['GET', '/images/small/get'],
    ['POST', `/images/small/tag?repo=${other}`],
    ['POST', '/containers/prune'],
    ['POST', `/images/prune?filters=${enough({ dangling: ['false'] })}`],
    ['POST', `/volumes/prune?filters=${enough({ all: ['true'] })}`],
    ['POST', '/networks/prune'],
    ['POST', '/volumes/create', { Name: volume }],
    ['DELETE', `/volumes/${volume}`],
    ['POST', `/volumes/${volume}/import`, tar],
    ['POST', '/volumes/vol/clone', { Name: 'twin' }],
    ['GET', `/volumes/${volume}/export`],
    ['POST', '/networks/create', { Name: 'net' }],
    ['DELETE', '/networks/net'],
    ['POST', '/networks/net/connect', { Container: name }],
    ['POST', '/networks/net/disconnect', { Container: name }],
    ['GET', '/system/df'],
  ]);
}

/** Docker answers these with 500 too. */
const FORESEEN = /port is already allocated/;

/** What is wrong with an answer. */
function complaint([method, path]: Asking, { status, body }: Answer): string[] {
  const isJson = /^\{"message":"./.test(body);
  const isRight = status < 400 || (status < 500 && isJson) || (status === 500 && FORESEEN.test(body));
  return isRight ? [] : [`${method} ${path}: ${status} ${body}`];
}

async function client(choose: Choices): Promise<string[]> {
  const complaints: string[] = [];
  for (let i = 0; i < ACTIONS; i++) {
    const next = asking(choose);
    const limit = delay(LIMIT_MS, `${next[0]} ${next[1]}: no answer in ${LIMIT_MS / 1000} s`, { ref: false });
    const answered = call(rig.socket, ...next).catch((error: unknown) => `${next[0]} ${next[1]}: ${String(error)}`);
    const answer = await Promise.race([answered, limit]);
    complaints.push(...(typeof answer === 'string' ? [answer] : complaint(next, answer)));
  }
  return complaints;
}

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  ({ archive, data: tar } = makeDataImage('small', 20, (i) => [`f${i}`, Buffer.alloc(100_000, i + 1)]));
  // Keeps the image.
  const keeper = { Image: 'busybox', Cmd: ['sleep', '100000'], HostConfig: { NetworkMode: 'none' } };
  await mustCall(rig.socket, 'POST', '/containers/create?name=keeper', keeper);
  await mustCall(rig.socket, 'POST', '/containers/keeper/start');
});

void t.test(`rounds of ${CLIENTS} clients, from seed ${seed}`, async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const choices = Array.from({ length: CLIENTS }, (_, i) => new Choices((seed + round * 7919) * 31 + i * 104729));
    const complaints = (await Promise.all(choices.map(client))).flat();
    t.same(complaints, [], `round ${round}: each answer is one`);
    // Restarts go on for ever; they are ended for the comparison.
    const { body } = await mustCall(rig.socket, 'GET', '/containers/json?all=1');
    const others = (JSON.parse(body) as { Id: string; Names: string[] }[]).filter(({ Names: [name] }) => name !== '/keeper');
    await Promise.all(others.map(({ Id: id }) => call(rig.socket, 'POST', `/containers/${id}/stop?t=0`)));
    t.same(await audit.run(), [], `round ${round}: records and world fit`);
    if (round % 3 === 2) for (const { Id: id } of others) await call(rig.socket, 'DELETE', `/containers/${id}?force=1&v=1`);
  }
  t.notMatch(rig.log(), /^\s+at .*\(/m);
});
