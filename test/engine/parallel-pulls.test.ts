// Several clients pull one image from Debian's docker-registry at the same time, one of them goes away, or somebody removes the
// image meanwhile: it comes once for all of them, whoever stays has it whole, there is one record of it, and nothing is left.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { imageId, type Source } from '../image/archives.js';
import { fill, serve, startRegistry } from '../image/registry-rig.js';
import { tar } from '../image/tar-bytes.js';
import { waitFor } from '../support/command.js';
import { EngineAudit } from '../support/engine-audit.js';
import { call, mustCall } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';

const source: Source = {
  layers: [0, 1, 2].map((n) => tar([{ name: `large${n}`, data: randomBytes(1 << 20) }])),
  tags: ['many:1'],
};
const rig = new EngineRig();
const audit = new EngineAudit(rig);

/** Stands before the registry: what is asked of it, and how long it takes over each piece of a body. */
interface Gate {
  host: string;
  blobs: string[];
  /** Blobs that are on their way. */
  sending: number;
  pauseMs: number;
}
const gate: Gate = { host: '', blobs: [], sending: 0, pauseMs: 0 };

async function* slowly(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of body) {
    if (gate.pauseMs > 0) await delay(gate.pauseMs);
    yield piece;
  }
}

async function open(test: Test): Promise<void> {
  const registry = await startRegistry(test);
  await fill(test, registry, 'many:1', source);
  gate.host = await serve(test, (incoming, reply) => {
    const [hostname, port] = registry.split(':');
    const { method, url = '', headers } = incoming;
    if (method === 'GET' && url.includes('/blobs/')) {
      gate.blobs.push(url);
      gate.sending++;
      reply.on('close', () => gate.sending--);
    }
    const asked = request({ hostname, port, method, path: url, headers: { ...headers, host: registry } }, (answer) => {
      reply.writeHead(answer.statusCode ?? 500, answer.headers);
      pipeline(answer, slowly, reply).catch(() => undefined);
    });
    asked.on('error', () => reply.destroy());
    reply.on('close', () => asked.destroy());
    asked.end();
  });
}

t.setTimeout(300_000);
t.teardown(() => rig.end());
t.before(async () => {
  await open(t);
  await rig.start();
});

const query = (): string => `/images/create?fromImage=${gate.host}/many&tag=1`;
const pull = (): ReturnType<typeof mustCall> => mustCall(rig.socket, 'POST', query());

interface Client {
  readonly leave: () => void;
  /** All that it was told, when the pull is over. */
  readonly told: Promise<string>;
}

/** A client whose pull has told of bytes that came. */
async function waiting(): Promise<Client> {
  const asked = request({ socketPath: rig.socket, method: 'POST', path: query(), agent: false });
  asked.on('error', () => undefined);
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.on('error', () => undefined);
  let text = '';
  answer.on('data', (data: Buffer) => (text += data.toString()));
  const told = new Promise<string>((resolve) => answer.on('close', () => resolve(text)));
  await waitFor('bytes to come', () => text.includes('"Downloading"'));
  return { leave: () => void asked.destroy(), told };
}

const remove = (): ReturnType<typeof call> => call(rig.socket, 'DELETE', `/images/${gate.host}/many:1`);

async function images(): Promise<{ Id: string; RepoTags: string[] }[]> {
  const { body } = await mustCall(rig.socket, 'GET', '/images/json?all=1');
  return JSON.parse(body) as { Id: string; RepoTags: string[] }[];
}

/** The image is there once and whole, and nothing else is. */
async function isWhole(t: Test): Promise<void> {
  t.same(
    (await images()).map(({ Id, RepoTags }) => [Id, RepoTags]),
    [[`sha256:${imageId(source)}`, [`${gate.host}/many:1`]]],
  );
  t.same(await audit.run(), []);
  const layers = readdirSync(rig.path('data', 'layers'));
  const files = layers.flatMap((key) => readdirSync(rig.path('data', 'layers', key, 'diff')));
  t.same(files.sort(), ['large0', 'large1', 'large2']);
}

void t.test('all who pull at the same time have it, recorded once', { timeout: 120_000 }, async (t) => {
  gate.blobs.length = 0;
  gate.pauseMs = 2;
  const clients = [
    pull(),
    pull(),
    rig.must('docker', 'pull', `${gate.host}/many:1`),
    rig.must('lamina', 'pull', `${gate.host}/many:1`),
  ];
  await Promise.all(clients);
  const fetched = new Map<string, number>();
  for (const blob of gate.blobs) fetched.set(blob, (fetched.get(blob) ?? 0) + 1);
  t.comment(`each blob was fetched ${[...fetched.values()].join(', ')} times`);
  t.equal(fetched.size, source.layers.length + 1, 'layers and config');
  const single = [...fetched.values()].filter((times) => times === 1);
  t.ok(single.length >= source.layers.length, 'each layer is fetched once for all of them');
  t.ok(
    [...fetched.values()].every((times) => times <= clients.length),
    'the config at most once for each client',
  );
  await isWhole(t);
  t.same(readdirSync(rig.path('data', 'download', 'kept')), []);
  t.equal((await remove()).status, 200);
  t.same(await audit.run(), []);
});

void t.test('one who goes away does not end the download of the other, whoever began it', { timeout: 120_000 }, async (t) => {
  gate.pauseMs = 20;
  for (const first of ['leaving', 'staying']) {
    gate.blobs.length = 0;
    const clients = [await waiting(), await waiting()] as const;
    const [leaving, staying] = first === 'leaving' ? clients : ([clients[1], clients[0]] as const);
    leaving.leave();
    const body = await staying.told;
    for (const status of ['Downloading', 'Download complete', 'Pull complete'])
      t.equal(idsWith(body, status).size, source.layers.length, `${first} first: the other is told "${status}" of each layer`);
    t.equal(gate.blobs.length, source.layers.length + 2, `${first} first: each layer once, the config twice`);
    await isWhole(t);
    t.equal((await remove()).status, 200);
    t.same(await audit.run(), []);
  }
});

/** Layers of which a pull's answer says so. */
function idsWith(body: string, status: string): Set<string | undefined> {
  const lines = body.trim().split('\n');
  const events = lines.map((line) => JSON.parse(line) as { id?: string; status?: string });
  return new Set(events.filter((event) => event.status === status).map(({ id }) => id));
}

void t.test('the last who goes away ends the download, and the next goes on from there', { timeout: 120_000 }, async (t) => {
  gate.pauseMs = 50;
  const [first, last] = [await waiting(), await waiting()];
  first.leave();
  gate.blobs.length = 0;
  await delay(100);
  t.equal(gate.sending, source.layers.length, 'the registry still sends');
  last.leave();
  await waitFor('the registry to be left alone', () => gate.sending === 0);
  const kept = (): string[] => readdirSync(rig.path('data', 'download', 'kept'));
  await waitFor('what came to be kept', () => kept().length === source.layers.length);
  gate.pauseMs = 0;
  await pull();
  await isWhole(t);
  t.same(readdirSync(rig.path('data', 'download')), ['kept']);
  t.same(kept(), []);
  t.equal((await remove()).status, 200);
  t.same(await audit.run(), []);
});

void t.test(
  'a pull and the removal of what it pulls: one after the other, whichever is first',
  { timeout: 240_000 },
  async (t) => {
    gate.pauseMs = 0;
    const outcomes = new Set<string>();
    await pull();
    for (let i = 0; i < 12; i++) {
      const pulling = pull();
      const removals: number[] = [];
      for (let k = 0; k < 4; k++) {
        await delay(10 * i);
        removals.push((await remove()).status);
      }
      await pulling;
      t.ok(
        removals.every((status) => status === 200 || status === 404),
        removals.join(' '),
      );
      const there = (await images()).length;
      outcomes.add(`${removals.filter((status) => status === 200).length} removed, ${there} there`);
      t.same(await audit.run(), [], `round ${i}`);
      if (there > 0) await isWhole(t);
      else await pull();
    }
    t.comment([...outcomes].join('; '));
    await isWhole(t);
    t.equal((await remove()).status, 200);
  },
);
