// Loads images into the store: all of an archive or a layout, or one whose layers bring themselves, as those of a pull.

import type { Store } from '../store/index.js';
import { openArchive } from './archive.js';
import type { Archive } from './archive.js';
import { parseConfig } from './config.js';
import { planArchive } from './docker-archive.js';
import { ImageError } from './image-error.js';
import { hostPlatform, withJson } from './plan.js';
import type { ImagePlan, Platform } from './plan.js';
import { inStaging, Publication } from './publication.js';
import type { PublicationOptions } from './publication.js';
import { canonicalName } from './reference.js';

export interface LoadOptions extends PublicationOptions {
  /** The host's by default. */
  readonly platform?: Platform;
  /** Names a single image, in place of the names in the archive. */
  readonly name?: string;
  /** What errors call the archive, when its path is not the user's. */
  readonly label?: string;
}

export interface LoadedImage {
  /** Hex sha256. */
  readonly id: string;
  /** Canonical names it was given. */
  readonly names: readonly string[];
}

export interface Loaded {
  readonly images: readonly LoadedImage[];
  /** Kinds of things that could not be kept (without privilege: owners, devices), with their counts. */
  readonly omitted: ReadonlyMap<string, number>;
}

/** The chainIDs of those layers that the store has. */
export async function layersInStore(store: Store, plan: ImagePlan): Promise<ReadonlySet<string>> {
  const publication = new Publication(store, '');
  return new Set((await store.transaction((records) => publication.keys(records, [plan]))).keys());
}

/** Loads one planned image, whose layers bring themselves (`fetch`). Errors: those of `loadImage`, and what `fetch` throws. */
export function loadPlan(
  store: Store,
  plan: ImagePlan,
  label: string,
  options: LoadOptions,
): Promise<ReadonlyMap<string, number>> {
  return inStaging(store, label, async (staging) => {
    const publication = new Publication(store, staging, options);
    await publication.run([plan]);
    return publication.omitted;
  });
}

/** One plan per image, names joined; configs checked now, so that later readers can rely on them. */
function merged(archive: Archive, plans: readonly ImagePlan[], name: string | undefined): ImagePlan[] {
  const byId = new Map<string, ImagePlan>();
  for (const plan of plans) {
    withJson(archive, `config ${plan.id}`, plan.config, () => parseConfig(plan.config));
    const names = [...new Set([...(byId.get(plan.id)?.names ?? []), ...plan.names])];
    byId.set(plan.id, { ...plan, names });
  }
  const images = [...byId.values()];
  if (name === undefined) return images;
  const [only] = images;
  if (images.length !== 1 || !only)
    throw new ImageError(archive.label, `it holds ${images.length} images, and one name was given`, 'load it without a name');
  return [{ ...only, names: [canonicalName(name)] }];
}

/**
 * Loads every image of `source`: the path of an archive or of an OCI layout directory, or a stream.
 * Errors: `ImageError` for the archive's faults and a full disk, `StoreError` for the store's, the signal's reason when aborted.
 */
export function loadImage(store: Store, source: string | NodeJS.ReadableStream, options: LoadOptions = {}): Promise<Loaded> {
  const label = options.label ?? (typeof source === 'string' ? source : 'standard input');
  return inStaging(store, label, async (staging) => {
    const archive = await openArchive(source, label, staging, options.signal);
    try {
      const plans = merged(archive, planArchive(archive, options.platform ?? hostPlatform()), options.name);
      const publication = new Publication(store, staging, options);
      await publication.run(plans);
      return { images: plans.map(({ id, names }) => ({ id, names })), omitted: publication.omitted };
    } finally {
      archive.close();
    }
  });
}
