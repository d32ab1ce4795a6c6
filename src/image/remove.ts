// Removes names, images and the layers that no image uses any more, by Docker's rules. Called by cli/ and engine/.

import { renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { removeTree } from '../store/index.js';
import type { Change, ImageRecord, Store, Transaction } from '../store/index.js';
import { findImage, layerDirectories } from './images.js';
import { isDigested, splitTag } from './reference.js';

/** The image cannot go; the message says why and what would let it go. */
export class ImageInUse extends Error {
  override readonly name = 'ImageInUse';
}

export interface RemoveOptions {
  /** Removes an image that has names in several repositories. Never one that is in use. */
  readonly force?: boolean;
  /**
   * Who uses these layer directories: a phrase ("it is mounted at /mnt/root: unmount it first"), or undefined.
   * Called inside a store transaction: must not start another.
   */
  readonly inUse?: (layers: readonly string[]) => Promise<string | undefined> | string | undefined;
}

export interface Removed {
  /** Canonical names taken away. */
  readonly untagged: readonly string[];
  /** `sha256:` digests, as Docker prints them: the image's id, then the chainIDs of its removed layers, topmost first. */
  readonly deleted: readonly string[];
}

interface Decision extends Removed {
  readonly changes: readonly Change[];
  readonly layers: readonly string[];
}

/** A container, in any state, whose root this image is. */
async function containerOf(records: Transaction, record: ImageRecord): Promise<string | undefined> {
  const found = (await records.list('container')).find(({ image }) => image === record.id);
  if (!found) return undefined;
  const running = found.state.status === 'running' || found.state.status === 'paused';
  return `image is being used by ${running ? 'running' : 'stopped'} container ${found.id.slice(0, 12)}`;
}

async function refuseIfUsed(store: Store, records: Transaction, record: ImageRecord, options: RemoveOptions): Promise<void> {
  const user = (await containerOf(records, record)) ?? (await options.inUse?.(layerDirectories(store, record)));
  if (user) throw new ImageInUse(`conflict: unable to delete ${record.id.slice(0, 12)} (cannot be forced) - ${user}`);
}

async function decide(store: Store, records: Transaction, text: string, options: RemoveOptions): Promise<Decision> {
  const { record, name } = await findImage(records, text);
  const all = (await records.list('reference')).filter(({ id }) => id === record.id).map((reference) => reference.name);
  // Names with digests go with the last one with a tag.
  const names = all.filter((each) => !isDigested(each));
  const untag = (gone: readonly string[]): Change[] => gone.map((key) => ({ table: 'reference', key }));
  if (name !== undefined && names.length > 1) return { untagged: [name], deleted: [], changes: untag([name]), layers: [] };
  if (new Set(names.map((each) => splitTag(each).repository)).size > 1 && !options.force) {
    throw new ImageInUse(
      `conflict: unable to delete ${record.id.slice(0, 12)} (must be forced) - image is referenced in multiple repositories; use -f, or remove its names one by one`,
    );
  }
  await refuseIfUsed(store, records, record, options);
  const changes: Change[] = [...untag(all), { table: 'image', key: record.id }];
  const layers: string[] = [];
  for (const key of new Set(record.layers.map((layer) => layer.key))) {
    const layer = await records.get('layer', key);
    if (!layer) continue;
    const images = layer.images - 1;
    if (images <= 0) layers.push(key);
    changes.push({ table: 'layer', key, value: images > 0 ? { ...layer, images } : undefined });
  }
  const chains = [...record.layers]
    .reverse()
    .filter(({ key }) => layers.includes(key))
    .map(({ chainId }) => `sha256:${chainId}`);
  return { untagged: all, deleted: [`sha256:${record.id}`, ...chains], changes, layers };
}

/**
 * Removes the name `text`; with an image's last name (or when given an id) the image and the layers only it used.
 * Errors: `NoSuchImage`, `InvalidReference`, `ImageInUse`.
 */
export async function removeImage(store: Store, text: string, options: RemoveOptions = {}): Promise<Removed> {
  const staging = store.makeStaging();
  try {
    return await store.transaction(async (records) => {
      const { untagged, deleted, changes, layers } = await decide(store, records, text, options);
      // Records first: a layer without a record is swept, a record without its layer would be a broken image.
      await records.commit(changes);
      for (const key of layers) renameSync(dirname(store.layerDir(key)), join(staging, key));
      return { untagged, deleted };
    });
  } finally {
    removeTree(staging);
  }
}
