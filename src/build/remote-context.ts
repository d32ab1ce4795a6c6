// The context of a build: what the client sends, or what a URL names, which is a git repository, an archive or a Dockerfile alone.
// Used by builder.ts.

import { Readable } from 'node:stream';
import type { Reply } from '../image/registry/transport.js';
import { BuildError } from './build-error.js';
import { ContextTree } from './context-tree.js';
import { gitContext, isGitUrl } from './git-context.js';
import { isUrl, withUrl } from './open-url.js';
import type { BuildRequest } from './request.js';
import { withBeginning } from './tar-items.js';

export const LARGEST_DOCKERFILE = 8 << 20;
/** Bytes that tell a text from an archive, where the server does not. */
const BEGINNING = 512;

/** The files, or a Dockerfile without any. Owns: whoever receives a tree closes it. */
export type ReceivedContext = ContextTree | Buffer;

/** Whether no byte of it is one that only binary files have. */
const isText = (beginning: Buffer): boolean => !/[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(beginning.toString('latin1'));

async function whole(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > LARGEST_DOCKERFILE) throw new BuildError('unexpected error reading Dockerfile: it is larger than 8 MiB', 400);
  }
  return Buffer.concat(parts);
}

async function* after(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* { [Symbol.asyncIterator]: () => rest };
}

/** By the type that the server tells, unless that may be anything. Errors: BuildError. */
function isDockerfile(url: string, type: string, beginning: Buffer): boolean {
  if (type === '' || type === 'application/octet-stream') return isText(beginning);
  if (type.includes('text/plain')) return true;
  if (/application\/(?:(?:x-)?(?:tar|gzip|bzip2?|xz)|octet-stream)/.test(type)) return false;
  throw new BuildError(`error detecting content type for remote ${url}: unsupported Content-Type ${JSON.stringify(type)}`);
}

/** A text is a Dockerfile, everything else an archive. Errors: BuildError, the signal's reason. */
async function fromUrl(url: string, directory: string, signal: AbortSignal): Promise<ReceivedContext> {
  const server = { hasAnswered: false };
  const receive = async (reply: Reply): Promise<ReceivedContext> => {
    server.hasAnswered = true;
    const chunks = withBeginning(reply.body as AsyncIterable<Buffer>, BEGINNING);
    const first = await chunks.next();
    const type = reply.header('content-type') ?? '';
    if (first.done) throw new BuildError(`error detecting content type for remote ${url}: empty response`);
    const content = after(first.value, chunks);
    if (isDockerfile(url, type, first.value.subarray(0, BEGINNING))) return whole(content);
    return ContextTree.receive(Readable.from(content, { objectMode: false }), directory, signal);
  };
  try {
    return await withUrl(url, signal, receive);
  } catch (error) {
    if (server.hasAnswered || !(error instanceof BuildError)) throw error;
    throw new BuildError(`error downloading remote context ${url}: ${error.message}`, error.status);
  }
}

/** Errors: BuildError, the signal's reason. */
export async function receiveContext(request: BuildRequest, signal: AbortSignal): Promise<ReceivedContext> {
  const { context, directory } = request;
  if (typeof context !== 'string') return ContextTree.receive(context, directory, signal);
  if (isGitUrl(context)) {
    const archive = Readable.from(gitContext(context, directory, signal), { objectMode: false });
    return ContextTree.receive(archive, directory, signal);
  }
  if (!isUrl(context)) throw new BuildError(`remoteURL (${context}) could not be recognized as URL`);
  return fromUrl(context, directory, signal);
}
