// HTTP on a unix socket as the Docker Engine API wants it: versioned paths, JSON with `message` errors, and connections that
// stop being HTTP (hijacking), asked to or not. Knows nothing of containers. Used by daemon.ts and the endpoint files.

import { IncomingMessage, type Server, createServer } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { EngineError, badParameter } from '../container/errors.js';
import { BuildError } from '../build/index.js';
import { RegistryError } from '../image/index.js';
import { API_VERSION, errorBody, type Hijacked, ResponseEnd, UpgradeEnd } from './answer.js';
import { parseRequestPath } from './request-path.js';

export { API_VERSION, type Hijacked };

/** Bytes of a JSON body. */
const LARGEST_BODY = 4 << 20;
/** Bytes of a request's line and headers; Go's limit. */
const LARGEST_HEAD = 1 << 20;

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
    const abort = (): void => this.#abort.abort();
    const { socket } = request;
    socket.on('close', abort);
    // Many requests come on one connection.
    end.onDone(() => socket.off('close', abort));
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

  /** The JSON body of a request that must have one; `null` leaves everything as it is by default, as in Go. Errors: 400. */
  async requiredJson(): Promise<unknown> {
    const body = await this.json();
    if (body === undefined) throw badParameter('invalid JSON: got EOF while reading request body');
    return body ?? {};
  }

  answer(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.end.answer(status, body, headers);
  }

  /** Begins an answer of unknown length. */
  stream(type: string, headers: Readonly<Record<string, string>> = {}, status = 200): Writable {
    return this.end.stream(status, { 'Content-Type': type, ...headers });
  }

  /**
   * A body of any length. Whoever stops reading it leaves the connection whole: the rest is read and dropped, so that the
   * client hears why.
   */
  upload(): Readable {
    const { request } = this;
    const through = new PassThrough({ highWaterMark: 1 << 20 });
    // Whoever is to read it may not have begun when the client goes away.
    through.on('error', () => undefined);
    request.pipe(through);
    through.on('close', () => {
      request.unpipe(through);
      request.resume();
    });
    request.on('close', () => {
      if (!request.complete) through.destroy(new Error('the client went away'));
    });
    return through;
  }

  /** Leaves a body aside; before `hijack` of a request that needs none. Errors: 400. */
  discardBody(): Promise<void> {
    return this.end.discardBody(LARGEST_BODY);
  }

  /** Turns the connection into a plain one. */
  hijack(type: string): Hijacked {
    return this.end.hijack(type);
  }

  /** The same for a client that asks for a WebSocket; its frames are still in place. Errors: 400. */
  webSocket(): Hijacked {
    return this.end.webSocket();
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
    const texts = this.get(name);
    if (texts.length === 0) return undefined;
    const isTrue = texts.some((text) => /^(1|t|true)$/i.test(text));
    const isFalse = texts.some((text) => /^(0|f|false)$/i.test(text));
    if (isTrue === isFalse) throw badParameter(`invalid filter '${name}=[${texts.join(' ')}]'`);
    return isTrue;
  }

  /** Whether one of a filter's values fits, or none was given. */
  any(name: string, fits: (value: string) => boolean): boolean {
    return !this.has(name) || this.get(name).some(fits);
  }

  /** What prunes ask of labels: all of `label` hold, and not all of `label!`. */
  fitLabels(labels: Readonly<Record<string, string>>): boolean {
    return this.matchLabels('label', labels) && !(this.has('label!') && this.matchLabels('label!', labels));
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

export type Handler = (call: Call) => Promise<void> | void;

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  readonly handler: Handler;
  /** Whether its connection becomes a stream. */
  readonly isStream: boolean;
}

/** Requests that Node hands over with their connection, as it does those that ask to upgrade, when they are for a stream. */
function requestsFor(isStream: (request: IncomingMessage) => boolean): typeof IncomingMessage {
  return class extends IncomingMessage {
    declare private asksToUpgrade: boolean | null;

    /** Node asks this when it has read the head. */
    get upgrade(): boolean {
      return this.asksToUpgrade === true || isStream(this);
    }

    /** Node says so of a `Connection: Upgrade`. */
    set upgrade(asks: boolean | null) {
      this.asksToUpgrade = asks;
    }
  };
}

export class Router {
  readonly #routes: Route[] = [];

  /** `pattern` is a path in which `{}` matches a name with slashes, `*` one without. */
  on(method: string, pattern: string, handler: Handler, isStream = false): void {
    const source = pattern.replace(/[.]/g, '\\$&').replace(/\*/g, '([^/]+)').replace(/\{\}/g, '(.+?)');
    this.#routes.push({ method, pattern: new RegExp(`^${source}$`), handler, isStream });
  }

  /** The same for a handler that hijacks the connection. */
  onStream(method: string, pattern: string, handler: Handler): void {
    this.on(method, pattern, handler, true);
  }

  /** A body in chunks stays HTTP, as whoever sends it takes the connection for it. */
  #isStream({ method, url = '', headers }: IncomingMessage): boolean {
    if (headers['transfer-encoding'] !== undefined) return false;
    const path = url.replace(/^\/v[\d.]+(?=\/)|\?.*$/g, '');
    return this.#routes.some((route) => route.isStream && route.method === method && route.pattern.test(path));
  }

  /** A server that answers by these routes; the caller makes it listen. `log` hears of what nobody foresaw. */
  server(log: (message: string) => void): Server {
    const server = createServer(
      {
        keepAliveTimeout: 60_000,
        requestTimeout: 0,
        maxHeaderSize: LARGEST_HEAD,
        IncomingMessage: requestsFor((request) => this.#isStream(request)),
      },
      (request, response) => {
        void this.#handle(request, new ResponseEnd(request, response), log);
      },
    );
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      void this.#handle(request, new UpgradeEnd(request, socket, head), log);
    });
    server.maxHeadersCount = 0;
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
      socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`);
    });
    return server;
  }

  async #handle(request: IncomingMessage, end: ResponseEnd | UpgradeEnd, log: (message: string) => void): Promise<void> {
    try {
      const { path, query, version, moved } = parseRequestPath(request.url ?? '/');
      if (moved !== undefined) return end.answer(301, undefined, { Location: moved });
      // Docker says so of every path.
      if (request.method === 'OPTIONS') return end.answer(200, undefined, {});
      const method = request.method === 'HEAD' ? ['HEAD', 'GET'] : [request.method ?? 'GET'];
      for (const { method: of, pattern, handler } of this.#routes) {
        const match = method.includes(of) ? pattern.exec(path) : null;
        if (!match) continue;
        const call = new Call(request, match.slice(1).map(decode), query, version, end);
        return await handler(call);
      }
      end.answer(404, { message: 'page not found' }, {});
    } catch (error) {
      // A request that broke off has no socket any more, whatever its type says.
      const socket = request.socket as Socket | null;
      if (!socket || socket.destroyed) return;
      // A registry's refusal was told in the log where it came from.
      const foreseen = [EngineError, BuildError, RegistryError].some((kind) => error instanceof kind);
      if (errorBody(error).status === 500 && !foreseen) {
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
