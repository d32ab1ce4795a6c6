// Asks an index (the first version of the registry's protocol, which Docker Hub still serves) for names of images. Called by
// the engine's GET /images/search.

import { JsonError, array, object, optionalString, parseJson } from '../json.js';
import type { Credentials } from './credentials.js';
import { basic } from './authorization.js';
import { isLoopback } from './client.js';
import { RegistryError } from './registry-error.js';
import { type Reply, Transport, readBody } from './transport.js';

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

class Index {
  readonly #transport: Transport;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(
    private readonly host: string,
    private readonly options: SearchOptions,
  ) {
    const { credentials } = options;
    this.#transport = new Transport(!this.#allowsPlain);
    this.#headers = credentials && 'username' in credentials ? { Authorization: basic(credentials) } : {};
  }

  get #allowsPlain(): boolean {
    return isLoopback(this.host) || (this.options.insecure ?? []).includes(this.host);
  }

  /** With TLS, else (where allowed) without. */
  async search(term: string): Promise<Buffer> {
    const { signal, limit } = this.options;
    const tried: string[] = [];
    try {
      for (const scheme of this.#allowsPlain ? ['https', 'http'] : ['https']) {
        const url = new URL(
          `${scheme}://${this.host}/v1/search?${new URLSearchParams({ q: term, n: String(limit) }).toString()}`,
        );
        const outgoing = { method: 'GET', headers: this.#headers, ...(signal ? { signal } : {}) };
        const reply = await this.#transport.send(url, outgoing).catch((error: unknown) => {
          signal?.throwIfAborted();
          tried.push(`GET ${url.href}: ${(error as Error).message || String((error as NodeJS.ErrnoException).code)}`);
        });
        if (reply) return await this.#body(reply);
      }
    } finally {
      this.#transport.close();
    }
    throw new RegistryError('unreachable', `${tried.join('; ')}; check the name of the index and the network`);
  }

  async #body(reply: Reply): Promise<Buffer> {
    const data = await readBody(reply, MAX_ANSWER);
    if (reply.status === 200) return data;
    throw new RegistryError(reply.status === 401 ? 'unauthorized' : 'broken', `Unexpected status code ${reply.status}`);
  }
}

/** Errors: RegistryError. */
export async function searchImages(text: string, options: SearchOptions): Promise<SearchResult[]> {
  const { host, term } = splitTerm(text);
  const data = await new Index(host, options).search(term);
  try {
    return array(object(parseJson(data.toString('utf8')), 'it')['results'] ?? [], 'results').map(resultOf);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new RegistryError('broken', `the answer of the index ${host} cannot be used: ${error.message}`, error);
  }
}
