// Clients that go away in the middle of what they asked for, or that never finish asking: no descriptor, process, file or
// memory stays behind.
//
// LAMINA_HANGUPS=200 hangs up so often on each endpoint (4 times by default).

import { mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import t from 'tap';
import { packLayerOf } from '../../src/demo/busybox.js';
import { waitFor } from '../support/command.js';
import { EngineAudit } from '../support/engine-audit.js';
import { mustCall } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';

const TIMES = Number(process.env['LAMINA_HANGUPS'] ?? 4);
const rig = new EngineRig();
const audit = new EngineAudit(rig);
t.teardown(() => rig.end());

const daemon = (): number => rig.pid('daemon') ?? -1;
const supervisor = (): number => rig.pid('supervisor') ?? -1;
/** Where descriptors lead. Those of the database, and of files in mounted roots, come and go by rules of their own. */
const opened = (pid: number): string[] => {
  const others = [rig.path('data', 'db'), rig.path('data', 'containers'), rig.path('data', 'layers')];
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => targetOf(`/proc/${pid}/fd/${fd}`))
    .filter((target) => !others.some((place) => target.startsWith(`${place}/`)));
};
const descriptors = (pid: number): number => opened(pid).length;
/** Empty when it has been closed meanwhile. */
function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
const children = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean),
  ).length;
const megabytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;

/** Sends what there is of a request and goes away once `enough` bytes of an answer have come, or when nothing more does. */
function hangUp(text: string, body: Buffer, enough: number, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection(rig.socket);
    let got = 0;
    const leave = (): void => (socket.destroy(), resolve());
    const timer = setTimeout(leave, waitMs);
    socket.on('close', () => (clearTimeout(timer), resolve()));
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got >= enough) leave();
    });
    socket.write(text);
    socket.write(body);
  });
}

interface Asking {
  readonly line: string;
  readonly headers?: string;
  /** The beginning of a longer body. */
  readonly body?: () => Buffer;
  /** Bytes of the answer after which the client goes. */
  readonly enough?: number;
  readonly waitMs?: number;
}

let tar: Buffer;
const half = (): Buffer => tar.subarray(0, tar.length / 2);
const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
const json = 'Content-Type: application/json\r\n';

async function execId(): Promise<string> {
  const { body } = await mustCall(rig.socket, 'POST', '/containers/talks/exec', {
    Cmd: ['cat'],
    AttachStdin: true,
    AttachStdout: true,
  });
  return (JSON.parse(body) as { Id: string }).Id;
}

const askings: Asking[] = [
  { line: 'GET /events' },
  { line: 'GET /containers/talks/logs?follow=1&stdout=1&stderr=1', enough: 1000 },
  { line: 'GET /containers/talks/stats' },
  { line: 'POST /containers/talks/attach?stream=1&stdout=1&stdin=1', headers: upgrade, enough: 500 },
  { line: 'POST /containers/talks/attach?stream=1&stdout=1&logs=1', enough: 500 },
  { line: 'POST /containers/talks/wait' },
  { line: 'POST /exec/EXEC/start', headers: `${upgrade}${json}`, body: () => Buffer.from('{"Tty":false}'), enough: 50 },
  { line: 'GET /images/busybox/get', enough: 100_000 },
  { line: 'GET /containers/talks/export', enough: 100_000 },
  { line: 'GET /containers/still/export', enough: 100_000 },
  { line: 'GET /containers/talks/archive?path=/bin', enough: 100_000 },
  { line: 'GET /containers/still/archive?path=/bin', enough: 100_000 },
  { line: 'GET /volumes/full/export?compress=zstd', enough: 100_000 },
  { line: 'GET /volumes/full/export?compress=gzip', enough: 100_000 },
  { line: 'PUT /containers/talks/archive?path=/tmp', body: half },
  { line: 'PUT /containers/still/archive?path=/', body: half },
  { line: 'POST /images/load', body: half },
  { line: 'POST /images/create?fromSrc=-', body: half },
  { line: 'POST /build?networkmode=none', body: half },
  { line: 'POST /volumes/full/import', body: half },
  { line: 'POST /volumes/fresh/import', body: half },
  { line: 'POST /containers/create', headers: json, body: () => Buffer.from('{"Image":') },
];

async function each(asking: Asking): Promise<void> {
  const { line, headers = '', body = (): Buffer => Buffer.alloc(0), enough = 1, waitMs = 60 } = asking;
  const whole = line.includes('EXEC') ? line.replace('EXEC', await execId()) : line;
  const bytes = body();
  const length = line.includes('EXEC') ? bytes.length : bytes.length * 2;
  const framing = bytes.length > 0 ? `Content-Length: ${length}\r\n` : '';
  await hangUp(`${whole} HTTP/1.1\r\nHost: x\r\n${headers}${framing}\r\n`, bytes, enough, waitMs);
}

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  const root = rig.path('root');
  mkdirSync(root);
  for (let i = 0; i < 40; i++) writeFileSync(`${root}/f${i}`, Buffer.alloc(100_000, i));
  writeFileSync(`${root}/Dockerfile`, 'FROM busybox\nRUN sleep 100\n');
  packLayerOf(root, rig.path('tar'));
  tar = readFileSync(rig.path('tar'));
  await mustCall(rig.socket, 'POST', '/volumes/full/import', tar);
  const loop = ['sh', '-c', 'while true; do echo 0123456789; sleep 0.01; done'];
  const talks = { Image: 'busybox', Cmd: loop, OpenStdin: true, HostConfig: { NetworkMode: 'none' } };
  await mustCall(rig.socket, 'POST', '/containers/create?name=talks', talks);
  await mustCall(rig.socket, 'POST', '/containers/talks/start');
  await mustCall(rig.socket, 'POST', '/containers/create?name=still', {
    Image: 'busybox',
    Volumes: { '/v': {} },
    HostConfig: { NetworkMode: 'none' },
  });
});

for (const asking of askings) {
  void t.test(`hung up on: ${asking.line}`, { timeout: 600_000 }, async (t) => {
    for (let i = 0; i < 2; i++) await each(asking);
    const [mine, theirs] = [daemon(), supervisor()];
    const settled = async (): Promise<void> => {
      t.same(await audit.run(), [], 'nothing is left');
    };
    await settled();
    const before = { fds: descriptors(mine), theirFds: descriptors(theirs), children: children(mine), memory: megabytes(mine) };
    for (let i = 0; i < TIMES; i++) await each(asking);
    await settled();
    // One for each that hung up would be a leak; a connection more or less is not.
    const few = TIMES - 1;
    await waitFor('descriptors to be closed', () => descriptors(mine) <= before.fds + few, 10_000).catch(() => undefined);
    t.ok(descriptors(mine) <= before.fds + few, `the daemon has ${opened(mine).join(' ')}; it had ${before.fds}`);
    await waitFor('streams to be closed', () => descriptors(theirs) <= before.theirFds + few, 10_000).catch(() => undefined);
    t.ok(
      descriptors(theirs) <= before.theirFds + few,
      `the supervisor has ${opened(theirs).join(' ')}; it had ${before.theirFds}`,
    );
    await waitFor('its processes to end', () => children(mine) <= before.children, 10_000).catch(() => undefined);
    t.ok(children(mine) <= before.children, 'no process is left');
    t.comment(`memory ${before.memory.toFixed(0)} -> ${megabytes(mine).toFixed(0)} MB`);
  });
}

void t.test('who goes away while a volume is cloned leaves nothing', { timeout: 120_000 }, async (t) => {
  await mustCall(rig.socket, 'POST', '/volumes/create', { Name: 'large' });
  const data = rig.path('data', 'volumes', 'large', '_data');
  for (let i = 0; i < 1500; i++) writeFileSync(`${data}/${i}`, String(i));
  const body = Buffer.from('{"Name":"left"}');
  const head = `POST /volumes/large/clone HTTP/1.1\r\nHost: x\r\n${json}Content-Length: ${body.length}\r\n\r\n`;
  for (const waitMs of [20, 60, 100]) await hangUp(head, body, 1, waitMs);
  t.same(await audit.run(), []);
  await mustCall(rig.socket, 'DELETE', '/volumes/large');
});
