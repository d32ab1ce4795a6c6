// Giving images names, and telling how they came to be.

import type { Store } from '../store/index.js';
import { findImage, type Image } from './images.js';
import { canonicalName, familiarName, InvalidReference, parseReference } from './reference.js';

/** Names the image that `source` stands for. Errors: NoSuchImage, InvalidReference. */
export async function tagImage(store: Store, source: string, name: string): Promise<void> {
  const key = canonicalName(name);
  if (parseReference(name).digest !== undefined) throw new InvalidReference('refusing to create a tag with a digest reference');
  if (familiarName(key).startsWith('sha256:')) {
    throw new InvalidReference('refusing to create an ambiguous tag using digest algorithm as name');
  }
  await store.transaction(async (records) => {
    const { record } = await findImage(records, source);
    await records.commit([{ table: 'reference', key, value: { name: key, id: record.id } }]);
  });
}

export interface HistoryEntry {
  /** `<missing>` for all but the topmost, whose image is known. */
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly createdBy: string;
  readonly comment: string;
  readonly size: number;
}

/** Newest first. `sizes`: bytes of each layer, bottom first. */
export function imageHistory(image: Image, sizes: readonly number[]): HistoryEntry[] {
  const raw = (image.config.raw['history'] as readonly Record<string, unknown>[] | undefined) ?? [];
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const created = (value: unknown): number => Math.floor((Date.parse(text(value)) || 0) / 1000);
  // Layers that the history does not tell of are the oldest.
  let layer = Math.max(0, sizes.length - raw.filter((entry) => entry['empty_layer'] !== true).length);
  const untold = sizes.slice(0, layer).map((size): HistoryEntry => ({
    id: '<missing>',
    created: created(image.config.created),
    createdBy: '',
    comment: '',
    size,
  }));
  const told = raw.map((entry): HistoryEntry => ({
    id: '<missing>',
    created: created(entry['created']),
    createdBy: text(entry['created_by']),
    comment: text(entry['comment']),
    size: entry['empty_layer'] === true ? 0 : (sizes[layer++] ?? 0),
  }));
  const entries = [...untold, ...told];
  return entries.reverse().map((entry, i) => (i === 0 ? { ...entry, id: `sha256:${image.id}` } : entry));
}
