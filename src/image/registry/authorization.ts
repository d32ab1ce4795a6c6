// What to send as `Authorization`: reads a registry's challenge, asks its token server (distribution's token.md), keeps
// tokens until they expire. Used by client.ts and search.ts.

import { JsonError, object, optionalString, parseJson } from '../json.js';
import type { Credentials } from './credentials.js';
import { RegistryError } from './registry-error.js';
import { type Reply, type Transport, readBody } from './transport.js';

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const MAX_ANSWER = 1 << 20;
const DEFAULT_LIFE_S = 60;

/** The challenges of a WWW-Authenticate header, which may hold several. */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*,?\s*(?:([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))|([\w-]+)(?=\s|$|,))/gy;
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, key, quoted, bare, scheme] = match;
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: {} });
    else if (key !== undefined) {
      const last = found.at(-1);
      if (last) last.parameters[key.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '';
    }
  }
  return found;
}

export const basic = ({ username, password }: { username: string; password: string }): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

export class Authorization {
  private challenge: Challenge | undefined;
  private token: { readonly value: string; readonly expires: number } | undefined;
  private pending: Promise<string | undefined> | undefined;

  constructor(
    private readonly transport: Transport,
    private readonly credentials: Credentials | undefined,
    /** As in `repository:library/busybox:pull`; '' for none. */
    private readonly scope: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** One that knows as much, for another transport. */
  fork(transport: Transport, signal: AbortSignal): Authorization {
    const other = new Authorization(transport, this.credentials, this.scope, signal);
    other.challenge = this.challenge;
    other.token = this.token;
    return other;
  }

  /** Learns from a 401. False when it asks for something that we cannot give. */
  learn(reply: Reply): boolean {
    const challenges = parseChallenges(reply.header('www-authenticate') ?? '');
    this.token = undefined;
    this.challenge = challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges.find(({ scheme }) => scheme === 'basic');
    if (this.challenge?.scheme !== 'basic') return this.challenge !== undefined;
    return this.credentials !== undefined && 'username' in this.credentials;
  }

  /** The header's value; undefined before the first challenge. Errors: RegistryError. */
  async header(): Promise<string | undefined> {
    const { challenge, credentials } = this;
    if (credentials && 'registryToken' in credentials) return `Bearer ${credentials.registryToken}`;
    if (!challenge) return undefined;
    if (challenge.scheme === 'basic') return credentials && 'username' in credentials ? basic(credentials) : undefined;
    if (this.token && this.token.expires > Date.now()) return `Bearer ${this.token.value}`;
    // Parallel downloads share one question.
    this.pending ??= this.fetchToken(challenge).finally(() => (this.pending = undefined));
    return this.pending;
  }

  private async fetchToken({ parameters }: Challenge): Promise<string> {
    const realm = parseRealm(parameters['realm']);
    const reply = await this.ask(realm, parameters['service']);
    const text = (await readBody(reply, MAX_ANSWER)).toString('utf8');
    if (reply.status === 401 || reply.status === 403) {
      const why = this.credentials ? 'incorrect username or password' : 'authentication required';
      throw new RegistryError('unauthorized', `unauthorized: ${why} (asked ${realm.host})`);
    }
    if (reply.status !== 200)
      throw new RegistryError('broken', `the token server ${realm.host} answered with status ${reply.status}`);
    try {
      const fields = object(parseJson(text), 'the answer');
      const value = optionalString(fields['token'], 'token') ?? optionalString(fields['access_token'], 'access_token');
      if (!value) throw new JsonError('the answer holds no token');
      const seconds = typeof fields['expires_in'] === 'number' ? fields['expires_in'] : DEFAULT_LIFE_S;
      // A tenth early: clocks, and the way there.
      this.token = { value, expires: Date.now() + seconds * 900 };
      return `Bearer ${value}`;
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      throw new RegistryError('broken', `the token server ${realm.host}: ${error.message}`, error);
    }
  }

  private async ask(realm: URL, service: string | undefined): Promise<Reply> {
    const { credentials, scope, signal } = this;
    const query = new URLSearchParams({ ...(service === undefined ? {} : { service }), ...(scope === '' ? {} : { scope }) });
    try {
      if (credentials && 'identityToken' in credentials) {
        query.set('grant_type', 'refresh_token');
        query.set('refresh_token', credentials.identityToken);
        query.set('client_id', 'lamina');
        const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
        return await this.transport.send(realm, { method: 'POST', headers, body: Buffer.from(query.toString()), signal });
      }
      const user = credentials && 'username' in credentials ? credentials : undefined;
      if (user) query.set('account', user.username);
      const url = new URL(realm);
      for (const [key, value] of query) url.searchParams.append(key, value);
      return await this.transport.send(url, { method: 'GET', headers: user ? { Authorization: basic(user) } : {}, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw new RegistryError('unreachable', `cannot reach the token server ${realm.host}: ${(error as Error).message}`, error);
    }
  }
}

function parseRealm(text: string | undefined): URL {
  const realm = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  if (realm && /^https?:$/.test(realm.protocol)) return realm;
  throw new RegistryError('broken', `the registry names no token server (realm ${JSON.stringify(text ?? '')})`);
}
