// attach over a WebSocket: the handshake, frames of every length and kind in both directions, the end from either side.

import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import t from 'tap';
import { Opcode, frameOf } from '../../src/engine/websocket.js';
import { waitFor } from '../support/command.js';
import { call } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';

const rig = new EngineRig();
t.teardown(() => rig.end());
t.before(async () => {
  await rig.start();
  await rig.loadImages();
});

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** What a client sends: masked. */
function masked(opcode: number, payload: Buffer): Buffer {
  const frame = frameOf(opcode, payload);
  const mask = randomBytes(4);
  const head = frame.subarray(0, frame.length - payload.length);
  head[1] = (head[1] ?? 0) | 0x80;
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
}

class Client {
  readonly frames: Frame[] = [];
  isClosed = false;
  #rest: Buffer = Buffer.alloc(0);

  constructor(
    readonly socket: Socket,
    head: Buffer,
    readonly headers: Readonly<Record<string, unknown>>,
  ) {
    socket
      .on('data', (chunk: Buffer) => this.#take(chunk))
      .on('close', () => (this.isClosed = true))
      .on('error', () => undefined);
    this.#take(head);
  }

  /** The payloads of data so far. */
  get said(): Buffer {
    return Buffer.concat(this.frames.filter(({ opcode }) => opcode < Opcode.close).map(({ payload }) => payload));
  }

  send(opcode: number, payload: Buffer | string): void {
    this.socket.write(masked(opcode, Buffer.from(payload)));
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const short = this.#rest[1] ?? 0;
      const at = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (this.#rest.length < at) return;
      const size = at === 2 ? short : at === 4 ? this.#rest.readUInt16BE(2) : Number(this.#rest.readBigUInt64BE(2));
      if (this.#rest.length < at + size) return;
      this.frames.push({ opcode: (this.#rest[0] ?? 0) & 15, payload: this.#rest.subarray(at, at + size) });
      this.#rest = this.#rest.subarray(at + size);
    }
  }
}

const KEY = Buffer.from('sixteen bytes of').toString('base64');

function open(path: string, more: Readonly<Record<string, string>> = {}): Promise<Client> {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
    ...more,
  };
  return new Promise((resolve, reject) => {
    request({ socketPath: rig.socket, path, headers, agent: false })
      .on('upgrade', (response, socket: Socket, head) => resolve(new Client(socket, head, response.headers)))
      .on('response', (response) => (response.resume(), reject(new Error(`status ${response.statusCode}`))))
      .on('error', reject)
      .end();
  });
}

const ALL = 'stream=1&stdin=1&stdout=1&stderr=1';

void t.test('what is typed comes back, in frames of every length, and pings are answered', async (t) => {
  await rig.must('docker', 'run', '-di', '--name', 'cat', '--network', 'none', 'busybox', 'cat');
  const client = await open(`/containers/cat/attach/ws?${ALL}`, { 'Sec-WebSocket-Protocol': 'chat' });
  const proof = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  t.match(client.headers, { 'sec-websocket-accept': proof, 'sec-websocket-protocol': 'chat' });
  const typed = Buffer.concat([1, 125, 126, 127, 65_535, 65_536, 300_000].map((length) => randomBytes(length)));
  let at = 0;
  for (const length of [1, 125, 126, 127, 65_535, 65_536, 300_000]) {
    client.send(at % 2 ? Opcode.text : Opcode.binary, typed.subarray(at, at + length));
    at += length;
    client.send(Opcode.ping, `at ${at}`);
    client.send(Opcode.binary, '');
  }
  await waitFor('all of it', () => client.said.length === typed.length);
  t.ok(client.said.equals(typed));
  const pongs = client.frames.filter(({ opcode }) => opcode === Opcode.pong);
  t.same([pongs.length, pongs[0]?.payload.toString()], [7, 'at 1']);
  t.ok(
    client.frames.every(({ opcode }) => opcode !== Opcode.text),
    'data is binary',
  );
  const whole = masked(Opcode.binary, Buffer.from('in pieces'));
  for (const byte of whole) client.socket.write(Buffer.from([byte]));
  await waitFor('the pieces', () => client.said.subarray(typed.length).toString() === 'in pieces');
  client.send(Opcode.close, Buffer.from([0x03, 0xe8]));
  await waitFor('the end', () => client.isClosed);
  t.same(client.frames.at(-1), { opcode: Opcode.close, payload: Buffer.from([0x03, 0xe8]) });
  t.equal(await rig.must('docker', 'inspect', '-f', '{{.State.Running}}', 'cat'), 'true', 'the container goes on');
  const old = await open(`/v1.27/containers/cat/attach/ws?stream=1`);
  old.send(Opcode.text, 'old');
  await waitFor('it', () => old.said.toString() === 'old');
  t.same(old.frames[0]?.opcode, Opcode.text, 'old clients get text, and all streams');
  old.socket.destroy();
  await rig.must('docker', 'rm', '-f', 'cat');
});

void t.test('stdout and stderr are one, with the past before them, until the container ends', async (t) => {
  await rig.must(
    'docker',
    'run',
    '-di',
    '--name',
    'talks',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'echo out; echo err >&2; cat',
  );
  await waitFor('its words', async () => (await rig.run('docker', 'logs', 'talks')).stderr === 'err\n');
  const past = await open('/containers/talks/attach/ws?logs=1');
  await waitFor('the end', () => past.isClosed);
  t.same(past.said.toString().split('\n').sort(), ['', 'err', 'out']);
  const client = await open(`/containers/talks/attach/ws?${ALL}`);
  await rig.must('docker', 'kill', 'talks');
  await waitFor('the end', () => client.isClosed);
  t.same(
    client.frames.map(({ opcode, payload }) => [opcode, [...payload]]),
    [[Opcode.close, [0x03, 0xe8]]],
  );
  await rig.must('docker', 'rm', 'talks');
});

void t.test('who breaks the protocol is cut off, and who does not speak it is told so', async (t) => {
  await rig.must('docker', 'run', '-di', '--name', 'cat', '--network', 'none', 'busybox', 'cat');
  for (const bytes of [
    frameOf(Opcode.binary, Buffer.from('not masked')),
    masked(Opcode.ping, Buffer.alloc(126)),
    Buffer.alloc(9, 0xff),
  ]) {
    const client = await open(`/containers/cat/attach/ws?${ALL}`);
    client.socket.write(bytes);
    await waitFor('the end', () => client.isClosed);
  }
  const path = `/containers/cat/attach/ws?${ALL}`;
  t.match(await call(rig.socket, 'GET', path), { status: 400, body: /not websocket protocol/ });
  await t.rejects(open(path, { 'Sec-WebSocket-Version': '8' }), /status 400/);
  t.match(await call(rig.socket, 'GET', '/containers/none/attach/ws'), { status: 404, body: /No such container: none/ });
  await t.rejects(open('/containers/none/attach/ws'), /status 404/);
  await rig.must('docker', 'rm', '-f', 'cat');
});
