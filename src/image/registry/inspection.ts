// What a registry has under a name, without pulling it. Called by the engine's GET /distribution.

import { JsonError, array, object, optionalString, parseJson } from '../json.js';
import type { JsonObject } from '../json.js';
import { descriptor } from '../descriptor.js';
import { sha256 } from '../plan.js';
import { parseReference } from '../reference.js';
import { type Answer, type ClientOptions, RegistryClient } from './client.js';
import { ACCEPT, MAX_MANIFEST, errorsOf } from './manifest.js';
import { RegistryError } from './registry-error.js';

export interface Inspection {
  readonly mediaType: string;
  /** Hex sha256. */
  readonly digest: string;
  readonly size: number;
  /** As they stand in the index, or in the image's config: `os`, `architecture`, perhaps `variant`. */
  readonly platforms: readonly Readonly<Record<string, string>>[];
}

function platformOf(fields: JsonObject): Record<string, string> {
  const names = ['architecture', 'os', 'os.version', 'variant'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = optionalString(fields[name], name);
      return value === undefined || value === '' ? [] : [[name, value] as const];
    }),
  );
}

function mustBeThere(answer: Answer): Buffer {
  if (answer.status === 200) return answer.data;
  const words = errorsOf(answer.data)
    .map(({ text }) => text)
    .join('; ');
  if (answer.status === 401 || answer.status === 403)
    throw new RegistryError('unauthorized', words || 'unauthorized: authentication required');
  if (answer.status === 404) throw new RegistryError('not-found', words || 'manifest unknown: manifest unknown');
  throw new RegistryError('broken', `${answer.url.href}: status ${answer.status}${words && `: ${words}`}; try again later`);
}

async function platformsOf(client: RegistryClient, document: JsonObject): Promise<Inspection['platforms']> {
  if (document['manifests'] !== undefined) {
    return array(document['manifests'], 'manifests').map((item) =>
      platformOf(object(object(item, 'a descriptor')['platform'] ?? {}, 'platform')),
    );
  }
  if (document['config'] === undefined) return [];
  const { digest, size } = descriptor(document['config']);
  const config = mustBeThere(await client.document(`blobs/sha256:${digest}`, { method: 'GET' }, Math.min(size, MAX_MANIFEST)));
  return [platformOf(object(parseJson(config.toString('utf8')), 'the config'))];
}

/** Errors: RegistryError, InvalidReference. */
export async function inspectDistribution(name: string, options: ClientOptions): Promise<Inspection> {
  const { repository, tag, digest } = parseReference(name);
  const client = new RegistryClient(repository, 'pull', options);
  try {
    await client.open();
    const wanted = digest === undefined ? (tag ?? 'latest') : `sha256:${digest}`;
    const answer = await client.document(`manifests/${wanted}`, { method: 'GET', headers: { Accept: ACCEPT } }, MAX_MANIFEST);
    const data = mustBeThere(answer);
    const found = sha256(data);
    if (digest !== undefined && digest !== found)
      throw new RegistryError('broken', `the digest of ${name} is sha256:${found}, expected sha256:${digest}`);
    const document = object(parseJson(data.toString('utf8')), 'it');
    const kind = document['manifests'] === undefined ? 'manifest' : 'index';
    const mediaType = optionalString(document['mediaType'], 'mediaType') ?? `application/vnd.oci.image.${kind}.v1+json`;
    return { mediaType, digest: found, size: data.length, platforms: await platformsOf(client, document) };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new RegistryError('broken', `the manifest of ${name} cannot be used: ${error.message}`, error);
  } finally {
    client.close();
  }
}
