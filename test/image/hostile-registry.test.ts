// A registry that means harm, and what it gets: no endless wait, no endless data, no secret that is another's, one line of
// error, and nothing left in the store.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { pullImage, pushImage } from '../../src/image/index.js';
import type { PullOptions } from '../../src/image/index.js';
import { asTar, MANIFEST, modernArchive, sha256 } from './archives.js';
import { breakOff, FakeRegistry, sendBlob } from './fake-registry.js';
import { serve } from './registry-rig.js';
import { rig, source, top } from './seed.js';
import { failure, openDescriptors } from './store-rig.js';
import type { StoreRig } from './store-rig.js';
import { tar } from './tar-bytes.js';
import { patient } from '../support/patience.js';

/** For a registry that means well, whose answer may take its time. */
const soon = { backoffMs: 1 };
const hasty = { ...soon, patienceMs: patient(100) };
const LIMIT_MS = patient(20_000);
const limited = { timeout: 60_000 };

/** Writes until the other side has had enough. */
function trickle(reply: ServerResponse, everyMs: number, chunk: Buffer | string): void {
  const timer = setInterval(() => reply.write(chunk), everyMs);
  reply.on('close', () => clearInterval(timer));
}

/** As fast as it is taken. */
function flood(reply: ServerResponse): { sent: number } {
  const count = { sent: 0 };
  const chunk = Buffer.alloc(1 << 16, ' ');
  const more = (): void => {
    while (!reply.destroyed) {
      count.sent += chunk.length;
      if (!reply.write(chunk)) return void reply.once('drain', more);
    }
  };
  more();
  return count;
}

/** The error, which came in time, in one line, and left nothing. */
async function refused(t: Test, made: StoreRig, run: () => Promise<unknown>): Promise<string> {
  const before = Date.now();
  const message = await failure(run());
  t.ok(Date.now() - before < LIMIT_MS, 'in time');
  t.notMatch(message, /[\u0000-\u001f\u007f-\u009f]/, 'one line');
  t.ok(message.length < 2000, 'a short one');
  t.same(await made.residue(), []);
  return message;
}

const pulling =
  (made: StoreRig, registry: FakeRegistry, options: PullOptions = {}) =>
  () =>
    pullImage(made.store, `${registry.host}/x`, { ...hasty, ...options });

const isManifest = ({ url }: IncomingMessage): boolean => /\/manifests\//.test(url ?? '');

const GIVE_UP: readonly (readonly [title: string, answer: (reply: ServerResponse) => void, words: RegExp])[] = [
  ['no answer', () => undefined, /no answer for [\d.]+ seconds; try again later$/],
  [
    'a head that never ends',
    (reply) => {
      // By hand: node writes a head in one piece.
      reply.socket?.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => reply.socket?.write('A: b\r\n'), 10);
      reply.on('close', () => clearInterval(timer));
    },
    /no answer for [\d.]+ seconds/,
  ],
  [
    'informational answers without end',
    (reply) => {
      const timer = setInterval(() => reply.socket?.write('HTTP/1.1 102 Processing\r\n\r\n'), 10);
      reply.on('close', () => clearInterval(timer));
    },
    /no answer for [\d.]+ seconds/,
  ],
  ['a body that stops', (reply) => reply.writeHead(200).write('{'), /[\d.]+ seconds; try again later$/],
  [
    'a body in drops',
    (reply) => {
      reply.writeHead(200);
      trickle(reply, 10, ' ');
    },
    /\d+ bytes in [\d.]+ seconds; try again later$/,
  ],
  [
    'a body in a thin stream',
    (reply) => {
      reply.writeHead(200);
      trickle(reply, 5, Buffer.alloc(2000, ' '));
    },
    /the answer is not there after [\d.]+ seconds; try again later$/,
  ],
  ['a body without end', (reply) => flood(reply.writeHead(200)), /the answer is larger than 4194304 bytes$/],
  ['a redirect to itself', (reply) => reply.writeHead(307, { Location: reply.req.url }).end(), /more than 5 redirects$/],
  [
    'a redirect to a file',
    (reply) => reply.writeHead(307, { Location: 'file:///etc/shadow' }).end(),
    /it redirects to "file:\/\/\/etc\/shadow"$/,
  ],
  ['a head without measure', (reply) => reply.writeHead(200, { X: 'x'.repeat(1 << 17) }).end('{}'), /Header overflow/],
  ['a refusal without end', (reply) => flood(reply.writeHead(400)), /: status 400; try again later$/],
  [
    'a refusal in drops',
    (reply) => {
      reply.writeHead(400);
      trickle(reply, 10, ' ');
    },
    /: status 400; try again later$/,
  ],
  [
    'a refusal that would steer the terminal',
    (reply) =>
      reply
        .writeHead(400)
        .end(JSON.stringify({ errors: [{ code: 'X', message: `a\n\u001b[2J\u009b1m${'long'.repeat(1000)}` }] })),
    /status 400: x: a \[2J 1mlong/,
  ],
];

for (const [title, answer, words] of GIVE_UP) {
  void t.test(`${title}, instead of a manifest`, limited, async (t) => {
    const registry = await FakeRegistry.start(t);
    registry.put('latest', source);
    const made = rig(t);
    registry.intercept = (request, reply) => {
      if (!isManifest(request)) return false;
      answer(reply);
      return true;
    };
    t.match(await refused(t, made, pulling(made, registry)), words);
    registry.intercept = () => false;
    await pullImage(made.store, `${registry.host}/x`, soon);
  });
}

void t.test('a token server that floods, drips or sends on', limited, async (t) => {
  const registry = await FakeRegistry.start(t);
  registry.put('latest', source);
  const seen: string[] = [];
  const elsewhere = await serve(t, (request, reply) => {
    seen.push(request.headers.authorization ?? 'none');
    reply.end(JSON.stringify({ token: 'x' }));
  });
  let misbehave: (reply: ServerResponse) => void = () => undefined;
  const tokens = await serve(t, (_request, reply) => misbehave(reply));
  registry.intercept = (_request, reply) => {
    reply.writeHead(401, { 'WWW-Authenticate': `Bearer realm="http://${tokens}/token",service="s"` }).end();
    return true;
  };
  const made = rig(t);
  const credentials = { username: 'anna', password: 'secret' };
  const fails = (): Promise<string> => refused(t, made, pulling(made, registry, { credentials }));
  misbehave = (reply) => flood(reply.writeHead(200));
  t.match(await fails(), /token.* the answer is larger than 1048576 bytes$/);
  misbehave = (reply) => trickle(reply.writeHead(200), 10, ' ');
  t.match(await fails(), /[\d.]+ seconds; try again later$/);
  misbehave = (reply) => reply.writeHead(307, { Location: `http://${elsewhere}/token` }).end();
  t.match(await fails(), /the token server .* answered with status 307$/);
  misbehave = (reply) => reply.end(JSON.stringify({ token: 'a\r\nHost: b' }));
  t.match(await fails(), /Invalid character in header/);
  t.same(seen, []);
});

void t.test('layers in drops, of other sizes, from the start again and again', limited, async (t) => {
  const large = tar([{ name: 'large', data: Buffer.alloc(300_000, 'x') }]);
  const registry = await FakeRegistry.start(t);
  registry.put('latest', { layers: [large, top] });
  const made = rig(t);
  const before = openDescriptors();
  const fails = async (answer: (request: IncomingMessage, reply: ServerResponse) => unknown): Promise<string> => {
    registry.intercept = (request, reply, blob) => {
      if (blob?.equals(large) !== true) return false;
      answer(request, reply);
      return true;
    };
    return refused(t, made, pulling(made, registry));
  };
  const broke = /the download of sha256:\w+ broke off 6 times; try again later$/;
  t.match(await fails((_request, reply) => trickle(reply.writeHead(200), 10, 'x')), broke, 'drops');
  t.match(await fails((request, reply) => breakOff(request, reply, large, 1)), broke, 'a byte each time');
  t.match(
    await fails((request, reply) => breakOff(Object.assign(request, { headers: {} }), reply, large, 50_000)),
    broke,
    'no ranges',
  );
  t.match(
    await fails((request, reply) => {
      if (request.headers.range === undefined) breakOff(request, reply, large, 100_000);
      else reply.writeHead(416).end();
    }),
    broke,
    'a range that it does not have',
  );
  t.match(await fails((_request, reply) => flood(reply.writeHead(200))), /the registry sends more than the \d+ bytes of sha256:/);
  t.match(await fails((_request, reply) => reply.writeHead(200).end(large.subarray(0, 10))), broke, 'too few');
  t.match(await fails((_request, reply) => reply.writeHead(307, { Location: reply.req.url }).end()), /more than 5 redirects$/);
  t.ok(openDescriptors() <= before + 2, 'descriptors are closed');
  registry.intercept = () => false;
  await pullImage(made.store, `${registry.host}/x`, soon);
});

void t.test('configs and layers whose digest or size is another', limited, async (t) => {
  const registry = await FakeRegistry.start(t);
  const made = rig(t);
  const config = Buffer.from('{}');
  registry.files.set(`blobs/sha256/${sha256(config)}`, config);
  const give = (descriptor: object): void => {
    const data = Buffer.from(JSON.stringify({ mediaType: MANIFEST, config: descriptor, layers: [] }));
    registry.files.set(`blobs/sha256/${sha256(data)}`, data);
    registry.tags.set('latest', `sha256:${sha256(data)}`);
  };
  const fails = (descriptor: object): Promise<string> => {
    give({ digest: `sha256:${sha256(config)}`, ...descriptor });
    return refused(t, made, pulling(made, registry));
  };
  t.match(await fails({ size: 1 }), /the answer is larger than 1 bytes$/);
  t.match(await fails({ size: Number.MAX_SAFE_INTEGER }), /is larger than 16 MiB$/);
  t.match(await fails({ size: -1 }), /the size of a descriptor is not a number$/);
  t.match(await fails({ size: 2, digest: 'sha256:../../../etc/passwd' }), /is not a sha256 digest$/);
  t.match(await fails({ size: 2, mediaType: `a\n${'b'.repeat(1 << 20)}` }), /it is no image but of the type a b/);
});

void t.test('a password and a token go to the registry alone, and to the token server that it names', limited, async (t) => {
  for (const credentials of [
    { username: 'anna', password: 'secret' },
    { registryToken: 'secret' },
    { identityToken: 'secret' },
  ]) {
    const registry = await FakeRegistry.start(t);
    registry.put('latest', source);
    const secret = /secret|granted|YW5uYTpzZWNyZXQ=/;
    const seen: string[] = [];
    /** Another host: it wants a password for everything, in both ways. */
    const note = (request: IncomingMessage): void => void seen.push(`${request.url} ${JSON.stringify(request.headers)}`);
    const blobs = await serve(t, (request, reply) => {
      note(request);
      const data = registry.files.get(`blobs/sha256/${/^\/(\w+)$/.exec(request.url ?? '')?.[1] ?? ''}`);
      if (data) sendBlob(request, reply, data);
      else reply.writeHead(401, { 'WWW-Authenticate': `Basic realm="x", Bearer realm="http://${blobs}/token"` }).end();
    });
    const tokens = await serve(t, (_request, reply) => reply.end(JSON.stringify({ token: 'granted' })));
    let storage = `http://${blobs}`;
    registry.intercept = (request, reply) => {
      if (request.headers.authorization === undefined) {
        reply.writeHead(401, { 'WWW-Authenticate': `Bearer realm="http://${tokens}/token"` }).end();
        return true;
      }
      const digest = /blobs\/sha256:(\w+)/.exec(request.url ?? '')?.[1];
      if (digest === undefined) return false;
      reply.writeHead(307, { Location: `${storage}/${digest}` }).end();
      return true;
    };
    const made = rig(t);
    // The same host by another name or with another port is another, and so is what it asks a password for.
    for (const place of [
      `http://${blobs}`,
      `http://localhost:${blobs.split(':')[1] ?? ''}`,
      `http://${registry.host}@${blobs}`,
    ]) {
      storage = place;
      await pullImage(made.store, `${registry.host}/x`, { ...soon, credentials });
    }
    storage = `http://${blobs}/nothing`;
    const other = rig(t);
    t.match(await refused(t, other, pulling(other, registry, { credentials })), /access denied/);
    t.ok(seen.length > 3 && registry.asked.some(({ authorization }) => secret.test(authorization ?? '')));
    t.same(
      seen.filter((text) => secret.test(text)),
      [],
    );
  }
});

void t.test('a push to a registry that refuses without end, in drops, or names a strange place', limited, async (t) => {
  const registry = await FakeRegistry.start(t);
  const made = rig(t);
  await made.load(asTar(modernArchive({ ...source, tags: [`${registry.host}/x:1`] })));
  const fails = async (answer: (reply: ServerResponse) => unknown): Promise<string> => {
    registry.intercept = (request, reply) => {
      if (request.method !== 'POST') return false;
      answer(reply);
      return true;
    };
    const before = Date.now();
    const message = await failure(pushImage(made.store, `${registry.host}/x:1`, hasty));
    t.ok(Date.now() - before < LIMIT_MS, 'in time');
    return message;
  };
  let flooded = { sent: 0 };
  t.match(await fails((reply) => (flooded = flood(reply.writeHead(400)))), /status 400; try again later$/);
  t.ok(flooded.sent < 16 << 20, `${flooded.sent} bytes of a refusal are taken`);
  t.match(await fails((reply) => trickle(reply.writeHead(400), 10, ' ')), /status 400; try again later$/);
  t.match(await fails((reply) => trickle(reply.writeHead(400), 5, Buffer.alloc(2000, ' '))), /status 400; try again later$/);
  t.match(await fails((reply) => reply.writeHead(202, { Location: 'file:///etc/x' }).end()), /it wants the blob at "file:/);
  t.match(await fails((reply) => reply.writeHead(202, { Location: 'http://[' }).end()), /it wants the blob at "http:\/\/\["$/);
  t.match(await fails((reply) => reply.writeHead(307, { Location: reply.req.url }).end()), /status 307/);
});

void t.test('what is no HTTP at all', limited, async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('SSH-2.0-x\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const made = rig(t);
  const name = `127.0.0.1:${(server.address() as AddressInfo).port}/x`;
  t.match(await refused(t, made, () => pullImage(made.store, name, soon)), /Parse Error.*; try again later$/);
});
