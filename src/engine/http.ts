// HTTP on a unix socket as the Docker Engine API wants it: versioned paths, JSON with `message` errors, and connections that
// stop being HTTP (hijacking). Knows nothing of containers. Used by daemon.ts and the endpoint files.

import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES, createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { EngineError, badParameter } from '../container/errors.js';
import { RegistryError } from '../image/index.js';
import { NetworkError } from '../network/network-error.js';

export const API_VERSION = '1.47';
const OLDEST_API_VERSION = '1.24';
/** Bytes of a JSON body. */
const LARGEST_BODY = 4 << 20;

/** Both directions of a connection that is no longer HTTP. */
export interface Hijacked {
  readonly input: Readable;
  readonly output: Writable;
}

/** One request. */
export class Call {
  readonly #abort = new AbortController();

  constructor(
    readonly request: IncomingMessage,
    readonly params: readonly string[],
    readonly query: URLSearchParams,
    /** `[1, 47]`. */
    readonly version: readonly [major: number, minor: number],
    private readonly end: ResponseEnd | UpgradeEnd,
  ) {
    request.socket.on('close', () => this.#abort.abort());
  }

  /** Aborts when the client has gone. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The part of the path that a pattern's group matched. */
  param(index = 0): string {
    return this.params[index] ?? '';
  }

  /** Docker's booleans: everything but nothing, 0, no, none and false. */
  flag(name: string): boolean {
    const text = (this.query.get(name) ?? '').trim().toLowerCase();
    return !['', '0', 'no', 'false', 'none'].includes(text);
  }

  /** Errors: 400 for what is no integer. */
  integer(name: string): number | undefined {
    const text = this.query.get(name);
    if (text === null || text === '') return undefined;
    if (!/^-?\d+$/.test(text)) throw badParameter(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
    return Number(text);
  }

  /** `filters`, in both forms that clients send: {"a":["b"]} and {"a":{"b":true}}. Errors: 400. */
  filters(): Filters {
    const text = this.query.get('filters');
    if (text === null || text === '') return new Filters(new Map());
    const parsed = parseJson(text);
    const invalid = (): Error => badParameter(`invalid filter: ${text}`);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw invalid();
    const entries = Object.entries(parsed as Readonly<Record<string, unknown>>).map(([key, value]) => {
      if (typeof value !== 'object' || value === null) throw invalid();
      const values = Array.isArray(value)
        ? value.map(String)
        : Object.entries(value as Readonly<Record<string, unknown>>).flatMap(([key, on]) => (on ? [key] : []));
      return [key, values] as const;
    });
    return new Filters(new Map(entries));
  }

  /** The JSON body; undefined when there is none. Errors: 400. */
  async json(): Promise<unknown> {
    const body = await this.end.body(LARGEST_BODY);
    if (body.length === 0) return undefined;
    const type = this.request.headers['content-type'];
    if (type !== undefined && !/^application\/(.*\+)?json\b/.test(type)) {
      throw badParameter(`unsupported Content-Type header (${type}): must be 'application/json'`);
    }
    return parseJson(body.toString());
  }

  answer(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.end.answer(status, body, headers);
  }

  /** Begins an answer of unknown length. */
  stream(type: string, headers: Readonly<Record<string, string>> = {}, status = 200): Writable {
    return this.end.stream(status, { 'Content-Type': type, ...headers });
  }

  /** Turns the connection into a plain one. */
  hijack(type: string): Hijacked {
    return this.end.hijack(type);
  }

  /** Reports an error, if there still is a way to. */
  fail(error: unknown): void {
    this.end.fail(error);
  }
}

export class Filters {
  constructor(private readonly values: ReadonlyMap<string, readonly string[]>) {}

  get(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  /** Errors: 400 for a filter that is none of `known`. */
  check(known: readonly string[]): void {
    for (const name of this.values.keys()) if (!known.includes(name)) throw badParameter(`invalid filter '${name}'`);
  }

  /** A filter that is true or false. Errors: 400. */
  boolean(name: string): boolean | undefined {
    const [text] = this.get(name);
    if (text === undefined) return undefined;
    if (/^(1|t|true)$/i.test(text)) return true;
    if (/^(0|f|false)$/i.test(text)) return false;
    throw badParameter(`invalid filter '${name}=[${text}]'`);
  }

  /** `label=k`, `label=k=v`; all must hold. */
  matchLabels(name: string, labels: Readonly<Record<string, string>>): boolean {
    return this.get(name).every((text) => {
      const [key = '', ...value] = text.split('=');
      return Object.hasOwn(labels, key) && (!text.includes('=') || labels[key] === value.join('='));
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw badParameter(`invalid JSON: ${(error as Error).message}`);
  }
}

async function readAll(source: AsyncIterable<Buffer>, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    length += chunk.length;
    if (length > most) throw badParameter('http: request body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function errorBody(error: unknown): { status: number; message: string } {
  if (error instanceof NetworkError) return { status: NETWORK_STATUS[error.kind], message: error.message };
  if (error instanceof RegistryError) return { status: REGISTRY_STATUS[error.kind], message: error.message };
  if (error instanceof EngineError) return { status: error.status, message: error.message };
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
class ResponseEnd {
  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {}

  body(most: number): Promise<Buffer> {
    return readAll(this.request as AsyncIterable<Buffer>, most);
  }

  answer(status: number, body: unknown, headers: Readonly<Record<string, string>>): void {
    const text = body === undefined || status === 304 || status === 204 ? undefined : `${JSON.stringify(body)}\n`;
    this.response.writeHead(status, {
      ...headersOf(),
      ...(text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) }),
      ...headers,
    });
    this.response.end(this.request.method === 'HEAD' ? undefined : text);
    this.request.resume();
  }

  stream(status: number, headers: Readonly<Record<string, string>>): Writable {
    this.response.writeHead(status, { ...headersOf(), ...headers });
    this.response.flushHeaders();
    return this.response;
  }

  hijack(type: string): Hijacked {
    return { input: this.request, output: this.stream(200, { 'Content-Type': type }) };
  }

  fail(error: unknown): void {
    const { status, message } = errorBody(error);
    if (!this.response.headersSent) return this.answer(status, status === 304 ? undefined : { message }, {});
    // A stream that breaks off must not look complete.
    this.response.destroy();
  }
}

/** How a request with `Upgrade` is answered: Node has handed us the bare socket. */
class UpgradeEnd {
  #done = false;

  constructor(
    private readonly request: IncomingMessage,
    private readonly socket: Socket,
    private head: Buffer,
  ) {}

  /** The parser leaves the body of such a request to us. */
  async body(most: number): Promise<Buffer> {
    const length = Number(this.request.headers['content-length'] ?? 0);
    if (length > most) throw badParameter('http: request body too large');
    while (this.head.length < length) {
      const chunk = await new Promise<Buffer | undefined>((resolve) => {
        this.socket.once('data', resolve);
        this.socket.once('end', () => resolve(undefined));
        this.socket.once('close', () => resolve(undefined));
      });
      if (!chunk) throw badParameter('invalid JSON: unexpected EOF');
      this.socket.removeAllListeners('end');
      this.head = Buffer.concat([this.head, chunk]);
    }
    this.socket.pause();
    const body = this.head.subarray(0, length);
    this.head = this.head.subarray(length);
    return body;
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

  hijack(type: string): Hijacked {
    this.#head(101, { 'Content-Type': type, Connection: 'Upgrade', Upgrade: 'tcp' });
    if (this.head.length > 0) this.socket.unshift(this.head);
    return { input: this.socket, output: this.socket };
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

export type Handler = (call: Call) => Promise<void> | void;

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  readonly handler: Handler;
}

function parseVersion(text: string): [number, number] {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return [major, minor];
}

export class Router {
  readonly #routes: Route[] = [];

  /** `pattern` is a path in which `{}` matches a name with slashes, `*` one without. */
  on(method: string, pattern: string, handler: Handler): void {
    const source = pattern.replace(/[.]/g, '\\$&').replace(/\*/g, '([^/]+)').replace(/\{\}/g, '(.+?)');
    this.#routes.push({ method, pattern: new RegExp(`^${source}$`), handler });
  }

  /** A server that answers by these routes; the caller makes it listen. `log` hears of what nobody foresaw. */
  server(log: (message: string) => void): Server {
    const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
      void this.#handle(request, new ResponseEnd(request, response), log);
    });
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      void this.#handle(request, new UpgradeEnd(request, socket, head), log);
    });
    server.on('clientError', (_, socket) => void socket.destroy());
    return server;
  }

  async #handle(request: IncomingMessage, end: ResponseEnd | UpgradeEnd, log: (message: string) => void): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'http://lamina');
      const [, prefix, rest = url.pathname] = /^\/v(\d+\.\d+)(\/.*)$/.exec(url.pathname) ?? [];
      const version = parseVersion(prefix ?? API_VERSION);
      checkVersion(prefix, version);
      const method = request.method === 'HEAD' ? ['HEAD', 'GET'] : [request.method ?? 'GET'];
      for (const { method: of, pattern, handler } of this.#routes) {
        const match = method.includes(of) ? pattern.exec(rest) : null;
        if (!match) continue;
        const call = new Call(request, match.slice(1).map(decode), url.searchParams, version, end);
        return await handler(call);
      }
      end.answer(404, { message: 'page not found' }, {});
    } catch (error) {
      if (request.socket.destroyed) return;
      if (errorBody(error).status === 500 && !(error instanceof EngineError)) {
        log(
          `${request.method ?? ''} ${request.url ?? ''}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
      end.fail(error);
    }
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badParameter(`invalid URL escape ${JSON.stringify(text)}`);
  }
}

function checkVersion(prefix: string | undefined, [major, minor]: readonly [number, number]): void {
  if (prefix === undefined) return;
  const [newestMajor, newest] = parseVersion(API_VERSION);
  const [, oldest] = parseVersion(OLDEST_API_VERSION);
  if (major !== newestMajor || minor > newest) {
    throw badParameter(`client version ${prefix} is too new. Maximum supported API version is ${API_VERSION}`);
  }
  if (minor < oldest) {
    throw badParameter(
      `client version ${prefix} is too old. Minimum supported API version is ${OLDEST_API_VERSION}, please upgrade your client to a newer version`,
    );
  }
}
