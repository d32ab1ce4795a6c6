// One HTTP request and its answer, body unread. Knows nothing of registries: no retries, no redirects, no authorization.
// node:http and not fetch: certificates may have to go unchecked, and a silent server must not hang a pull. Used by client.ts.

import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RegistryError } from './registry-error.js';

export interface Reply {
  readonly status: number;
  readonly url: URL;
  /** Must be read to its end, or given to `discard`. */
  readonly body: IncomingMessage;
  header(name: string): string | undefined;
}

export interface Outgoing {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | (() => Readable);
  readonly signal?: AbortSignal;
}

/** A silent connection is given up after this. */
const SILENCE_MS = 60_000;

export class Transport {
  private readonly plain = new HttpAgent({ keepAlive: true });
  private readonly tls: HttpsAgent;

  /** `verify`: whether a server must have a certificate that we trust. */
  constructor(verify: boolean) {
    this.tls = new HttpsAgent({ keepAlive: true, rejectUnauthorized: verify });
  }

  /** Rejects with the system's error when there is no answer, with the signal's reason when aborted. */
  send(url: URL, { method, headers, body, signal }: Outgoing): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const options = { method, headers, agent: secure ? this.tls : this.plain, ...(signal ? { signal } : {}) };
      const fail = (error: Error): void => reject(signal?.aborted ? (signal.reason as Error) : error);
      const request = (secure ? httpsRequest : httpRequest)(url, options, (answer) => {
        const header = (name: string): string | undefined => {
          const value = answer.headers[name];
          return Array.isArray(value) ? value.join(', ') : value;
        };
        resolve({ status: answer.statusCode ?? 0, url, body: answer, header });
      });
      request.on('error', fail);
      request.setTimeout(SILENCE_MS, () => request.destroy(new Error(`no answer for ${SILENCE_MS / 1000} seconds`)));
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

/** Drops a body that nobody wants, keeping the connection when the rest is short. */
export function discard({ body }: Reply): void {
  const length = Number(body.headers['content-length'] ?? Infinity);
  body.on('error', () => undefined);
  if (length < 1 << 16) body.resume();
  else body.destroy();
}

/** The whole body. Errors: RegistryError beyond `limit` bytes, those of the connection. */
export async function readBody(reply: Reply, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of reply.body as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > limit) throw new RegistryError('broken', `${reply.url.href}: the answer is larger than ${limit} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
