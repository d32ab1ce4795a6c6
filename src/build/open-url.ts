// A GET of what a user has named by its URL, in the words of Docker's engine, which follows redirects and takes every status below
// 400 for good. Used by ADD, by contexts and, in engine/, by `import`.

import { type Reply, Transport, discard, readRefusal } from '../image/registry/transport.js';
import { BuildError } from './build-error.js';

/** As many as Go's client follows. */
const MOST_REDIRECTS = 10;

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

async function checkStatus(url: string, reply: Reply): Promise<void> {
  if (reply.status < 400) return;
  const words = (await readRefusal(reply)).toString().trim();
  const status = ([400, 401, 403, 404] as const).find((each) => each === reply.status);
  throw new BuildError(`failed to GET ${url} with status ${reply.status} ${reply.body.statusMessage ?? ''}: ${words}`, status);
}

/** Gives `use` the answer, whose body is unread. Errors: BuildError, the signal's reason. */
export async function withUrl<T>(url: string, signal: AbortSignal, use: (reply: Reply) => Promise<T>): Promise<T> {
  const transport = new Transport(true);
  try {
    const reply = await get(transport, new URL(url), signal);
    await checkStatus(url, reply);
    return await use(reply);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof BuildError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BuildError(
      code === undefined ? message : `Get ${JSON.stringify(url)}: ${message}`,
      code === 'ENOTFOUND' ? 404 : 500,
    );
  } finally {
    transport.close();
  }
}
