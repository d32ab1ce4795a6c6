// How images are shown in a list: the rows and columns of Docker's table. Called by image.ts and image-lists.ts.

import { familiarName, splitTag } from '../image/index.js';
import type { Columns } from './table.js';
import { age, humanSize } from './units.js';
import type { Image } from '../image/index.js';

/** One row of `image ls`: an image has one for each of its names. */
export type Row = Readonly<Record<'Repository' | 'Tag' | 'ID' | 'CreatedAt' | 'CreatedSince' | 'Size' | 'Digest', string>> &
  Readonly<Record<string, string>>;

export function rowsOf(image: Image, truncate: boolean): Row[] {
  const id = truncate ? image.id.slice(0, 12) : `sha256:${image.id}`;
  const digest = image.record.manifest === undefined ? '<none>' : `sha256:${image.record.manifest}`;
  const shared = {
    ID: id,
    CreatedAt: image.config.created ?? '',
    CreatedSince: age(image.config.created),
    Size: humanSize(image.size),
    Digest: digest,
  };
  if (image.references.length === 0) return [{ ...shared, Repository: '<none>', Tag: '<none>' }];
  return image.references.map((name) => {
    const { repository, tag } = splitTag(name);
    return { ...shared, Repository: familiarName(repository), Tag: tag };
  });
}

export const COLUMNS: Columns<Row> = [
  ['Repository', 'REPOSITORY'],
  ['Tag', 'TAG'],
  ['ID', 'IMAGE ID'],
  ['CreatedSince', 'CREATED'],
  ['Size', 'SIZE'],
];
