// /images: what is loaded, loading more, names, removal.

import { pipeline } from 'node:stream/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { sweepInitLayers } from '../container/init-layer.js';
import { labelsOf, tellOfImage } from './image-events.js';
import { createdAt, imageRow, inspection } from './image-view.js';
import {
  ImageInUse,
  NoSuchImage,
  type RemoveOptions,
  familiarName,
  listImages,
  listedImages,
  loadImage,
  removeImage,
  resolveImage,
  splitTag,
} from '../image/index.js';
import { badParameter } from '../container/errors.js';
import { removeTree } from '../process/remove-tree.js';
import { readRecords } from '../transport/registry.js';
import { pruneAlone } from './alone.js';
import { parseMoment } from './moment.js';
import type { Engine } from './engine.js';
import type { Call, Filters, Router } from './http.js';

/** `busybox`, `busybox:*`, `*`: a pattern over the familiar name. */
function fitsReference(pattern: string, reference: string): boolean {
  const name = familiarName(reference);
  const { repository } = splitTag(reference);
  const expression = new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '[^/]*')
      .replace(/\?/g, '[^/]')}$`,
  );
  return expression.test(name) || expression.test(familiarName(repository));
}

/** What `since`, `before` and `until` say of a time. Errors: 400, NoSuchImage. */
async function limitsOf(engine: Engine, filters: Filters): Promise<(time: number) => boolean> {
  const timeOf = async (name: string): Promise<number | undefined> => {
    const [reference] = filters.get(name);
    return reference === undefined ? undefined : createdAt(await resolveImage(engine.context.store, reference));
  };
  const since = (await timeOf('since')) ?? -Infinity;
  const before = (await timeOf('before')) ?? Infinity;
  const [moment] = filters.get('until');
  const until = moment === undefined ? Infinity : parseMoment(moment);
  return (time) => time > since && time < before && time < until;
}

async function list(engine: Engine, call: Call): Promise<void> {
  const filters = call.filters();
  filters.check(['before', 'dangling', 'label', 'reference', 'since', 'until']);
  const dangling = filters.boolean('dangling');
  // As clients of before 1.41 say it.
  const named = call.version[1] < 41 ? call.query.get('filter') : null;
  const patterns = [...filters.get('reference'), ...(named ? [named] : [])];
  const rows: object[] = [];
  const all = await listImages(engine.context.store);
  const limits = await limitsOf(engine, filters);
  for (const image of call.flag('all') ? all : listedImages(all)) {
    if (!limits(createdAt(image))) continue;
    if (dangling !== undefined && dangling !== (image.references.length === 0)) continue;
    if (!filters.matchLabels('label', image.config.config.Labels ?? {})) continue;
    const shown =
      patterns.length === 0 ? image.references : image.references.filter((each) => patterns.some((p) => fitsReference(p, each)));
    if (patterns.length > 0 && shown.length === 0) continue;
    rows.push(imageRow(image, shown));
  }
  call.answer(200, rows);
}

async function inspect(engine: Engine, call: Call): Promise<void> {
  call.answer(200, inspection(await resolveImage(engine.context.store, call.param())));
}

/** Work that needs these layers, or a root mounted by hand that shows `own`, those that would go with the image. */
function userOf(engine: Engine, layers: readonly string[], own: readonly string[]): string | undefined {
  const holder = engine.context.registry.holderOf(layers);
  if (holder !== undefined) return `image is being used by ${holder}`;
  const mounted = readRecords().find(({ lowers }) => lowers.some((lower) => own.includes(lower)));
  return mounted && `it is mounted at ${mounted.target}: unmount it first`;
}

type Removal = { readonly Untagged: string } | { readonly Deleted: string };

async function removeOne(engine: Engine, reference: string, options: RemoveOptions): Promise<Removal[]> {
  const { store } = engine.context;
  // What it is labelled with cannot be read any more when it is gone.
  const labels = labelsOf(await resolveImage(store, reference).catch(() => undefined));
  const removed = await removeImage(store, reference, { ...options, inUse: (layers, own) => userOf(engine, layers, own) });
  for (let left = removed.untagged.length; left > 0; left--) await tellOfImage(engine, 'untag', removed.id, { labels });
  for (const id of removed.images) await tellOfImage(engine, 'delete', id, { labels: {} });
  await sweepInitLayers(engine.context);
  return [
    ...removed.untagged.map((name) => ({ Untagged: familiarName(name) })),
    ...removed.deleted.map((Deleted) => ({ Deleted })),
  ];
}

async function remove(engine: Engine, call: Call): Promise<void> {
  const options = { force: call.flag('force'), prune: !call.flag('noprune') };
  if (call.param().trim() === '') throw badParameter('image name cannot be blank');
  call.answer(200, await removeOne(engine, call.param(), options));
}

/** `POST /images/prune`: nameless images that nothing was made from, with `dangling=false` all that no container uses. */
async function prune(engine: Engine, call: Call): Promise<void> {
  const filters = call.filters();
  filters.check(['dangling', 'label', 'label!', 'until']);
  const onlyDangling = filters.boolean('dangling') ?? true;
  const limits = await limitsOf(engine, filters);
  const { store, registry } = engine.context;
  const before = await layerBytes(engine);
  const removed: Removal[] = [];
  for (const image of listedImages(await listImages(store))) {
    if (onlyDangling && image.references.length > 0) continue;
    if (registry.imageUsers(image.id).length > 0 || !limits(createdAt(image))) continue;
    if (!filters.fitLabels(image.config.config.Labels ?? {})) continue;
    for (const name of image.references.length > 0 ? image.references : [`sha256:${image.id}`]) {
      try {
        removed.push(...(await removeOne(engine, name, {})));
      } catch (error) {
        // Something has begun to use it meanwhile.
        if (!(error instanceof ImageInUse || error instanceof NoSuchImage)) throw error;
      }
    }
  }
  const reclaimed = before - (await layerBytes(engine));
  engine.context.events.publish('image', 'prune', '', { reclaimed: String(reclaimed) });
  call.answer(200, { ImagesDeleted: removed, SpaceReclaimed: reclaimed });
}

/** What all layers take on disk. */
export async function layerBytes(engine: Engine): Promise<number> {
  const layers = await engine.context.store.transaction((records) => records.list('layer'));
  return layers.reduce((sum, { size }) => sum + size, 0);
}

/** An archive is read more than once, so it is kept in a file while it is loaded. */
async function spool(engine: Engine, call: Call): Promise<{ path: string; remove: () => Promise<void> }> {
  const directory = engine.context.store.makeStaging();
  const path = join(directory, 'archive.tar');
  const remove = (): Promise<void> => removeTree(directory);
  try {
    await pipeline(call.upload(), createWriteStream(path, { mode: 0o600 }));
  } catch (error) {
    await remove();
    throw error;
  }
  return { path, remove };
}

async function load(engine: Engine, call: Call): Promise<void> {
  const { store } = engine.context;
  const archive = await spool(engine, call);
  try {
    const { images } = await loadImage(store, archive.path, { signal: call.signal, label: 'the archive' });
    const out = call.stream('application/json');
    for (const { id, names } of images) {
      await tellOfImage(engine, 'load', id);
      const lines =
        names.length > 0 ? names.map((name) => `Loaded image: ${familiarName(name)}`) : [`Loaded image ID: sha256:${id}`];
      for (const line of lines) out.write(`${JSON.stringify({ stream: `${line}\n` })}\n`);
    }
    out.end();
  } finally {
    await archive.remove();
  }
}

export function imageRoutes(engine: Engine, router: Router): void {
  router.on('GET', '/images/json', (call) => list(engine, call));
  router.on('POST', '/images/prune', (call) => pruneAlone(engine, 'images', () => prune(engine, call)));
  router.on('POST', '/images/load', (call) => load(engine, call));
  router.on('GET', '/images/{}/json', (call) => inspect(engine, call));
  router.on('DELETE', '/images/{}', (call) => remove(engine, call));
}
