// /images: what is loaded, loading more, names, removal.

import { pipeline } from 'node:stream/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { removeInitLayer } from '../container/init-layer.js';
import { inspection } from './image-view.js';
import { type Image, familiarName, listImages, loadImage, removeImage, resolveImage, splitTag } from '../image/index.js';
import { removeTree } from '../store/index.js';
import { readRecords } from '../transport/registry.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';

function row(engine: Engine, image: Image, references: readonly string[]): object {
  return {
    Id: `sha256:${image.id}`,
    ParentId: '',
    RepoTags: references.map(familiarName),
    RepoDigests: image.digests.map(familiarName),
    Created: Math.floor((Date.parse(image.config.created ?? '') || 0) / 1000),
    Size: image.size,
    SharedSize: -1,
    VirtualSize: image.size,
    Labels: image.config.config.Labels ?? null,
    Containers: engine.context.registry.imageUsers(image.id).length,
  };
}

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

async function list(engine: Engine, call: Call): Promise<void> {
  const filters = call.filters();
  filters.check(['before', 'dangling', 'label', 'reference', 'since', 'until']);
  const dangling = filters.boolean('dangling');
  const rows: object[] = [];
  for (const image of await listImages(engine.context.store)) {
    if (dangling !== undefined && dangling !== (image.references.length === 0)) continue;
    if (!filters.matchLabels('label', image.config.config.Labels ?? {})) continue;
    const patterns = filters.get('reference');
    const shown =
      patterns.length === 0 ? image.references : image.references.filter((each) => patterns.some((p) => fitsReference(p, each)));
    if (patterns.length > 0 && shown.length === 0) continue;
    rows.push(row(engine, image, shown));
  }
  call.answer(200, rows);
}

async function inspect(engine: Engine, call: Call): Promise<void> {
  call.answer(200, inspection(await resolveImage(engine.context.store, call.param())));
}

/** A root mounted by hand that shows these layers. */
function mountOf(layers: readonly string[]): string | undefined {
  const mounted = readRecords().find(({ lowers }) => lowers.some((lower) => layers.includes(lower)));
  return mounted && `it is mounted at ${mounted.target}: unmount it first`;
}

async function remove(engine: Engine, call: Call): Promise<void> {
  const { store, events } = engine.context;
  const removed = await removeImage(store, call.param(), {
    force: call.flag('force'),
    inUse: mountOf,
  });
  for (const name of removed.untagged) events.publish('image', 'untag', familiarName(name), { name: familiarName(name) });
  const [id] = removed.deleted;
  if (id !== undefined) removeInitLayer(engine.context, id.replace(/^sha256:/, ''));
  if (id !== undefined) events.publish('image', 'delete', id, { name: id });
  call.answer(200, [
    ...removed.untagged.map((name) => ({ Untagged: familiarName(name) })),
    ...removed.deleted.map((Deleted) => ({ Deleted })),
  ]);
}

/** An archive is read more than once, so it is kept in a file while it is loaded. */
async function spool(engine: Engine, call: Call): Promise<{ path: string; remove: () => void }> {
  const directory = engine.context.store.makeStaging();
  const path = join(directory, 'archive.tar');
  await pipeline(call.request, createWriteStream(path, { mode: 0o600 }));
  return { path, remove: () => removeTree(directory) };
}

async function load(engine: Engine, call: Call): Promise<void> {
  const { store, events } = engine.context;
  const archive = await spool(engine, call);
  try {
    const { images } = await loadImage(store, archive.path, { signal: call.signal });
    const out = call.stream('application/json');
    for (const { id, names } of images) {
      events.publish('image', 'load', `sha256:${id}`, { name: `sha256:${id}` });
      const lines =
        names.length > 0 ? names.map((name) => `Loaded image: ${familiarName(name)}`) : [`Loaded image ID: sha256:${id}`];
      for (const line of lines) out.write(`${JSON.stringify({ stream: `${line}\n` })}\n`);
    }
    out.end();
  } finally {
    archive.remove();
  }
}

export function imageRoutes(engine: Engine, router: Router): void {
  router.on('GET', '/images/json', (call) => list(engine, call));
  router.on('POST', '/images/load', (call) => load(engine, call));
  router.on('GET', '/images/{}/json', (call) => inspect(engine, call));
  router.on('DELETE', '/images/{}', (call) => remove(engine, call));
}
