// ADD of a URL: the file is fetched into the build's own directory and goes into the image as it came, never unpacked. It is root's,
// 0600, with the time that the server says; its name is the URL's last or what the server says. Docker fetches it for each build:
// whether the step is cached goes by what came.

import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Reply, discard } from '../image/registry/transport.js';
import { blankHeader } from '../tar/tar-encode.js';
import { BuildError } from './build-error.js';
import type { Source } from './copy.js';
import { withUrl } from './open-url.js';
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

/** The name of a file without one, when the destination has none for it either. */
const UNNAMED = '__unnamed__';

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

async function kept(reply: Reply, url: string, destination: string, options: RemoteOptions): Promise<Source> {
  const { directory, checksum, emit, signal } = options;
  const name = Buffer.from(nameOf(new URL(url), reply) || UNNAMED).toString('latin1');
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
  try {
    return await withUrl(url, options.signal, (reply) => kept(reply, url, destination, options));
  } catch (error) {
    if (error instanceof BuildError) throw new BuildError(`ADD failed: ${error.message}`, 400);
    throw error;
  }
}
