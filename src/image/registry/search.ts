// Asks an index (the first version of the registry's protocol, which Docker Hub still serves) for names of images. Called by
// the engine's GET /images/search.

import { JsonError, array, object, optionalString, parseJson } from '../json.js';
import type { Credentials } from './credentials.js';
import { basic } from './authorization.js';
import { RegistryError } from './registry-error.js';
import { allowsPlain, tlsFirst } from './tls-first.js';
import { Transport, readBody } from './transport.js';

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly isOfficial: boolean;
  readonly isAutomated: boolean;
}

export interface SearchOptions {
  readonly limit: number;
  readonly credentials?: Credentials;
  readonly insecure?: readonly string[];
  readonly signal?: AbortSignal;
}

const MAX_ANSWER = 4 << 20;
const HUB = 'index.docker.io';

/** `host/term` asks that host's index, a bare term Docker Hub's. Errors: RegistryError. */
export function splitTerm(term: string): { host: string; term: string } {
  if (term.includes('://')) throw new RegistryError('broken', 'Invalid repository name (ex: "registry.domain.tld/myrepos")');
  const slash = term.indexOf('/');
  const first = slash < 0 ? '' : term.slice(0, slash);
  if (!/[.:]/.test(first) && first !== 'localhost') return { host: HUB, term };
  const rest = term.slice(slash + 1);
  if (!URL.canParse(`https://${first}`)) throw new RegistryError('broken', `invalid registry endpoint "https://${first}/v1/"`);
  return /^(index\.)?docker\.io$/.test(first) ? { host: HUB, term: rest.replace(/^library\//, '') } : { host: first, term: rest };
}

function resultOf(item: unknown): SearchResult {
  const fields = object(item, 'a result');
  const count = fields['star_count'];
  return {
    name: optionalString(fields['name'], 'name') ?? '',
    description: optionalString(fields['description'] ?? undefined, 'description') ?? '',
    stars: typeof count === 'number' ? count : 0,
    isOfficial: fields['is_official'] === true,
    isAutomated: fields['is_automated'] === true,
  };
}

/** The index's answer. Errors: RegistryError, the signal's reason. */
async function ask(host: string, term: string, { credentials, insecure, limit, signal }: SearchOptions): Promise<Buffer> {
  const plain = allowsPlain(host, insecure);
  const transport = new Transport(!plain);
  const headers: Record<string, string> = {};
  if (credentials && 'username' in credentials) headers['Authorization'] = basic(credentials);
  const query = new URLSearchParams({ q: term, n: String(limit) }).toString();
  try {
    const reply = await tlsFirst(new URL(`https://${host}/v1/search?${query}`), { plain, signal }, (url) =>
      transport.send(url, { method: 'GET', headers, signal }),
    );
    const data = await readBody(reply, MAX_ANSWER);
    if (reply.status === 200) return data;
    throw new RegistryError(reply.status === 401 ? 'unauthorized' : 'broken', `Unexpected status code ${reply.status}`);
  } finally {
    transport.close();
  }
}

/** Errors: RegistryError. */
export async function searchImages(text: string, options: SearchOptions): Promise<SearchResult[]> {
  const { host, term } = splitTerm(text);
  const data = await ask(host, term, options);
  try {
    return array(object(parseJson(data.toString('utf8')), 'it')['results'] ?? [], 'results').map(resultOf);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new RegistryError('broken', `the answer of the index ${host} cannot be used: ${error.message}`, error);
  }
}
