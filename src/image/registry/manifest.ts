// From a name to one manifest: fetches it, follows indexes to the manifest for a platform, checks digests. Used by pull.ts;
// what a refusal means, also by push.ts and inspection.ts.

import { descriptor, indexEntries, MAX_DEPTH } from '../descriptor.js';
import type { Descriptor, IndexEntry } from '../descriptor.js';
import { array, JsonError, object, optionalString, parseJson } from '../json.js';
import type { JsonObject } from '../json.js';
import { sha256 } from '../plan.js';
import type { Platform } from '../plan.js';
import { familiarName } from '../reference.js';
import type { Reference } from '../reference.js';
import type { Answer, RegistryClient } from './client.js';
import { RegistryError } from './registry-error.js';

export interface Manifest {
  /** Of what the name leads to, perhaps an index. */
  readonly digest: string;
  /** Of the image's own manifest. */
  readonly own: string;
  readonly config: Descriptor;
  /** Bottom first. */
  readonly layers: readonly Descriptor[];
}

export const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
export const MAX_MANIFEST = 4 << 20;
const CONFIGS = ['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json', ''];

/** `busybox:1` or `busybox@sha256:...`, as Docker shows it. */
export function shownReference({ repository, tag, digest }: Reference): string {
  const name = familiarName(repository);
  return digest === undefined ? `${name}:${tag ?? 'latest'}` : `${name}@sha256:${digest}`;
}

export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join('/');
}

const level = (variant: string): number => Number(/^v(\d+)/.exec(variant)?.[1] ?? NaN);

/** How well `offered` runs on `wanted`: 0 not at all, more is better. arm v7 also runs v6 and v5; arm64 alone means v8, amd64 v1. */
export function fitness(offered: Platform, wanted: Platform): number {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return 0;
  const usual = { arm: 'v7', arm64: 'v8', amd64: 'v1' }[wanted.architecture] ?? '';
  const has = offered.variant ?? usual;
  const wants = wanted.variant ?? usual;
  if (has === wants) return 1000;
  return level(has) < level(wants) ? level(has) : 0;
}

function choose(items: readonly IndexEntry[], wanted: Platform, explicit: boolean): IndexEntry {
  let best: IndexEntry | undefined;
  let score = 0;
  for (const item of items) {
    // One without a platform is taken when nothing better is there; its config tells later.
    const fit = item.platform ? fitness(item.platform, wanted) : 0.5;
    if (fit > score) [best, score] = [item, fit];
  }
  if (best) return best;
  const text = platformText(wanted);
  const offered = [...new Set(items.flatMap(({ platform }) => (platform ? [platformText(platform)] : [])))].join(', ') || 'none';
  const why = explicit ? ': no match for platform in manifest: not found' : '';
  throw new RegistryError(
    'not-found',
    `no matching manifest for ${text} in the manifest list entries${why}; it offers: ${offered}`,
  );
}

export interface Wanted {
  readonly platform: Platform;
  /** Whether the user asked for that platform. */
  readonly explicit: boolean;
}

class Resolver {
  private readonly shown: string;

  constructor(
    private readonly client: RegistryClient,
    private readonly reference: Reference,
    private readonly wanted: Wanted,
  ) {
    this.shown = shownReference(reference);
  }

  async resolve(): Promise<Manifest> {
    const { tag, digest } = this.reference;
    let [found, document] = await this.fetch(digest === undefined ? (tag ?? 'latest') : `sha256:${digest}`, digest);
    const first = found;
    for (let depth = 0; document['manifests'] !== undefined; depth++) {
      if (depth === MAX_DEPTH) throw this.broken(`more than ${MAX_DEPTH} indexes inside each other`);
      const next = this.choice(document);
      [found, document] = await this.fetch(`sha256:${next.digest}`, next.digest);
    }
    return this.read(() => {
      if (document['config'] === undefined || document['layers'] === undefined)
        throw new JsonError('it is neither an index nor a manifest of schema 2; push the image again with a newer program');
      const config = descriptor(document['config']);
      const layers = array(document['layers'], 'layers').map(descriptor);
      if (!CONFIGS.includes(config.mediaType)) throw new JsonError(`it is no image but of the type ${config.mediaType}`);
      return { digest: first, own: found, config, layers };
    });
  }

  private choice(document: JsonObject): IndexEntry {
    const items = this.read(() => indexEntries(document['manifests']));
    return choose(items, this.wanted.platform, this.wanted.explicit);
  }

  private async fetch(name: string, digest: string | undefined): Promise<[digest: string, document: JsonObject]> {
    const outgoing = { method: 'GET', headers: { Accept: ACCEPT } };
    const answer = await this.client.document(`manifests/${name}`, outgoing, MAX_MANIFEST);
    if (answer.status !== 200)
      throw refusal(answer, this.reference, `manifest for ${this.shown} not found: manifest unknown: manifest unknown`);
    const { data } = answer;
    const found = sha256(data);
    if (digest !== undefined && digest !== found) throw this.broken(`its digest is sha256:${found}, expected sha256:${digest}`);
    return [found, this.read(() => object(parseJson(data.toString('utf8')), 'it'))];
  }

  private read<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      throw this.broken(error.message);
    }
  }

  private broken(why: string): RegistryError {
    return new RegistryError('broken', `the manifest of ${this.shown} cannot be used: ${why}`);
  }
}

/** Errors: RegistryError. */
export function resolveManifest(client: RegistryClient, reference: Reference, wanted: Wanted): Promise<Manifest> {
  return new Resolver(client, reference, wanted).resolve();
}

/** The error codes of an answer (`{"errors": [{"code": ...}]}`), with their messages. */
export function errorsOf(data: Buffer): { code: string; text: string }[] {
  try {
    return array(object(parseJson(data.toString('utf8')), 'it')['errors'], 'errors').map((item) => {
      const fields = object(item, 'an error');
      const code = optionalString(fields['code'], 'code') ?? '';
      return { code, text: `${code.toLowerCase().replace(/_/g, ' ')}: ${optionalString(fields['message'], 'message') ?? ''}` };
    });
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return [];
  }
}

/** What an answer other than the hoped-for means, in Docker's words. `missing`: said when only the thing asked for is not there. */
export function refusal(reply: Answer, reference: Reference, missing: string, verb = 'pull'): RegistryError {
  const errors = errorsOf(reply.data);
  const has = (code: string): boolean => errors.some((error) => error.code === code);
  const detail = errors.map(({ text }) => text).join('; ');
  if (reply.status === 401 || reply.status === 403 || has('NAME_UNKNOWN') || has('DENIED')) {
    const name = familiarName(reference.repository);
    const words =
      verb === 'pull'
        ? `pull access denied for ${name}, repository does not exist or may require 'docker login'`
        : `push access denied for ${name}: log in with an account that may write there`;
    return new RegistryError('denied', `${words}${detail === '' ? '' : `: ${detail}`}`);
  }
  if (reply.status === 404) return new RegistryError('not-found', missing);
  return new RegistryError(
    'broken',
    `${reply.url.href}: status ${reply.status}${detail === '' ? '' : `: ${detail}`}; try again later`,
  );
}
