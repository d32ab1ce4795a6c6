// An engine that only writes down what it is asked: the same answers to lamina's command line and to Docker's, so that
// what they send can be compared. Used by the tests of src/cli.

import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type Done, command } from '../support/command.js';
import { checkout } from '../support/paths.js';

export interface Asked {
  readonly method: string;
  /** Without the version. */
  readonly path: string;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** What is answered: a status, and JSON or text. */
export interface Answer {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly type?: string;
}

export type Answers = Readonly<Record<string, Answer | ((asked: Asked) => Answer)>>;

const JSON_FIELDS = ['filters'];

/** Nothing said, whichever way: null, '', 0, false, [], {}. */
export function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((each) => withoutEmpty(each) ?? null);
  if (typeof value === 'object' && value !== null) {
    const kept = Object.entries(value)
      .map(([key, each]) => [key, withoutEmpty(each)] as const)
      .filter(([, each]) => each !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return kept.length === 0 ? undefined : Object.fromEntries(kept);
  }
  return value === null || value === '' || value === 0 || value === false ? undefined : value;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('latin1');
  if (text === '') return undefined;
  return /json/.test(request.headers['content-type'] ?? '')
    ? (JSON.parse(Buffer.from(text, 'latin1').toString()) as unknown)
    : text;
}

function queryOf(search: URLSearchParams): Record<string, unknown> {
  const query: Record<string, unknown> = {};
  for (const [key, value] of search) {
    const known = query[key];
    const plain = JSON_FIELDS.includes(key) && value.startsWith('{') ? sets(JSON.parse(value) as object) : value;
    query[key] = known === undefined ? plain : [known, plain].flat();
  }
  return query;
}

/** Filters are sets: `{"a":{"x":true}}` and `{"a":["x"]}` are the same. */
function sets(filters: object): object {
  return Object.fromEntries(
    Object.entries(filters).map(([key, values]) => [
      key,
      (Array.isArray(values) ? values : Object.keys(values as object)).sort(),
    ]),
  );
}

export class FakeEngine {
  readonly asked: Asked[] = [];
  /** `METHOD /path` to what is answered; else 404. */
  answers: Answers = {};
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(readonly socket: string) {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('connection', (connection: Socket) => {
      this.#sockets.add(connection);
      connection.on('close', () => this.#sockets.delete(connection)).on('error', () => undefined);
    });
    this.#server.on('upgrade', (request: IncomingMessage, connection: Socket, head: Buffer) =>
      this.#upgrade(request, connection, head),
    );
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.socket, resolve));
  }

  close(): void {
    for (const connection of this.#sockets) connection.destroy();
    this.#server.close();
  }

  /** What a taken-over connection does; its output ends with `connection.end()`. */
  onUpgrade: (asked: Asked, connection: Socket) => void = (_, connection) => void connection.end();

  /** Runs a client against this engine; gives what it asked for. */
  async run(
    client: 'docker' | 'lamina',
    args: readonly string[],
    options: { env?: Record<string, string>; cwd?: string } = {},
  ): Promise<Done & { asked: Asked[] }> {
    this.asked.length = 0;
    const program = client === 'docker' ? 'docker' : join(checkout, 'bin', 'lamina');
    const env = {
      LAMINA_SOCKET: this.socket,
      DOCKER_HOST: `unix://${this.socket}`,
      DOCKER_CONFIG: `${this.socket}.docker`,
      TZ: 'UTC',
      ...options.env,
    };
    const done = await command([program, ...args], {
      env,
      limitMs: 20_000,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    return { ...done, asked: this.asked.filter(({ path }) => path !== '/_ping') };
  }

  #note(request: IncomingMessage, body: unknown): Asked {
    const url = new URL(request.url ?? '/', 'http://engine');
    const path = decodeURIComponent(url.pathname).replace(/^\/v1\.\d+/, '');
    const asked = { method: request.method ?? '', path, query: queryOf(url.searchParams), body };
    this.asked.push(asked);
    return asked;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = this.#note(request, await bodyOf(request));
    response.setHeader('Api-Version', '1.47');
    response.setHeader('Ostype', 'linux');
    const known = asked.path === '/_ping' ? { text: 'OK' } : this.answers[`${asked.method} ${asked.path}`];
    const missing: Answer = { status: 404, json: { message: `page not found: ${asked.method} ${asked.path}` } };
    const answer = (typeof known === 'function' ? known(asked) : known) ?? missing;
    response.statusCode = answer.status ?? 200;
    response.setHeader('Content-Type', answer.type ?? (answer.json === undefined ? 'text/plain' : 'application/json'));
    response.end(answer.json === undefined ? answer.text : JSON.stringify(answer.json));
  }

  #upgrade(request: IncomingMessage, connection: Socket, head: Buffer): void {
    const chunks = [head];
    const length = Number(request.headers['content-length'] ?? 0);
    const begin = (): void => {
      const text = Buffer.concat(chunks).toString();
      const asked = this.#note(request, text === '' ? undefined : (JSON.parse(text) as unknown));
      connection.write(
        'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
      );
      this.onUpgrade(asked, connection);
    };
    if (head.length >= length) return begin();
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).length < length) return;
      connection.off('data', take);
      begin();
    };
    connection.on('data', take);
  }
}

/** A frame of a multiplexed stream: 1 is stdout, 2 is stderr. */
export function frame(kind: 1 | 2, text: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = kind;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}
