// A registry made of a map of files, which misbehaves as a test wants: it breaks off, redirects, damages, and tells what it
// was asked for.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { putImage, sha256 } from './archives.js';
import type { Files, Source } from './archives.js';
import { serve } from './registry-rig.js';
import type { Test } from './registry-rig.js';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

type Answer = (request: IncomingMessage, reply: ServerResponse, blob: Buffer | undefined) => boolean;

export class FakeRegistry {
  readonly files: Files = new Map();
  readonly tags = new Map<string, string>();
  readonly asked: Asked[] = [];
  /** May answer in its place; true when it has. */
  intercept: Answer = () => false;
  host = '';

  static async start(t: Test): Promise<FakeRegistry> {
    const made = new FakeRegistry();
    made.host = await serve(t, (request, reply) => made.answer(request, reply));
    return made;
  }

  /** Puts an image under a tag; the hex digest of its manifest. */
  put(tag: string, source: Source): string {
    const { digest } = putImage(this.files, source);
    this.tags.set(tag, digest);
    return digest.slice('sha256:'.length);
  }

  /** Paths of blobs asked for, without their directory. */
  blobs(): string[] {
    return this.asked.flatMap(({ path }) => /\/blobs\/sha256:(\w+)$/.exec(path)?.[1] ?? []);
  }

  private answer(request: IncomingMessage, reply: ServerResponse): void {
    const { method = '', url: path = '', headers } = request;
    this.asked.push({ method, path, range: headers.range, authorization: headers.authorization });
    const [, kind, name = ''] = /^\/v2\/.*\/(manifests|blobs)\/(.*)$/.exec(path) ?? [];
    const digest = this.tags.get(name) ?? name;
    const data = this.files.get(`blobs/sha256/${digest.replace('sha256:', '')}`);
    if (this.intercept(request, reply, data)) return;
    if (path === '/v2/') return void reply.writeHead(200).end('{}');
    if (!data) {
      const code = kind === 'manifests' ? 'MANIFEST_UNKNOWN' : 'BLOB_UNKNOWN';
      return void reply.writeHead(404).end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replace('_', ' ') }] }));
    }
    sendBlob(request, reply, data);
  }
}

/** Answers with a blob or, when asked for one, its rest. */
export function sendBlob(request: IncomingMessage, reply: ServerResponse, data: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const rest = data.subarray(from);
  const headers = { 'Content-Length': rest.length, 'Docker-Content-Digest': `sha256:${sha256(data)}` };
  if (from === 0) reply.writeHead(200, headers);
  else reply.writeHead(206, { ...headers, 'Content-Range': `bytes ${from}-${data.length - 1}/${data.length}` });
  reply.end(rest);
}

/** Announces the whole of a blob, sends `length` bytes of it and breaks the connection. */
export function breakOff(request: IncomingMessage, reply: ServerResponse, data: Buffer, length: number): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const headers = { 'Content-Length': data.length - from };
  if (from === 0) reply.writeHead(200, headers);
  else reply.writeHead(206, { ...headers, 'Content-Range': `bytes ${from}-${data.length - 1}/${data.length}` });
  reply.write(data.subarray(from, from + length), () => reply.socket?.destroy());
}
