// Descriptors: by what manifests and indexes name what they are made of, in a layout on disk and in a registry. Read by
// oci-layout.ts and registry/manifest.ts.

import { array, JsonError, object, optionalString, sha256Digest } from './json.js';
import type { JsonObject } from './json.js';
import type { Platform } from './plan.js';

export interface Descriptor {
  readonly mediaType: string;
  /** Hex sha256. */
  readonly digest: string;
  readonly size: number;
}

/** An image, or an index of images, that an index offers. */
export interface IndexEntry extends Descriptor {
  readonly platform?: Platform;
  readonly annotations: JsonObject;
}

/** How many indexes may lie inside each other. */
export const MAX_DEPTH = 8;

/** Errors: JsonError. */
export function descriptor(value: unknown): Descriptor {
  const fields = object(value, 'a descriptor');
  const size = fields['size'];
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw new JsonError('the size of a descriptor is not a number');
  return {
    mediaType: optionalString(fields['mediaType'], 'mediaType') ?? '',
    digest: sha256Digest(fields['digest'], 'the digest of a descriptor'),
    size,
  };
}

function platformOf(value: unknown): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  const fields = object(value, 'platform');
  const text = (key: string): string => optionalString(fields[key], key) ?? '';
  return { os: text('os'), architecture: text('architecture'), variant: text('variant') || undefined };
}

/** An entry of an index; undefined for what is no image, as attestations. Errors: JsonError. */
function indexEntry(value: unknown): IndexEntry | undefined {
  const fields = object(value, 'a descriptor');
  const annotations = object(fields['annotations'] ?? {}, 'annotations');
  if (annotations['vnd.docker.reference.type'] === 'attestation-manifest') return undefined;
  const platform = platformOf(fields['platform']);
  return platform?.os === 'unknown' ? undefined : { ...descriptor(value), platform, annotations };
}

/** The `manifests` of an index. Errors: JsonError. */
export function indexEntries(value: unknown): IndexEntry[] {
  return array(value, 'manifests').flatMap((item) => indexEntry(item) ?? []);
}
