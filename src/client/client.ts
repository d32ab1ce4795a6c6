// The Docker Engine API as a client sees it: JSON calls, streams of JSON lines, archives, and connections that are taken over.

import { type IncomingMessage, type OutgoingHttpHeaders, type RequestOptions, request } from 'node:http';
import { type Socket, connect } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** The engine refused; its words. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Work that the engine had begun and told of failed; its words. */
export class StreamError extends Error {
  override readonly name = 'StreamError';

  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly upload?: Readable;
  readonly headers?: Readonly<Record<string, string>>;
  /** Gives up waiting for the answer. */
  readonly signal?: AbortSignal;
}

/** What it speaks. */
export const API_VERSION = '1.47';
const PREFIX = `/v${API_VERSION}`;

function search(query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === false || value === '') continue;
    if (typeof value === 'object') for (const each of value) params.append(name, each);
    else params.append(name, value === true ? '1' : String(value));
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

async function textOf(response: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

async function refuse(response: IncomingMessage): Promise<never> {
  const text = await textOf(response);
  let message = text.trim();
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? message;
  } catch {
    // Not JSON: the text itself.
  }
  throw new ApiError(response.statusCode ?? 500, message);
}

/** A line of a stream as the engine sends them. */
export interface StreamMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string; readonly code?: number };
  readonly aux?: unknown;
}

export class Client {
  constructor(private readonly socketPath: string) {}

  /** The answer, whose body is still to be read. Errors: ApiError. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(this.#request(method, path, options), resolve);
      sent.on('error', reject);
      if (options.upload) pipeline(options.upload, sent).catch(reject);
      else sent.end(options.body === undefined ? undefined : JSON.stringify(options.body));
    });
    const status = response.statusCode ?? 500;
    if (status >= 400) return refuse(response);
    return response;
  }

  /** Errors: ApiError. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const text = await textOf(await this.call(method, path, options));
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Errors: ApiError, also for an error in the stream. */
  async *lines(method: string, path: string, options: CallOptions = {}): AsyncGenerator<StreamMessage> {
    let rest = '';
    for await (const chunk of await this.call(method, path, options)) {
      rest += (chunk as Buffer).toString();
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        const line = rest.slice(0, end).trim();
        rest = rest.slice(end + 1);
        if (line === '') continue;
        const message = JSON.parse(line) as StreamMessage;
        if (message.error !== undefined) throw new StreamError(message.error, message.errorDetail?.code ?? 1);
        yield message;
      }
    }
  }

  /** Takes the connection over. Errors: ApiError. */
  async hijack(path: string, options: CallOptions = {}): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const plain = this.#request('POST', path, options);
      const sent = request({
        ...plain,
        headers: { ...(plain.headers as OutgoingHttpHeaders), Connection: 'Upgrade', Upgrade: 'tcp' },
      });
      sent.on('upgrade', (_, socket: Socket, head: Buffer) => {
        // The other direction stays open when stdin has ended.
        socket.allowHalfOpen = true;
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      sent.on('response', (response) => void refuse(response).catch(reject));
      sent.on('error', reject);
      sent.end(options.body === undefined ? undefined : JSON.stringify(options.body));
    });
  }

  #request(method: string, path: string, { query, body, upload, headers, signal }: CallOptions): RequestOptions {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return {
      // A connection of its own: Node's pool of them would first work out the server's name, 3 ms long.
      createConnection: () => connect(this.socketPath),
      ...(signal ? { signal } : {}),
      method,
      path: `${PREFIX}${path}${search(query)}`,
      headers: {
        Host: 'lamina',
        ...(text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) }),
        ...(upload ? { 'Content-Type': 'application/x-tar' } : {}),
        ...headers,
      },
    };
  }
}
