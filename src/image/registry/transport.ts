// One HTTP request and its answer, body unread. Knows nothing of registries: no retries, no redirects, no authorization.
// node:http and not fetch: certificates may have to go unchecked, and a server that is silent, or as good as silent, must not
// hang a pull. Used by client.ts, authorization.ts and search.ts.

import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RegistryError } from './registry-error.js';
import { type TrustSources, trustFor } from './trust.js';

export interface Reply {
  readonly status: number;
  readonly url: URL;
  /** Must be read to its end, or given to `discard`. */
  readonly body: IncomingMessage;
  readonly patienceMs: number;
  header(name: string): string | undefined;
}

export interface Outgoing {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | (() => Readable);
  readonly signal?: AbortSignal;
}

/** A connection that is silent for this long is given up; so is one whose head takes that long after the request was sent. */
const PATIENCE_MS = 60_000;
/** Bytes of a body in that time: fewer are as good as silence. */
const MIN_PROGRESS = 4096;
/** A document (not a layer) is to be there within that many times the patience. */
const DOCUMENT_PATIENCE = 5;
/** Of a refusal only this much is looked at. */
const MAX_REFUSAL = 1 << 16;

export class Transport {
  private readonly plain = new HttpAgent({ keepAlive: true });
  private readonly tls: HttpsAgent;

  /** `verify`: whether a server must have a certificate that we trust. */
  constructor(
    private readonly verify: boolean,
    private readonly patienceMs = PATIENCE_MS,
    private readonly trust?: TrustSources,
  ) {
    this.tls = new HttpsAgent({ keepAlive: true, rejectUnauthorized: verify });
  }

  /** Rejects with the system's error when there is no answer, with the signal's reason when aborted. */
  send(url: URL, { method, headers, body, signal }: Outgoing): Promise<Reply> {
    const { patienceMs } = this;
    return new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const agent = secure ? this.tls : this.plain;
      const trust = secure ? { secureContext: trustFor(url.host, this.verify, this.trust) } : {};
      const options = { method, headers, agent, ...trust, ...(signal ? { signal } : {}) };
      const fail = (error: Error): void => reject(signal?.aborted ? (signal.reason as Error) : error);
      const request = (secure ? httpsRequest : httpRequest)(url, options, (answer) => {
        const header = (name: string): string | undefined => {
          const value = answer.headers[name];
          return Array.isArray(value) ? value.join(', ') : value;
        };
        clearTimeout(head);
        answered = answer;
        watch(answer, patienceMs);
        resolve({ status: answer.statusCode ?? 0, url, body: answer, patienceMs, header });
      });
      let head: NodeJS.Timeout | undefined;
      let answered: IncomingMessage | undefined;
      const giveUp = (): unknown => (answered ?? request).destroy(new Error(`no answer for ${patienceMs / 1000} seconds`));
      request.on('error', fail);
      request.on('finish', () => {
        if (!answered) head = setTimeout(giveUp, patienceMs);
      });
      request.on('close', () => clearTimeout(head));
      request.setTimeout(patienceMs, giveUp);
      if (typeof body === 'function') pipeline(body(), request).catch(fail);
      else request.end(body);
    });
  }

  /** Ends idle connections. */
  close(): void {
    this.plain.destroy();
    this.tls.destroy();
  }
}

/** Gives up a body that comes in drops. What waits for its reader is no fault of the server's. */
function watch(body: IncomingMessage, patienceMs: number): void {
  const { socket } = body;
  let before = socket.bytesRead;
  const timer = setInterval(() => {
    const progress = socket.bytesRead - before;
    before = socket.bytesRead;
    if (progress < MIN_PROGRESS && body.readableLength === 0 && !body.complete)
      body.destroy(new Error(`${progress} bytes in ${patienceMs / 1000} seconds`));
  }, patienceMs);
  body.once('close', () => clearInterval(timer));
}

/** Drops a body that nobody wants, keeping the connection when the rest is short. */
export function discard({ body }: Reply): void {
  const length = Number(body.headers['content-length'] ?? Infinity);
  body.on('error', () => undefined);
  if (length < 1 << 16) body.resume();
  else body.destroy();
}

/** Calls `stop` when the body is not there in time; the function ends the watch. */
function within({ patienceMs }: Reply, stop: (seconds: number) => void): () => void {
  const timer = setTimeout(() => stop((patienceMs * DOCUMENT_PATIENCE) / 1000), patienceMs * DOCUMENT_PATIENCE);
  return () => clearTimeout(timer);
}

/** The whole body. Errors: RegistryError beyond `limit` bytes or when it takes too long, those of the connection. */
export async function readBody(reply: Reply, limit: number): Promise<Buffer> {
  const { body, url } = reply;
  const parts: Buffer[] = [];
  let length = 0;
  const done = within(reply, (seconds) =>
    body.destroy(
      new RegistryError('unreachable', `${url.href}: the answer is not there after ${seconds} seconds; try again later`),
    ),
  );
  try {
    for await (const part of body as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > limit) throw new RegistryError('broken', `${url.href}: the answer is larger than ${limit} bytes`);
      parts.push(part);
    }
  } finally {
    done();
  }
  return Buffer.concat(parts);
}

/** What a refusal says, as far as it comes: its status is what counts, so this never fails. */
export async function readRefusal(reply: Reply): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  const done = within(reply, () => reply.body.destroy());
  try {
    for await (const part of reply.body as AsyncIterable<Buffer>) {
      parts.push(part);
      if ((length += part.length) > MAX_REFUSAL) break;
    }
  } catch {
    // Broken off: the status is known.
  } finally {
    done();
  }
  return Buffer.concat(parts);
}
