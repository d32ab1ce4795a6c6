// ADD of a URL: the file is fetched into the build's own directory and goes into the image as it came, never unpacked. It is root's,
// 0600, with the time that the server says; its name is the URL's last or what the server says. Docker fetches it for each build:
// whether the step is cached goes by what came.

import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Reply, Transport, discard, readRefusal } from '../image/registry/transport.js';
import { blankHeader } from '../tar/tar-encode.js';
import { BuildError } from './build-error.js';
import type { Source } from './copy.js';
import type { Emit } from './request.js';
import { type TarItem } from './tar-items.js';

export interface RemoteOptions {
  /** Where the file is put. */
  readonly directory: string;
  /** `sha256:HEX` of what must come. */
  readonly checksum: string | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** As many as Go's client follows. */
const MOST_REDIRECTS = 10;
/** The name of a file without one, when the destination has none for it either. */
const UNNAMED = '__unnamed__';

export const isUrl = (text: string): boolean => /^https?:\/\//.test(text);

async function get(transport: Transport, url: URL, signal: AbortSignal): Promise<Reply> {
  let at = url;
  for (let count = 0; count <= MOST_REDIRECTS; count++) {
    const reply = await transport.send(at, { method: 'GET', signal });
    const location = [301, 302, 303, 307, 308].includes(reply.status) ? reply.header('location') : undefined;
    if (location === undefined) return reply;
    discard(reply);
    at = new URL(location, at);
    if (!isUrl(at.href)) throw new Error(`unsupported protocol scheme ${JSON.stringify(at.protocol.slice(0, -1))}`);
  }
  throw new Error(`stopped after ${MOST_REDIRECTS} redirects`);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** '' when neither the URL nor the server gives one. */
function nameOf(url: URL, reply: Reply): string {
  const told = /;\s*filename="?([^";]+)"?/i.exec(reply.header('content-disposition') ?? '')?.[1] ?? '';
  const [name = ''] = [decoded(url.pathname), told].map((path) => path.slice(path.lastIndexOf('/') + 1)).filter(Boolean);
  return name === '.' || name === '..' ? '' : name;
}

async function checkStatus(url: string, reply: Reply): Promise<void> {
  if (reply.status < 400) return;
  const words = (await readRefusal(reply)).toString().trim();
  throw new Error(`failed to GET ${url} with status ${reply.status} ${reply.body.statusMessage ?? ''}: ${words}`);
}

/** Keeps the body in a file. */
async function keep({ body }: Reply, path: string, signal: AbortSignal): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  const counted = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  await pipeline(body, counted, createWriteStream(path, { mode: 0o600, flags: 'wx' }), { signal });
  return { digest: hash.digest('hex'), size };
}

async function fetched(url: string, destination: string, options: RemoteOptions, transport: Transport): Promise<Source> {
  const { directory, checksum, emit, signal } = options;
  const place = new URL(url);
  const reply = await get(transport, place, signal);
  await checkStatus(url, reply);
  const name = Buffer.from(nameOf(place, reply) || UNNAMED).toString('latin1');
  if (name === UNNAMED && destination.endsWith('/')) {
    discard(reply);
    throw new Error(`cannot determine filename for source ${url}`);
  }
  const path = join(directory, `fetched-${randomUUID()}`);
  const { digest, size } = await keep(reply, path, signal);
  if (checksum !== undefined && checksum !== `sha256:${digest}`) throw new Error(`digest mismatch sha256:${digest}: ${checksum}`);
  emit({ status: 'Downloading', progressDetail: { current: size, total: size } });
  emit({ stream: '\n' });
  const mtime = BigInt(Date.parse(reply.header('last-modified') ?? '') || 0) * 1_000_000n;
  const items = async function* (as: string): AsyncGenerator<TarItem> {
    yield { ...blankHeader(as, '0'), mode: 0o600, size, mtime };
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) yield chunk as Buffer;
  };
  const named = createHash('sha256').update(`${name}\n${digest}`, 'latin1').digest('hex');
  return { name, isDirectory: false, asItIs: true, digest: `file:${named}`, items };
}

/** Fetches what `url` names, to be copied to `destination`. Errors: BuildError, the signal's reason. */
export async function fetchSource(url: string, destination: string, options: RemoteOptions): Promise<Source> {
  const transport = new Transport(true);
  try {
    return await fetched(url, destination, options, transport);
  } catch (error) {
    options.signal.throwIfAborted();
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BuildError(`ADD failed: ${code === undefined ? message : `Get ${JSON.stringify(url)}: ${message}`}`, 400);
  } finally {
    transport.close();
  }
}
