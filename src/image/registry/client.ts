// A repository of a registry, over HTTP: finds out whether to speak TLS, answers challenges, follows redirects without
// giving our secrets to others, tries again what may succeed later. Used by all who ask a registry.

import { setTimeout as wait } from 'node:timers/promises';
import { Authorization } from './authorization.js';
import type { Credentials } from './credentials.js';
import { RegistryError, unreachable } from './registry-error.js';
import { allowsPlain, tlsFirst } from './tls-first.js';
import { discard, readBody, readRefusal, Transport } from './transport.js';
import type { Outgoing, Reply } from './transport.js';

export interface ClientOptions {
  readonly credentials?: Credentials;
  /** Registries (host[:port]) to which plain HTTP and unknown certificates are allowed; the loopback always is. */
  readonly insecure?: readonly string[];
  readonly signal?: AbortSignal;
  /** Before the first retry, in milliseconds; doubles with each. */
  readonly backoffMs?: number;
  /** How long a registry may be silent, in milliseconds; a minute by default. */
  readonly patienceMs?: number;
}

/** An answer with its body, which was small. */
export interface Answer {
  readonly status: number;
  readonly url: URL;
  readonly data: Buffer;
}

export const RETRIES = 5;
const MAX_REDIRECTS = 5;
const TEMPORARY = new Set([408, 429, 500, 502, 503, 504]);

/** An error of the connection, which may not come again; not a wrong certificate, not a name that does not exist. */
function isTemporary(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return !/^(ENOTFOUND|ECONNREFUSED|EPROTO|ERR_TLS.*|CERT_.*|.*CERT.*|DEPTH_ZERO.*|ERR_INVALID.*|ABORT_ERR)$/.test(code);
}

export class RegistryClient {
  private readonly transport: Transport;
  private authorization: Authorization;
  private readonly allowsPlain: boolean;
  private base: URL;

  /** `repository` is canonical; `actions` as the token server wants them: `pull` or `pull,push`, '' to be known and no more. */
  constructor(
    private readonly repository: string,
    private readonly actions: string,
    private readonly options: ClientOptions,
  ) {
    const slash = repository.indexOf('/');
    const domain = repository.slice(0, slash);
    const path = repository.slice(slash + 1);
    this.allowsPlain = allowsPlain(domain, options.insecure);
    this.transport = new Transport(!this.allowsPlain, options.patienceMs);
    this.base = new URL(`https://${domain === 'docker.io' ? 'registry-1.docker.io' : domain}/v2/${path}/`);
    this.authorization = new Authorization(
      this.transport,
      options.credentials,
      actions === '' ? '' : `repository:${path}:${actions}`,
      options.signal,
    );
  }

  /** Finds the registry: with TLS, else (where allowed) without. To be called first. Errors: RegistryError. */
  async open(): Promise<void> {
    const { signal } = this.options;
    const ask = async (url: URL): Promise<URL> => {
      const reply = await this.persist(
        () => this.transport.send(url, { method: 'GET', signal }),
        (answer) => Promise.resolve(answer),
      );
      discard(reply);
      if (reply.status !== 200 && reply.status !== 401)
        throw new RegistryError('broken', `${url.href}: status ${reply.status}: this is no registry of version 2`);
      if (reply.status === 401) this.authorization.learn(reply);
      return new URL(this.base.pathname, url);
    };
    this.base = await tlsFirst(new URL('/v2/', this.base), { plain: this.allowsPlain, signal }, ask);
  }

  /** The same repository, found already, over connections of its own: for work that ends with `signal` and not with ours. */
  fork(signal: AbortSignal): RegistryClient {
    const other = new RegistryClient(this.repository, this.actions, { ...this.options, signal });
    other.base = this.base;
    other.authorization = this.authorization.fork(other.transport, signal);
    return other;
  }

  close(): void {
    this.transport.close();
  }

  url(path: string): URL {
    return new URL(path, this.base);
  }

  /**
   * Sends a request below the repository, or to a place that the registry named. Answers whatever status comes, after
   * challenges, redirects (GET and HEAD) and retries. Errors: RegistryError, the signal's reason.
   */
  request(to: string | URL, outgoing: Outgoing): Promise<Reply> {
    return this.reach(to, outgoing, (reply) => Promise.resolve(reply));
  }

  /** The same, with a body of at most `limit` bytes read; a connection that breaks meanwhile is a reason to try again. */
  document(to: string | URL, outgoing: Outgoing, limit: number): Promise<Answer> {
    return this.reach(to, outgoing, async (reply) => ({
      status: reply.status,
      url: reply.url,
      data: await (reply.status === 200 ? readBody(reply, limit) : readRefusal(reply)),
    }));
  }

  private async reach<T>(to: string | URL, outgoing: Outgoing, take: (reply: Reply) => Promise<T>): Promise<T> {
    const url = typeof to === 'string' ? this.url(to) : to;
    try {
      return await this.persist(async () => this.attempt(url, { ...outgoing, signal: this.options.signal }), take);
    } catch (error) {
      this.options.signal?.throwIfAborted();
      throw unreachable(outgoing.method, url, error);
    }
  }

  /** Waits before try number `attempt` (1 is the first retry). */
  async backOff(attempt: number): Promise<void> {
    const base = (this.options.backoffMs ?? 500) * 2 ** (attempt - 1);
    await wait(base * (0.75 + Math.random() / 2), undefined, { signal: this.options.signal });
  }

  private async persist<T>(send: () => Promise<Reply>, take: (reply: Reply) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await send();
        if (!TEMPORARY.has(reply.status) || attempt > RETRIES) return await take(reply);
        discard(reply);
      } catch (error) {
        this.options.signal?.throwIfAborted();
        if (error instanceof RegistryError || !isTemporary(error) || attempt > RETRIES) throw error;
      }
      await this.backOff(attempt);
    }
  }

  private async attempt(url: URL, outgoing: Outgoing): Promise<Reply> {
    const reply = await this.authorized(url, outgoing);
    if (reply.status !== 401 || !this.isOurs(url)) return this.follow(reply, outgoing);
    discard(reply);
    if (!this.authorization.learn(reply)) {
      throw new RegistryError(
        'unauthorized',
        `${outgoing.method} ${url.href}: no basic auth credentials: log in to ${url.host} first`,
      );
    }
    const again = await this.authorized(url, outgoing);
    return this.follow(again, outgoing);
  }

  private isOurs(url: URL): boolean {
    return url.origin === this.base.origin;
  }

  private async authorized(url: URL, outgoing: Outgoing): Promise<Reply> {
    const value = this.isOurs(url) ? await this.authorization.header() : undefined;
    return this.transport.send(
      url,
      value === undefined ? outgoing : { ...outgoing, headers: { ...outgoing.headers, Authorization: value } },
    );
  }

  /** Other hosts, where blobs often are, get neither our password nor our token. */
  private async follow(first: Reply, outgoing: Outgoing): Promise<Reply> {
    let reply = first;
    if (outgoing.method !== 'GET' && outgoing.method !== 'HEAD') return reply;
    for (let hops = 0; [301, 302, 303, 307, 308].includes(reply.status); hops++) {
      const location = reply.header('location');
      discard(reply);
      const next = location !== undefined && URL.canParse(location, reply.url.href) ? new URL(location, reply.url) : undefined;
      if (!next || !/^https?:$/.test(next.protocol))
        throw new RegistryError('broken', `${reply.url.href}: it redirects to ${JSON.stringify(location ?? '')}`);
      if (next.protocol === 'http:' && reply.url.protocol === 'https:' && !this.allowsPlain)
        throw new RegistryError('broken', `${reply.url.href}: it redirects to ${next.origin}, which has no TLS`);
      if (hops === MAX_REDIRECTS) throw new RegistryError('broken', `${first.url.href}: more than ${MAX_REDIRECTS} redirects`);
      reply = await this.authorized(next, outgoing);
    }
    return reply;
  }
}
