// The OCI side of plan.ts: index.json, nested indexes, the choice of a platform, manifests, names from annotations.

import type { Archive } from './archive.js';
import { descriptor, indexEntries, MAX_DEPTH } from './descriptor.js';
import type { Descriptor, IndexEntry } from './descriptor.js';
import { ImageError, MAKE_AGAIN } from './image-error.js';
import { array, JsonError, object, optionalString } from './json.js';
import { planImage, readText, withJson } from './plan.js';
import type { ImagePlan, LayerSource, Platform } from './plan.js';
import { canonicalName, InvalidReference } from './reference.js';

const blobName = (digest: string): string => `blobs/sha256/${digest}`;

/** The full name of an image, canonical. A bare tag ("latest"), which the OCI specification allows, names no image. */
function imageName({ annotations }: IndexEntry): string | undefined {
  const full = optionalString(annotations['io.containerd.image.name'], 'io.containerd.image.name');
  const name = full ?? optionalString(annotations['org.opencontainers.image.ref.name'], 'org.opencontainers.image.ref.name');
  if (name === undefined || (full === undefined && !/[/:]/.test(name))) return undefined;
  try {
    return canonicalName(name);
  } catch (error) {
    if (error instanceof InvalidReference) return undefined;
    throw error;
  }
}

const describe = (platform: Platform | undefined): string =>
  platform ? `${platform.os}/${platform.architecture}` : 'an unnamed platform';

/** Those that fit the host; a single candidate without a platform fits by default, its config is checked later. */
function choose(archive: Archive, images: readonly IndexEntry[], wanted: Platform): IndexEntry {
  const exact = images.find(({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture);
  const found = exact ?? images.find(({ platform }) => platform === undefined);
  if (found) return found;
  const offered = [...new Set(images.map(({ platform }) => describe(platform)))].join(', ') || 'none';
  throw new ImageError(
    archive.label,
    `no image for ${describe(wanted)}; it offers: ${offered}`,
    'save the image for this platform',
  );
}

function layerSource(archive: Archive, value: unknown): LayerSource {
  const { digest, size } = descriptor(value);
  const piece = archive.find(blobName(digest));
  const label = `${archive.label}: layer ${blobName(digest)}`;
  if (piece && piece.size !== size)
    throw new ImageError(label, `it has ${piece.size} bytes, the manifest says ${size}`, MAKE_AGAIN);
  return { piece, digest, label };
}

/** Follows a descriptor through nested indexes to one manifest. */
function resolve(archive: Archive, from: Descriptor, wanted: Platform, names: readonly string[], depth = 0): ImagePlan {
  const name = blobName(from.digest);
  const text = readText(archive, name, from);
  return withJson(archive, name, text, (value) => {
    const fields = object(value, 'it');
    if (fields['manifests'] !== undefined) {
      if (depth === MAX_DEPTH) throw new JsonError(`more than ${MAX_DEPTH} indexes inside each other`);
      const inner = indexEntries(fields['manifests']);
      return resolve(archive, choose(archive, inner, wanted), wanted, names, depth + 1);
    }
    if (fields['config'] === undefined) throw new JsonError('neither an index nor a manifest of schema 2');
    const config = descriptor(fields['config']);
    const configName = blobName(config.digest);
    const layers = array(fields['layers'] ?? [], 'layers').map((layer) => layerSource(archive, layer));
    return planImage(archive, configName, readText(archive, configName, config), layers, { names, manifest: from.digest });
  });
}

function byName(entries: readonly IndexEntry[]): Map<string, IndexEntry[]> {
  const groups = new Map<string, IndexEntry[]>();
  for (const entry of entries) {
    const name = imageName(entry) ?? '';
    groups.set(name, [...(groups.get(name) ?? []), entry]);
  }
  return groups;
}

/** One image for every name in index.json; nameless descriptors together are one image for several platforms. */
export function ociImages(archive: Archive, wanted: Platform): ImagePlan[] {
  const text = readText(archive, 'index.json');
  const groups = withJson(archive, 'index.json', text, (value) => byName(indexEntries(object(value, 'it')['manifests'] ?? [])));
  if (groups.size === 0) throw new ImageError(archive.label, 'the layout holds no image', 'copy an image into it first');
  return [...groups].map(([name, group]) => resolve(archive, choose(archive, group, wanted), wanted, name === '' ? [] : [name]));
}
