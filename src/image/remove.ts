// Removes names, images and the layers that no image uses any more, by Docker's rules. Called by cli/ and engine/.

import { renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { removeTree } from '../process/remove-tree.js';
import type { Change, ContainerRecord, ImageRecord, Store, Transaction } from '../store/index.js';
import { findImage, layerDirectories } from './images.js';
import { isDigested, splitTag } from './reference.js';

/** The image cannot go; the message says why and what would let it go. */
export class ImageInUse extends Error {
  override readonly name = 'ImageInUse';
}

export interface RemoveOptions {
  /** Removes an image that has names in several repositories. Never one that is in use. */
  readonly force?: boolean;
  /** False leaves the nameless images that it was made from. */
  readonly prune?: boolean;
  /**
   * Who uses these layer directories: a phrase ("it is mounted at /mnt/root: unmount it first"), or undefined.
   * Called inside a store transaction: must not start another.
   */
  readonly inUse?: (layers: readonly string[], own: readonly string[]) => Promise<string | undefined> | string | undefined;
}

export interface Removed {
  /** Hex id of the image that was meant. */
  readonly id: string;
  /** Canonical names taken away. */
  readonly untagged: readonly string[];
  /** `sha256:` digests, as Docker prints them: each image's id, then the chainIDs of its removed layers, topmost first. */
  readonly deleted: readonly string[];
  /** Hex ids of the images among them. */
  readonly images: readonly string[];
}

interface Decision extends Removed {
  readonly changes: readonly Change[];
  readonly layers: readonly string[];
}

/** A container, in any state, whose root this image is. */
async function containerOf(records: Transaction, record: ImageRecord): Promise<ContainerRecord | undefined> {
  return (await records.list('container')).find(({ image }) => image === record.id);
}

function conflict(what: string, record: ImageRecord, how: string, why: string): ImageInUse {
  return new ImageInUse(`conflict: unable to ${what} ${record.id.slice(0, 12)} (${how}) - ${why}`);
}

/** Asked with all layers of an image, and with those of them that no other image has. */
async function userOf(
  store: Store,
  records: Transaction,
  record: ImageRecord,
  { inUse }: RemoveOptions,
): Promise<string | undefined> {
  const others = (await records.list('image')).filter(({ id }) => id !== record.id);
  const shared = new Set(others.flatMap(({ layers }) => layers.map(({ key }) => key)));
  const own = { ...record, layers: record.layers.filter(({ key }) => !shared.has(key)) };
  return inUse?.(layerDirectories(store, record), layerDirectories(store, own));
}

async function refuseIfUsed(store: Store, records: Transaction, record: ImageRecord, options: RemoveOptions): Promise<void> {
  const container = await containerOf(records, record);
  const running = container && ['running', 'paused'].includes(container.state.status);
  const user = container
    ? `image is being used by ${running ? 'running' : 'stopped'} container ${container.id.slice(0, 12)}`
    : await userOf(store, records, record, options);
  if (user) throw conflict('delete', record, 'cannot be forced', user);
}

/** Takes images away, one after the other, and the layers that are left without one. */
class Removal {
  readonly changes: Change[] = [];
  readonly images: string[] = [];
  /** Of layers that no image has any more. */
  readonly layers: string[] = [];
  readonly deleted: string[] = [];
  /** Images of layers that have become fewer. */
  readonly #counts = new Map<string, number>();

  constructor(private readonly records: Transaction) {}

  async remove(record: ImageRecord): Promise<void> {
    this.changes.push({ table: 'image', key: record.id });
    this.deleted.push(`sha256:${record.id}`);
    this.images.push(record.id);
    const gone: string[] = [];
    for (const key of new Set(record.layers.map((layer) => layer.key))) {
      const layer = await this.records.get('layer', key);
      if (!layer) continue;
      const images = (this.#counts.get(key) ?? layer.images) - 1;
      this.#counts.set(key, images);
      if (images <= 0) gone.push(key);
      this.changes.push({ table: 'layer', key, value: images > 0 ? { ...layer, images } : undefined });
    }
    this.layers.push(...gone);
    const chains = [...record.layers].reverse().filter(({ key }) => gone.includes(key));
    this.deleted.push(...chains.map(({ chainId }) => `sha256:${chainId}`));
  }
}

const NOTHING = { changes: [], layers: [], deleted: [], images: [] };

/** All images and names, as they are when a removal is decided. */
interface Inventory {
  readonly namesOf: (id: string) => string[];
  readonly childrenOf: (id: string) => ImageRecord[];
  readonly parentOf: (image: ImageRecord) => ImageRecord | undefined;
}

async function takeInventory(records: Transaction): Promise<Inventory> {
  const references = await records.list('reference');
  const images = await records.list('image');
  return {
    namesOf: (id) => references.filter((each) => each.id === id).map((each) => each.name),
    childrenOf: (id) => images.filter(({ parent }) => parent === id),
    parentOf: ({ parent }) => images.find(({ id }) => id === parent),
  };
}

/** The removal of an image and of those that were only there to make it. */
async function removalOf(
  store: Store,
  records: Transaction,
  record: ImageRecord,
  options: RemoveOptions,
  { namesOf, childrenOf, parentOf }: Inventory,
): Promise<Removal> {
  const removal = new Removal(records);
  await removal.remove(record);
  for (let child = record; options.prune !== false;) {
    const parent = parentOf(child);
    if (!parent || childrenOf(parent.id).length > 1 || namesOf(parent.id).length > 0) break;
    if ((await containerOf(records, parent)) ?? (await userOf(store, records, parent, options))) break;
    await removal.remove(parent);
    child = parent;
  }
  return removal;
}

const repositoryOf = (name: string): string => (isDigested(name) ? (name.split('@')[0] ?? '') : splitTag(name).repository);

async function decide(store: Store, records: Transaction, text: string, options: RemoveOptions): Promise<Decision> {
  const { record, name } = await findImage(records, text);
  const inventory = await takeInventory(records);
  const all = inventory.namesOf(record.id);
  // Names with digests go with the last one of their repository that has a tag.
  const names = all.filter((each) => !isDigested(each));
  const untag = (gone: readonly string[]): Change[] => gone.map((key) => ({ table: 'reference', key }));
  const none = { ...NOTHING, id: record.id };
  const onlyUntag = (gone: readonly string[]): Decision => ({ ...none, untagged: gone, changes: untag(gone) });
  if (name !== undefined) {
    const mates = all.filter((each) => each !== name && repositoryOf(each) === repositoryOf(name));
    const gone = isDigested(name) || !mates.every(isDigested) ? [name] : [name, ...mates];
    if (gone.length < all.length) return onlyUntag(gone);
  }
  const container = name === undefined ? undefined : await containerOf(records, record);
  if (container && !options.force) {
    throw new ImageInUse(
      `conflict: unable to remove repository reference ${JSON.stringify(text)} (must force) - container ${container.id.slice(0, 12)} is using its referenced image ${record.id.slice(0, 12)}`,
    );
  }
  const hasChildren = inventory.childrenOf(record.id).length > 0;
  // The root of a container, and what was made of the image, need the layers: they stay, without a name.
  if (name !== undefined && (hasChildren || container)) return onlyUntag(all);
  if (hasChildren) throw conflict('delete', record, 'cannot be forced', 'image has dependent child images');
  if (new Set(names.map((each) => splitTag(each).repository)).size > 1 && !options.force) {
    const why = 'image is referenced in multiple repositories; use -f, or remove its names one by one';
    throw conflict('delete', record, 'must be forced', why);
  }
  const stopped = options.force && all.length > 0 ? await containerOf(records, record) : undefined;
  // Force takes what it can: the names.
  if (stopped && !['running', 'paused'].includes(stopped.state.status)) return onlyUntag(all);
  await refuseIfUsed(store, records, record, options);
  const removal = await removalOf(store, records, record, options, inventory);
  const { changes, layers, deleted, images: gone } = removal;
  return { id: record.id, untagged: all, deleted, images: gone, changes: [...untag(all), ...changes], layers };
}

/**
 * Removes the name `text`; with an image's last name (or when given an id) the image and the layers only it used.
 * Errors: `NoSuchImage`, `InvalidReference`, `ImageInUse`.
 */
export async function removeImage(store: Store, text: string, options: RemoveOptions = {}): Promise<Removed> {
  const staging = store.makeStaging();
  try {
    return await store.transaction(async (records) => {
      const { changes, layers, ...removed } = await decide(store, records, text, options);
      // Records first: a layer without a record is swept, a record without its layer would be a broken image.
      await records.commit(changes);
      for (const key of layers) renameSync(dirname(store.layerDir(key)), join(staging, key));
      return removed;
    });
  } finally {
    await removeTree(staging);
  }
}
