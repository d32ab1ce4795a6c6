// With TLS or without: a server is asked with it and, where that fails and may be, without. Used by client.ts and search.ts.

import { unreachable } from './registry-error.js';

const LOOPBACK = /^(localhost|127(\.\d+){3})(:\d+)?$/;

/** Whether plain HTTP and unknown certificates are allowed for `host` (host[:port]): on the loopback, and where it is said to be. */
export function allowsPlain(host: string, insecure: readonly string[] = []): boolean {
  return LOOPBACK.test(host) || insecure.includes(host);
}

/** What `ask` has from `url` (https), or from its twin without TLS where that is allowed. Errors: RegistryError, the signal's reason. */
export async function tlsFirst<T>(
  url: URL,
  { plain, signal }: { readonly plain: boolean; readonly signal?: AbortSignal },
  ask: (url: URL) => Promise<T>,
): Promise<T> {
  const asked = (at: URL): Promise<T> =>
    ask(at).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw unreachable('GET', at, error);
    });
  if (!plain) return asked(url);
  return asked(url).catch(() => {
    signal?.throwIfAborted();
    return asked(new URL(url.href.replace(/^https/, 'http')));
  });
}
