// The two ways in which a request is answered: as HTTP has it, and on a bare socket when the client asked to upgrade.

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { EngineError, badParameter } from '../container/errors.js';
import { BuildError } from '../build/index.js';
import { RegistryError } from '../image/index.js';
import { NetworkError } from '../network/network-error.js';
import { acceptance } from './websocket.js';

export const API_VERSION = '1.47';

/** Both directions of a connection that is no longer HTTP. */
export interface Hijacked {
  readonly input: Readable;
  readonly output: Writable;
}

/** How long somebody who has been answered may go on sending without a pause, and altogether. */
const PAUSE_MS = 10_000;
const SENDING_MS = 300_000;

/** Reads and drops what is left of a body: who is cut off while sending does not hear why. Calls `done` at its end. */
function drain(request: IncomingMessage, done: () => void): void {
  let pause: NodeJS.Timeout | undefined;
  const wait = (): void => {
    clearTimeout(pause);
    pause = setTimeout(finish, PAUSE_MS);
  };
  const finish = (): void => {
    clearTimeout(pause);
    clearTimeout(limit);
    request.off('data', wait).off('end', finish).off('close', finish);
    done();
  };
  const limit = setTimeout(finish, SENDING_MS);
  wait();
  request.on('data', wait).on('end', finish).on('close', finish);
  request.resume();
}

/** A request's body. Errors: 400 for one that is too large, whose rest is left to the answer. */
function readAll(source: IncomingMessage, most: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    source.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= most) return void chunks.push(chunk);
      chunks.length = 0;
      reject(badParameter('http: request body too large'));
    });
    source.on('end', () => resolve(Buffer.concat(chunks)));
    source.on('error', reject);
    source.on('close', () => reject(badParameter('invalid JSON: unexpected EOF')));
  });
}

/** Status and words of an error. */
export function errorBody(error: unknown): { status: number; message: string } {
  if (error instanceof NetworkError) return { status: NETWORK_STATUS[error.kind], message: error.message };
  if (error instanceof RegistryError) return { status: REGISTRY_STATUS[error.kind], message: error.message };
  if (error instanceof EngineError || error instanceof BuildError) return { status: error.status, message: error.message };
  const name = error instanceof Error ? error.name : '';
  const message = error instanceof Error ? error.message : String(error);
  return { status: STATUS_BY_NAME[name] ?? 500, message };
}

const REGISTRY_STATUS = { denied: 404, 'not-found': 404, unauthorized: 500, unreachable: 500, broken: 500 } as const;
const NETWORK_STATUS = { 'not found': 404, conflict: 409, invalid: 400, forbidden: 403, failed: 500 } as const;

/** Errors of the parts below the engine. */
const STATUS_BY_NAME: Readonly<Record<string, number>> = {
  NoSuchImage: 404,
  InvalidReference: 400,
  ImageInUse: 409,
  ImageError: 400,
  VolumeSpecError: 400,
  VolumeTaken: 409,
  UnknownCapability: 400,
  UnknownUser: 400,
  SeccompError: 400,
  TmpfsOptionError: 400,
  ExtractError: 400,
  TarFormatError: 400,
  CompressionError: 400,
};

function headersOf(): Record<string, string> {
  return { 'Api-Version': API_VERSION, 'Docker-Experimental': 'false', Ostype: 'linux', Server: 'lamina (linux)' };
}

/** How an ordinary request is answered. */
export class ResponseEnd {
  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {}

  /** Calls `done` when the answer is complete. */
  onDone(done: () => void): void {
    this.response.on('finish', done);
  }

  body(most: number): Promise<Buffer> {
    return readAll(this.request, most);
  }

  /** Here the body is what comes in. */
  async discardBody(): Promise<void> {
    await Promise.resolve();
  }

  answer(status: number, body: unknown, headers: Readonly<Record<string, string>>): void {
    const text = body === undefined || status === 304 || status === 204 ? undefined : `${JSON.stringify(body)}\n`;
    if (status === 301) this.response.setHeader('Content-Length', '0');
    this.response.writeHead(status, {
      ...headersOf(),
      ...(text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) }),
      ...headers,
    });
    const shown = this.request.method === 'HEAD' ? undefined : text;
    const isRead = this.request.complete || this.request.readableEnded || this.request.destroyed;
    if (isRead) return void this.response.end(shown);
    // The answer is whole for the client; the connection stays until the client has sent all.
    if (shown === undefined) this.response.flushHeaders();
    else this.response.write(shown);
    drain(this.request, () => this.response.end());
  }

  stream(status: number, headers: Readonly<Record<string, string>>): Writable {
    this.response.writeHead(status, { ...headersOf(), ...headers });
    this.response.flushHeaders();
    return this.response;
  }

  hijack(type: string): Hijacked {
    return { input: this.request, output: this.stream(200, { 'Content-Type': type }) };
  }

  webSocket(): Hijacked {
    throw badParameter('not websocket protocol');
  }

  fail(error: unknown): void {
    const { status, message } = errorBody(error);
    if (!this.response.headersSent) return this.answer(status, status === 304 ? undefined : { message }, {});
    // A stream that breaks off must not look complete.
    this.response.destroy();
  }
}

/** How a request is answered whose connection may become a stream: Node has handed us the bare socket. */
export class UpgradeEnd {
  #done = false;

  constructor(
    private readonly request: IncomingMessage,
    private readonly socket: Socket,
    private head: Buffer,
  ) {}

  /** Its connection serves nobody after it. */
  onDone(): void {
    return;
  }

  /** The parser leaves the body of such a request to us. */
  async body(most: number): Promise<Buffer> {
    if (this.#isChunked) {
      for (let body = this.#takeChunks(); ; body = this.#takeChunks()) {
        if (body.length > 0) return body;
        if (this.head.length > most) throw badParameter('http: request body too large');
        await this.#more();
      }
    }
    const length = Number(this.request.headers['content-length'] ?? 0);
    if (length > most) throw badParameter('http: request body too large');
    while (this.head.length < length) await this.#more();
    const body = this.head.subarray(0, length);
    this.head = this.head.subarray(length);
    return body;
  }

  /** Does away with a body that nobody wants, before the stream begins. */
  async discardBody(most: number): Promise<void> {
    if (this.#isChunked) this.#takeChunks();
    else await this.body(most);
  }

  get #isChunked(): boolean {
    return /\bchunked\b/i.test(this.request.headers['transfer-encoding'] ?? '');
  }

  /**
   * What has come of a body in chunks. Its end may never come: docker-modem leaves it open and goes on with the bare
   * stream (in Docker's engine such bytes get lost in a buffer), so what is no chunk any more is the stream.
   */
  #takeChunks(): Buffer {
    const parts: Buffer[] = [];
    for (;;) {
      const [line = '', size = ''] = /^([0-9a-f]{1,8})\r\n/i.exec(this.head.toString('latin1', 0, 16)) ?? [];
      const end = line.length + parseInt(size, 16);
      if (line === '' || this.head.toString('latin1', end, end + 2) !== '\r\n') return Buffer.concat(parts);
      parts.push(this.head.subarray(line.length, end));
      this.head = this.head.subarray(end + 2);
      if (end === line.length) return Buffer.concat(parts);
    }
  }

  /** Waits for more to have come. */
  async #more(): Promise<void> {
    const { socket } = this;
    const chunk = await new Promise<Buffer | undefined>((resolve) => {
      const done = (found?: Buffer): void => {
        socket.off('data', done).off('end', done).off('close', done);
        resolve(found);
      };
      socket.on('data', done).on('end', done).on('close', done);
    });
    socket.pause();
    if (!chunk) throw badParameter('invalid JSON: unexpected EOF');
    this.head = Buffer.concat([this.head, chunk]);
  }

  answer(status: number, body: unknown, headers: Readonly<Record<string, string>>): void {
    if (this.#done) return void this.socket.destroy();
    const text = body === undefined ? '' : `${JSON.stringify(body)}\n`;
    this.#head(status, {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(text)),
      Connection: 'close',
      ...headers,
    });
    this.socket.end(text);
  }

  stream(status: number, headers: Readonly<Record<string, string>>): Writable {
    this.#head(status, { Connection: 'close', ...headers });
    return this.socket;
  }

  /** 101 for a client that names what it wants to change to; to others the stream is the body of a 200, and ends with the connection. */
  hijack(type: string): Hijacked {
    const isAsked = this.request.headers.upgrade !== undefined;
    return isAsked
      ? this.#switch(101, { 'Content-Type': type, Connection: 'Upgrade', Upgrade: 'tcp' })
      : this.#switch(200, { 'Content-Type': type });
  }

  /** Errors: 400 for a client that does not ask for a WebSocket. */
  webSocket(): Hijacked {
    const { upgrade = '', 'sec-websocket-key': key, 'sec-websocket-version': version } = this.request.headers;
    const { 'sec-websocket-protocol': protocol } = this.request.headers;
    if (upgrade.toLowerCase() !== 'websocket' || key === undefined || version !== '13')
      throw badParameter('not websocket protocol');
    return this.#switch(101, {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Accept': acceptance(key),
      ...(protocol === undefined || /[,\r\n]/.test(protocol) ? {} : { 'Sec-WebSocket-Protocol': protocol }),
    });
  }

  #switch(status: 101 | 200, headers: Readonly<Record<string, string>>): Hijacked {
    this.#head(status, headers);
    const { head, socket } = this;
    if (head.length > 0 && socket.readableEnded) {
      // The client has closed its side already; nothing can be put back into what has ended.
      const input = new PassThrough();
      input.end(head);
      return { input, output: socket };
    }
    if (head.length > 0) socket.unshift(head);
    return { input: socket, output: socket };
  }

  fail(error: unknown): void {
    const { status, message } = errorBody(error);
    this.answer(status, { message }, {});
  }

  #head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#done = true;
    const reason = status === 101 ? 'UPGRADED' : (STATUS_CODES[status] ?? '');
    const lines = Object.entries({ ...headersOf(), ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(`HTTP/1.1 ${status} ${reason}\r\n${lines.join('')}\r\n`);
  }
}
