// Every endpoint with bodies, query strings and headers that no client sends: the answer blames the request, in words, and
// the daemon lives, with nothing left of it.
//
// LAMINA_FUZZ_ROUNDS=200 asks each endpoint so often (5 by default), LAMINA_FUZZ_SEED=N repeats a run.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type IncomingMessage, request } from 'node:http';
import t from 'tap';
import { EngineAudit } from '../support/engine-audit.js';
import { call, mustCall } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';
import { checkout } from '../support/paths.js';

const ROUNDS = Number(process.env['LAMINA_FUZZ_ROUNDS'] ?? 5);
const seed = Number(process.env['LAMINA_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const LIMIT_MS = 3000;

let state = seed;
/** A whole number below `n`. */
function below(n: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}

function pick<T>(values: readonly T[]): T {
  return values[below(values.length)] as T;
}

interface Endpoint {
  readonly method: string;
  readonly pattern: string;
}

/** As the engine's sources name them. */
function endpoints(): Endpoint[] {
  const directory = join(checkout, 'src', 'engine');
  return readdirSync(directory).flatMap((name) =>
    [...readFileSync(join(directory, name), 'utf8').matchAll(/router\.on(?:Stream)?\(\s*'([A-Z]+)',\s*'([^']+)'/g)].map(
      ([, method = '', pattern = '']) => ({ method, pattern }),
    ),
  );
}

const TEXTS = [
  '',
  'busybox',
  'stays',
  'keep',
  'bridge',
  '/',
  '..',
  '../../etc/passwd',
  '/proc/self/environ',
  'a'.repeat(5000),
  '\0',
  '\n',
  '%00',
  'ü\u{1F600}',
  '-1',
  '0',
  '1',
  '99999999999999999999',
  'NaN',
  'true',
  '{}',
  '[]',
  'null',
  '{"a":1}',
  '{"label":["x"]}',
  '{"label":{"x":true}}',
  '{"label":[1,null,{}]}',
  '{"__proto__":["x"]}',
  '{"until":["99999999999999999999h"]}',
  'sha256:' + 'a'.repeat(64),
  'a'.repeat(64),
  'UPPER/case:tag@x',
  '__proto__',
  'constructor',
  '$(reboot)',
  '-rf',
];
const QUERIES = (
  'all size limit filters force v link signal t name path noOverwriteDirNonDir copyUIDGID container repo tag comment author ' +
  'changes pause fromSrc fromImage message stream logs stdin stdout stderr since until tail follow timestamps details h w ps_args condition ' +
  'one-shot dockerfile buildargs labels target nocache q remote memory ulimits cgroupparent extrahosts securityopt names ' +
  'compress dangling noprune detachKeys term platform digests verbose type shared-size'
).split(' ');
const FIELDS = (
  'Image Cmd Entrypoint Env Volumes Labels ExposedPorts HostConfig User WorkingDir StopSignal StopTimeout Tty Healthcheck Hostname ' +
  'NetworkingConfig Name Driver DriverOpts Container EndpointConfig Force IPAM Internal Options CheckDuplicate Detach AttachStdin ' +
  'AttachStdout Privileged Memory NanoCpus PidsLimit RestartPolicy BlkioWeight CpusetCpus'
).split(' ');
const HOST_FIELDS = (
  'Binds Mounts VolumesFrom Tmpfs NetworkMode PortBindings RestartPolicy AutoRemove CapAdd CapDrop Dns ExtraHosts GroupAdd SecurityOpt ' +
  'StorageOpt ShmSize Sysctls LogConfig Memory MemorySwap NanoCpus CpuShares CpuQuota CpusetCpus PidsLimit Ulimits Devices MaskedPaths ' +
  'VolumeDriver OomScoreAdj Init Runtime IpcMode PidMode UTSMode Privileged PublishAllPorts'
).split(' ');
const KEYS = [
  'Type',
  'Source',
  'Target',
  'Name',
  'VolumeOptions',
  'BindOptions',
  'TmpfsOptions',
  'SizeBytes',
  'Subpath',
  '80/tcp',
  'HostPort',
  'x',
];

function value(depth: number): unknown {
  switch (below(depth > 3 ? 7 : 10)) {
    case 0:
      return null;
    case 1:
      return pick([true, false]);
    case 2:
      return pick([0, -1, 1, 1e308, -1e308, 2 ** 53, 0.5, 1e20]);
    case 3:
    case 4:
    case 5:
    case 6:
      return pick(TEXTS);
    case 7:
      return Array.from({ length: below(4) }, () => value(depth + 1));
    default:
      return object(pick([KEYS, HOST_FIELDS, FIELDS]), depth + 1);
  }
}

function object(names: readonly string[], depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Array.from({ length: below(6) }, () => {
      const name = pick(names);
      return [name, name === 'HostConfig' && below(4) > 0 ? object(HOST_FIELDS, depth + 1) : value(depth)];
    }),
  );
}

function body(): Buffer | undefined {
  switch (below(9)) {
    case 0:
      return undefined;
    case 1:
      return Buffer.from(
        pick(['{', 'null', '[]', '""', '[[[[', '{"Image":', '\u0000', '7', '{"a":1}{"b":2}', '['.repeat(100_000)]),
      );
    case 2:
      return Buffer.from(Array.from({ length: 2000 }, () => below(256)));
    default: {
      const made = object(FIELDS, 0);
      if (below(3) > 0) made['Image'] = 'busybox';
      return Buffer.from(JSON.stringify(made));
    }
  }
}

function path({ pattern }: Endpoint): string {
  const named = pattern.replace(/\*|\{\}/g, () =>
    encodeURIComponent(pick(['stays', 'keep', 'busybox', 'bridge', ...TEXTS.slice(3)]) || 'x'),
  );
  const query = Array.from({ length: below(4) }, () => `${pick(QUERIES)}=${encodeURIComponent(pick(TEXTS))}`).join('&');
  return `${pick(['', '', '/v1.47', '/v1.24'])}${named}${query === '' ? '' : `?${query}`}`;
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

/** The status, and the beginning of the body; a stream that goes on is left after a while. */
function ask(socket: string, method: string, at: string, sent: Buffer | undefined, type: string): Promise<Reply | string> {
  return new Promise((resolve) => {
    const out = request({ socketPath: socket, method, path: at, agent: false, headers: { 'Content-Type': type } });
    let text = '';
    let status = 0;
    const timer = setTimeout(() => (out.destroy(), resolve({ status, text })), LIMIT_MS);
    const done = (reply: Reply | string): void => (clearTimeout(timer), out.destroy(), resolve(reply));
    out.on('response', (response: IncomingMessage) => {
      status = response.statusCode ?? 0;
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (text.length > 100_000) done({ status, text });
      });
      response.on('end', () => done({ status, text }));
      response.on('error', () => done({ status, text }));
      // Of what follows, no more is to be learnt.
      if (/follow|stats|events|attach|logs/.test(at)) setTimeout(() => done({ status, text }), 50);
    });
    out.on('upgrade', (_, upgraded) => (upgraded.destroy(), done({ status: 101, text })));
    out.on('error', (error) => done(error.message));
    out.end(sent);
  });
}

void t.test(`seed ${seed}: whatever is asked, the answer is one`, { timeout: 3_600_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  const keep = async (): Promise<void> => {
    await call(rig.socket, 'POST', '/containers/create?name=stays', { Image: 'busybox', Cmd: ['sleep', '1000'] });
    await call(rig.socket, 'POST', '/volumes/create', { Name: 'keep' });
    await call(rig.socket, 'POST', '/images/lamina-demo/tag?repo=busybox');
  };
  const all = endpoints();
  t.ok(all.length > 60, `${all.length} endpoints were found`);
  for (let round = 0; round < ROUNDS; round++) {
    for (const endpoint of all) {
      if (below(20) === 0) await keep();
      const at = path(endpoint);
      const sent = endpoint.method === 'POST' || endpoint.method === 'PUT' ? body() : undefined;
      const type = pick(['application/json', 'application/json', 'application/json', 'application/x-tar', 'text/plain', '']);
      const reply = await ask(rig.socket, endpoint.method, at, sent, type);
      const asked = `${endpoint.method} ${at.slice(0, 300)} ${sent?.toString().slice(0, 2000) ?? ''}`;
      if (typeof reply === 'string') {
        // A request that is no HTTP.
        t.match(reply, /EPIPE|ECONNRESET|socket hang up/, asked);
        continue;
      }
      // Docker says 500, too.
      if (reply.status === 500 && /check the name of the (registry|index) and the network/.test(reply.text)) continue;
      if (reply.status === 500 || (reply.status >= 400 && !/^\{"message":"./.test(reply.text) && endpoint.method !== 'HEAD'))
        t.fail(`${reply.status} ${reply.text.slice(0, 300)}: ${asked}`);
    }
  }
  t.equal((await mustCall(rig.socket, 'GET', '/_ping')).body, 'OK');
  t.equal(/^\s+at .*\(/m.test(rig.log()), false, rig.log().slice(0, 3000));
  const { body: listed } = await mustCall(rig.socket, 'GET', '/containers/json?all=1');
  for (const { Id: id } of JSON.parse(listed) as { Id: string }[])
    await call(rig.socket, 'DELETE', `/containers/${id}?force=1&v=1`);
  t.same(await new EngineAudit(rig).run(), []);
});
