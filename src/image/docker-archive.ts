// The docker-save side: manifest.json with configs, layers and tags; and which of the two formats an archive is in.
// Called by load.ts.

import type { Archive } from './archive.js';
import { ImageError, MAKE_AGAIN, shown } from './image-error.js';
import { array, object, string, strings } from './json.js';
import type { JsonObject } from './json.js';
import { ociImages } from './oci-layout.js';
import { planImage, readText, withJson } from './plan.js';
import type { ImagePlan, LayerSource, Platform } from './plan.js';
import { canonicalName, InvalidReference } from './reference.js';

function namesOf(archive: Archive, value: unknown): string[] {
  return strings(value ?? [], 'RepoTags').map((name) => {
    try {
      return canonicalName(name);
    } catch (error) {
      if (!(error instanceof InvalidReference)) throw error;
      throw new ImageError(`${archive.label}: manifest.json`, error.message, MAKE_AGAIN, error);
    }
  });
}

function dockerImage(archive: Archive, entry: JsonObject): ImagePlan {
  const name = string(entry['Config'], 'Config');
  // Both forms carry the config's digest: <hex>.json, and blobs/sha256/<hex> since Docker 25.
  const digest = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(name)?.[1];
  const config = readText(archive, name, { digest });
  const layers = strings(entry['Layers'] ?? [], 'Layers').map((path): LayerSource => {
    const blob = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1];
    return { piece: archive.find(path), digest: blob, label: `${archive.label}: layer ${shown(path)}` };
  });
  return planImage(archive, name, config, layers, { names: namesOf(archive, entry['RepoTags']) });
}

/** What `archive` holds for `platform`. */
export function planArchive(archive: Archive, platform: Platform): ImagePlan[] {
  if (archive.find('manifest.json')) {
    const text = readText(archive, 'manifest.json');
    const plans = withJson(archive, 'manifest.json', text, (value) =>
      array(value, 'it').map((entry) => dockerImage(archive, object(entry, 'an entry'))),
    );
    if (plans.length === 0) throw new ImageError(archive.label, 'the archive holds no image', 'save it again, naming an image');
    return plans;
  }
  if (archive.find('index.json')) return ociImages(archive, platform);
  if (archive.find('repositories')) {
    throw new ImageError(
      archive.label,
      'the archive is in the format of Docker before 1.10',
      'load it with a newer Docker or skopeo and save it again',
    );
  }
  throw new ImageError(
    archive.label,
    'it holds neither manifest.json nor index.json, so it is no image archive',
    'give what `docker save`, `podman save` or `skopeo copy` wrote',
  );
}
