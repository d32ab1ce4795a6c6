// `lamina image ls` and `rm` while no engine runs: the data root is read and changed here. Called by image-lists.ts.

import { type Image, familiarName, listedImages, listImages, removeImage, splitTag } from '../image/index.js';
import { dataRoot, withStore } from '../store/index.js';
import { readRecords } from '../transport/registry.js';
import type { Offline } from './command.js';
import { explain, tellOfImages } from './image-failures.js';
import { COLUMNS, type Row } from './image-lists.js';
import { renderRows } from './table.js';
import { age, humanSize } from './units.js';

/** One row for each name of an image. */
function rowsOf(image: Image, truncate: boolean): Row[] {
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

function matches(row: Row, filter: string | undefined): boolean {
  return filter === undefined || familiarName(row.Repository) === filter || `${row.Repository}:${row.Tag}` === filter;
}

export const ls: Offline = {
  flags: ['all', 'format', 'json', 'no-trunc', 'quiet'],
  tell: tellOfImages,
  async run(args) {
    const all = await withStore(dataRoot(), listImages);
    const images = args.has('all') ? all : listedImages(all);
    const rows = images.flatMap((image) => rowsOf(image, !args.has('no-trunc'))).filter((row) => matches(row, args.rest[0]));
    const format = args.has('json') ? 'json' : args.value('format');
    if (args.has('quiet')) for (const id of new Set(rows.map((row) => row.ID))) process.stdout.write(`${id}\n`);
    else process.stdout.write(renderRows(format, COLUMNS, rows));
    return 0;
  },
};

/** A sentence about the first mount that has one of the layer directories that would go, or undefined. */
function layerUsers(_: readonly string[], own: readonly string[]): string | undefined {
  const wanted = new Set(own);
  const user = readRecords().find((record) => record.lowers.some((lower) => wanted.has(lower)));
  return user && `mounted on ${user.target}: run \`lamina umount ${user.target}\` first`;
}

export const rm: Offline = {
  flags: [],
  tell: tellOfImages,
  run: (args) =>
    withStore(dataRoot(), async (store) => {
      let code = 0;
      for (const name of args.rest) {
        try {
          const { untagged, deleted } = await removeImage(store, name, { inUse: layerUsers });
          for (const each of untagged) process.stdout.write(`Untagged: ${familiarName(each)}\n`);
          for (const each of deleted) process.stdout.write(`Deleted: ${each}\n`);
        } catch (error) {
          process.stderr.write(`Error: ${explain(error)}\n`);
          code = 1;
        }
      }
      return code;
    }),
};
