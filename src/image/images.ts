// Finding images that are loaded: by name, digest or id. Called by cli/, container/ and engine/.

import { JsonError } from './json.js';
import { parseConfig } from './config.js';
import type { ImageConfig } from './config.js';
import { ImageError } from './image-error.js';
import { canonicalName, familiarName, isDigested, parseReference } from './reference.js';
import type { ImageRecord, Store, Transaction } from '../store/index.js';

export interface Image {
  /** Hex sha256. */
  readonly id: string;
  readonly config: ImageConfig;
  /** Directories, topmost first, each once. */
  readonly layers: readonly string[];
  /** Canonical names with tags, in order. */
  readonly references: readonly string[];
  /** Canonical names with digests (`docker.io/library/busybox@sha256:...`) under which it was pulled, in order. */
  readonly digests: readonly string[];
  /** Bytes of regular files in its layers. */
  readonly size: number;
  readonly record: ImageRecord;
}

/** No such image, or an id that fits several; in Docker's words. */
export class NoSuchImage extends Error {
  override readonly name = 'NoSuchImage';
}

/**
 * The layer directories, topmost first. Of a layer that occurs twice only the upper occurrence counts: all that the
 * lower one says about a path, the upper one says again (and kernel overlayfs refuses the same directory twice).
 */
export function layerDirectories(store: Store, record: ImageRecord): string[] {
  const topmost = [...record.layers].reverse().map((layer) => layer.key);
  return [...new Set(topmost)].map((key) => store.layerDir(key));
}

/** What the records say about an image beside its own. */
interface Surroundings {
  readonly names: readonly string[];
  readonly size: (key: string) => number;
}

function describe(store: Store, record: ImageRecord, { names, size }: Surroundings): Image {
  try {
    return {
      id: record.id,
      config: parseConfig(record.config),
      layers: layerDirectories(store, record),
      references: names.filter((name) => !isDigested(name)),
      digests: names.filter(isDigested),
      size: record.layers.reduce((sum, { key }) => sum + size(key), 0),
      record,
    };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ImageError(
      `image ${record.id.slice(0, 12)}`,
      `its stored config is damaged: ${error.message}`,
      'remove the image and load it again',
      error,
    );
  }
}

async function byIdPrefix(records: Transaction, text: string): Promise<ImageRecord | undefined> {
  const prefix = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(text)?.[1];
  if (prefix === undefined) return undefined;
  const [first, second] = await records.list('image', prefix);
  if (second) throw new NoSuchImage(`ambiguous id: "${text}" fits more than one image; give more of its digits`);
  return first;
}

async function byReference(records: Transaction, text: string): Promise<ImageRecord | undefined> {
  const { repository, tag, digest } = parseReference(text);
  if (digest === undefined) {
    const found = await records.get('reference', canonicalName(text));
    return found && records.get('image', found.id);
  }
  const exact = await records.get('reference', `${repository}@sha256:${digest}`);
  if (exact) return records.get('image', exact.id);
  const named = (await records.list('reference', `${repository}:`)).filter(
    ({ name }) => tag === undefined || name === `${repository}:${tag}`,
  );
  for (const { id } of named) {
    const image = await records.get('image', id);
    if (image && (image.id === digest || image.manifest === digest)) return image;
  }
  return undefined;
}

/** How `text` was found: by a name, which a removal takes away first, or by an id. */
export interface Found {
  readonly record: ImageRecord;
  /** The canonical name asked for; undefined when found by id. */
  readonly name?: string;
}

/** A full id, then a name, then the beginning of an id. Throws `NoSuchImage` or `InvalidReference`. */
export async function findImage(records: Transaction, text: string): Promise<Found> {
  const isId = /^(?:sha256:)?[0-9a-f]{64}$/.test(text) || text.startsWith('sha256:');
  const named = isId ? undefined : await byReference(records, text);
  if (named) {
    const { repository, digest } = parseReference(text);
    const name = digest === undefined ? canonicalName(text) : `${repository}@sha256:${digest}`;
    // By the digest of what only has a tag there, it is found as by its id.
    return (await records.get('reference', name)) ? { record: named, name } : { record: named };
  }
  const record = await byIdPrefix(records, text);
  if (record) return { record };
  throw new NoSuchImage(`No such image: ${isId || text.includes('@') ? text : familiarName(canonicalName(text))}`);
}

/** The image that `reference` (NAME[:TAG][@DIGEST] or an id or its beginning) stands for. */
export function resolveImage(store: Store, reference: string): Promise<Image> {
  return store.transaction(async (records) => {
    const { record } = await findImage(records, reference);
    const names = (await records.list('reference')).filter(({ id }) => id === record.id).map(({ name }) => name);
    const sizes = new Map<string, number>();
    for (const { key } of record.layers) sizes.set(key, (await records.get('layer', key))?.size ?? 0);
    return describe(store, record, { names, size: (key) => sizes.get(key) ?? 0 });
  });
}

/** The image of that hex id; undefined when there is none. */
export async function imageOf(store: Store, id: string): Promise<Image | undefined> {
  return resolveImage(store, `sha256:${id}`).catch((error: unknown) => {
    if (error instanceof NoSuchImage) return undefined;
    throw error;
  });
}

/** All images, last created first. */
export function listImages(store: Store): Promise<Image[]> {
  return store.transaction(async (records) => {
    // Each table once, however many images there are.
    const names = new Map<string, string[]>();
    for (const { id, name } of await records.list('reference')) {
      const known = names.get(id);
      if (known) known.push(name);
      else names.set(id, [name]);
    }
    const sizes = new Map((await records.list('layer')).map(({ key, size }) => [key, size]));
    const size = (key: string): number => sizes.get(key) ?? 0;
    const images = (await records.list('image')).map((record) =>
      describe(store, record, { names: names.get(record.id) ?? [], size }),
    );
    const time = new Map(images.map(({ id, config }) => [id, Date.parse(config.created ?? '') || 0]));
    return images.sort((a, b) => (time.get(b.id) ?? 0) - (time.get(a.id) ?? 0) || (a.id < b.id ? -1 : 1));
  });
}

/** Those that a list shows: not the nameless ones that others were made from. */
export function listedImages(images: readonly Image[]): Image[] {
  const parents = new Set(images.map(({ record }) => record.parent));
  return images.filter(({ id, references }) => references.length > 0 || !parents.has(id));
}
