// What has to be loaded for an image: its config and layers, checked against each other and against their digests.
// Filled in by docker-archive.ts, oci-layout.ts and registry/pull.ts, carried out by publication.ts.

import { createHash } from 'node:crypto';
import { hostArchitecture } from '../native/architecture.js';
import type { Archive, Piece } from './archive.js';
import { readAt } from './archive.js';
import { ImageError, MAKE_AGAIN, shown } from './image-error.js';
import { array, JsonError, object, parseJson, sha256Digest } from './json.js';
import type { JsonObject } from './json.js';

/** One layer to load. `piece` is undefined when the archive lacks it, which matters only if the store lacks it too. */
export interface LayerPlan {
  /** Hex sha256 of the uncompressed tar, as the config says. */
  readonly diffId: string;
  readonly chainId: string;
  readonly piece: Piece | undefined;
  /** Gets the piece when the store lacks the layer, in place of `piece`. */
  readonly fetch?: () => Promise<Piece>;
  /** Hex sha256 of the bytes as stored, when a manifest gives it. */
  readonly digest?: string;
  /** What to call it in messages. */
  readonly label: string;
}

export interface ImagePlan {
  readonly id: string;
  readonly config: string;
  readonly manifest?: string;
  /** Of an image made here; see `MadeImage`. */
  readonly parent?: string;
  /** Bottom first. */
  readonly layers: readonly LayerPlan[];
  /** Canonical names with tags. */
  readonly names: readonly string[];
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export function hostPlatform(): Platform {
  return { os: 'linux', architecture: hostArchitecture };
}

/** The layers of an image as its manifest lists them. */
export type LayerSource = Pick<LayerPlan, 'piece' | 'fetch' | 'digest' | 'label'>;

/** Where JSON came from, for messages: what to call it and what to do when it is wrong. */
export interface Origin {
  readonly label: string;
  readonly remedy?: string;
}

const MAX_JSON = 16 << 20;

export const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');

/** The chainID of each layer: its diffID with all below it (OCI image specification). Bottom first. */
export function chainIds(diffIds: readonly string[]): string[] {
  const chains: string[] = [];
  for (const diffId of diffIds) {
    const below = chains.at(-1);
    chains.push(below === undefined ? diffId : sha256(`sha256:${below} sha256:${diffId}`));
  }
  return chains;
}

/** The text of a file of the archive; throws when it is absent, too long, not UTF-8, or has another digest. */
export function readText(archive: Archive, name: string, expected?: { digest?: string; size?: number }): string {
  const subject = `${archive.label}: ${shown(name)}`;
  const piece = archive.find(name);
  if (!piece) throw new ImageError(subject, 'it is missing from the archive', MAKE_AGAIN);
  if (piece.size > MAX_JSON) throw new ImageError(subject, `it is larger than ${MAX_JSON >> 20} MiB`, MAKE_AGAIN);
  if (expected?.size !== undefined && expected.size !== piece.size) {
    throw new ImageError(subject, `it has ${piece.size} bytes, the manifest says ${expected.size}`, MAKE_AGAIN);
  }
  const data = Buffer.alloc(piece.size);
  if (readAt(piece.fd, data, piece.size, piece.offset) !== piece.size)
    throw new ImageError(subject, 'unexpected end', MAKE_AGAIN);
  const found = sha256(data);
  if (expected?.digest !== undefined && expected.digest !== found) {
    throw new ImageError(subject, `its digest is sha256:${found}, expected sha256:${expected.digest}`, MAKE_AGAIN);
  }
  try {
    // The text must give these bytes back: the image id is their digest.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch (error) {
    throw new ImageError(subject, 'it is not UTF-8', MAKE_AGAIN, error);
  }
}

/** Reads JSON of the archive with `use`, which may throw `JsonError`. */
export function withJson<T>(archive: Origin, name: string, text: string, use: (value: JsonObject | readonly unknown[]) => T): T {
  try {
    const value = parseJson(text);
    return use(Array.isArray(value) ? (value as readonly unknown[]) : object(value, 'it'));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ImageError(`${archive.label}: ${shown(name)}`, error.message, archive.remedy ?? MAKE_AGAIN, error);
  }
}

/** Joins a config with the layers that its manifest lists. */
export function planImage(
  archive: Origin,
  name: string,
  config: string,
  layers: readonly LayerSource[],
  extra: { names: readonly string[]; manifest?: string },
): ImagePlan {
  const diffIds = withJson(archive, name, config, (value) => {
    const rootfs = object(object(value, 'it')['rootfs'], 'rootfs');
    return array(rootfs['diff_ids'] ?? [], 'rootfs.diff_ids').map((id) => sha256Digest(id, 'rootfs.diff_ids'));
  });
  if (diffIds.length !== layers.length) {
    throw new ImageError(
      `${archive.label}: ${shown(name)}`,
      `the config names ${diffIds.length} layers, the manifest ${layers.length}`,
      archive.remedy ?? MAKE_AGAIN,
    );
  }
  const chains = chainIds(diffIds);
  const planned = layers.map((layer, i): LayerPlan => ({ ...layer, diffId: diffIds[i] ?? '', chainId: chains[i] ?? '' }));
  return { id: sha256(config), config, layers: planned, names: extra.names, manifest: extra.manifest };
}
