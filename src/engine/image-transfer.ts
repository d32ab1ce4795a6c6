// Images in and out, and their names: save, tag, history, import.

import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { changedConfig, isUrl, withUrl } from '../build/index.js';
import { parsePlatform } from '../container/create.js';
import { badParameter, messageOf, notFound } from '../container/errors.js';
import {
  type Image,
  type SavedImage,
  canonicalName,
  commitImage,
  familiarName,
  imageHistory,
  listImages,
  plainTar,
  pullImage,
  pushImage,
  resolveImage,
  saveImages,
  RegistryError,
  splitTag,
  tagImage,
} from '../image/index.js';
import { removeTree } from '../process/remove-tree.js';
import { labelsOf, tellOfImage, tellOfTransfer } from './image-events.js';
import { credentialsOf } from './registry-auth.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';

/** What a name on the command line of `save` stands for: an image by one name, by all of a repository's, or without any. */
async function savedImages(engine: Engine, references: readonly string[]): Promise<SavedImage[]> {
  const { store } = engine.context;
  const found = new Map<string, { image: Image; names: Set<string> }>();
  const add = (image: Image, names: readonly string[]): void => {
    const known = found.get(image.id) ?? { image, names: new Set() };
    for (const name of names) known.names.add(name);
    found.set(image.id, known);
  };
  for (const reference of references) {
    const isBare = !/[:@]/.test(reference.split('/').at(-1) ?? '');
    const all = isBare ? await listImages(store) : [];
    const repository = isBare && !/^[0-9a-f]{64}$/.test(reference) ? tryRepository(reference) : undefined;
    const tagged = all.filter(({ references: names }) => names.some((name) => splitTag(name).repository === repository));
    if (tagged.length > 0) {
      for (const image of tagged)
        add(
          image,
          image.references.filter((name) => splitTag(name).repository === repository),
        );
      continue;
    }
    const image = await resolveImage(store, reference);
    add(image, isBare || reference.includes('@') || reference.startsWith('sha256:') ? [] : [canonicalName(reference)]);
  }
  return [...found.values()].map(({ image, names }) => ({ image, names: [...names] }));
}

function tryRepository(reference: string): string | undefined {
  try {
    return splitTag(canonicalName(reference)).repository;
  } catch {
    return undefined;
  }
}

/** Does `work` while nobody removes these images. */
function holdingAll(engine: Engine, user: string, images: readonly Image[], work: () => Promise<void>): Promise<void> {
  const { registry } = engine.context;
  return images.reduce(
    (inner, { layers }) =>
      () =>
        registry.holding(user, layers, inner),
    work,
  )();
}

async function save(engine: Engine, call: Call, references: readonly string[]): Promise<void> {
  if (references.length === 0) throw badParameter('no image was named');
  const saved = await savedImages(engine, references);
  const images = saved.map(({ image }) => image);
  await holdingAll(engine, 'a save that is under way', images, () => sendImages(engine, call, saved));
}

async function sendImages(engine: Engine, call: Call, saved: readonly SavedImage[]): Promise<void> {
  const chunks = saveImages(engine.context.store, saved, call.signal);
  // What can be wrong is known with the first layer.
  const first = await chunks.next();
  const out = call.stream('application/x-tar');
  if (!first.done) out.write(first.value);
  await pipeline(Readable.from(chunks, { objectMode: false }), out);
  for (const { image } of saved) await tellOfImage(engine, 'save', image.id, { labels: labelsOf(image) });
}

/** The name that `repo` and `tag` give a new image, canonical; none without `repo`. Errors: InvalidReference. */
export function namesAsked(call: Call): string[] {
  const repository = call.query.get('repo') ?? '';
  const tag = call.query.get('tag') ?? '';
  return repository === '' ? [] : [canonicalName(tag === '' ? repository : `${repository}:${tag}`)];
}

async function tag(engine: Engine, call: Call): Promise<void> {
  const repository = call.query.get('repo') ?? '';
  const name = call.query.get('tag') ? `${repository}:${call.query.get('tag') ?? ''}` : repository;
  await tagImage(engine.context.store, call.param(), name);
  const { id } = await resolveImage(engine.context.store, name);
  await tellOfImage(engine, 'tag', id, { name: familiarName(canonicalName(name)) });
  call.answer(201);
}

/** What the image was made of, step by step, as far as it is here: itself first. */
async function ancestry(engine: Engine, image: Image): Promise<Image[]> {
  const all = new Map((await listImages(engine.context.store)).map((each) => [each.id, each]));
  const found = [image];
  for (let at = all.get(image.record.parent ?? ''); at; at = all.get(at.record.parent ?? '')) found.push(at);
  return found;
}

async function history(engine: Engine, call: Call): Promise<void> {
  const { store } = engine.context;
  const image = await resolveImage(store, call.param());
  const sizes = await store.transaction((records) =>
    Promise.all(image.record.layers.map(async ({ key }) => (await records.get('layer', key))?.size ?? 0)),
  );
  const entries = imageHistory(image, sizes);
  const made = await ancestry(engine, image);
  call.answer(
    200,
    entries.map(({ id, created, createdBy, comment, size }, i) => {
      const names = made[i]?.references.map(familiarName) ?? [];
      return {
        Id: made[i] ? `sha256:${made[i].id}` : id,
        Created: created,
        CreatedBy: createdBy,
        Tags: names.length > 0 ? names : null,
        Size: size,
        Comment: comment,
      };
    }),
  );
}

/** What is to be imported: what the client sends, or what a URL names. */
async function receive(call: Call, from: string, path: string): Promise<void> {
  const keep = (body: Readable): Promise<void> => pipeline(body, createWriteStream(path, { mode: 0o600 }));
  if (from === '-') return keep(call.upload());
  await withUrl(isUrl(from) ? from : `http://${from}`, call.signal, ({ body }) => keep(body));
}

/** `POST /images/create?fromSrc=-` or `=URL`: a tar of a root becomes an image of one layer. */
export async function importImage(engine: Engine, call: Call): Promise<void> {
  const { store } = engine.context;
  const from = call.query.get('fromSrc') || '-';
  const names = namesAsked(call);
  const config = changedConfig({}, call.query.getAll('changes'));
  const staging = store.makeStaging();
  try {
    const path = join(staging, 'root.tar');
    await receive(call, from, path);
    const comment = call.query.get('message') ?? '';
    const id = await commitImage(store, {
      parent: undefined,
      layer: plainTar(createReadStream(path, { highWaterMark: 1 << 20 }), call.signal),
      config,
      author: '',
      comment: comment || `Imported from ${from}`,
      createdBy: '',
      names,
    });
    await tellOfImage(engine, 'import', id);
    call.stream('application/json').end(`${JSON.stringify({ status: `sha256:${id}` })}\n`);
  } finally {
    await removeTree(staging);
  }
}

/** What to do about a registry's refusal, when its message does not say so itself. */
const NEXT_STEP: Readonly<Record<RegistryError['kind'], string>> = {
  denied: 'check the name, or log in to the registry',
  'not-found': 'check the name and the tag',
  unauthorized: 'log in to the registry again',
  unreachable: 'check the name of the registry and the network',
  broken: 'try again, or ask who runs the registry',
};

/** One line for the daemon's log; undefined when there is nothing to do about it. */
function complaint(error: unknown): string | undefined {
  if (!(error instanceof RegistryError)) return undefined;
  return error.message.includes('; ') ? error.message : `${error.message}; ${NEXT_STEP[error.kind]}`;
}

/** Lines of progress as the answer; an error after the first of them is the last. `what` is said in the log. */
async function told(
  engine: Engine,
  call: Call,
  what: string,
  work: (progress: (message: object) => void) => Promise<void>,
): Promise<void> {
  let out: Writable | undefined;
  const write = (message: object): void => void (out ??= call.stream('application/json')).write(`${JSON.stringify(message)}\n`);
  try {
    await work(write);
    if (out) out.end();
    else call.answer(200);
  } catch (error) {
    // What nobody foresaw is logged with its stack, unless the answer has begun.
    const line = complaint(error) ?? (out && messageOf(error));
    if (line !== undefined && !call.signal.aborted) engine.context.log(`${what}: ${line}`);
    if (!out) throw error;
    const message = messageOf(error);
    write({ errorDetail: { message }, error: message });
    out.end();
  }
}

/** `POST /images/{name}/push?tag=T`; every tag of the repository when none is said. */
async function push(engine: Engine, call: Call): Promise<void> {
  const { store } = engine.context;
  const tagText = call.query.get('tag') ?? '';
  const { repository } = splitTag(canonicalName(call.param()));
  const names =
    tagText !== ''
      ? [`${repository}:${tagText}`]
      : (await listImages(store)).flatMap(({ references }) =>
          references.filter((name) => splitTag(name).repository === repository),
        );
  await told(engine, call, `push ${familiarName(names[0] ?? repository)}`, async (progress) => {
    const credentials = await credentialsOf(call, repository);
    if (names.length === 0) throw notFound(`An image does not exist locally with the tag: ${familiarName(repository)}`);
    for (const name of names) {
      const image = await resolveImage(store, name).catch(() => undefined);
      await holdingAll(engine, 'a push that is under way', image ? [image] : [], async () => {
        const pushed = await pushImage(store, name, { ...(credentials ? { credentials } : {}), signal: call.signal, progress });
        progress({ progressDetail: {}, aux: { Tag: pushed.tag, Digest: `sha256:${pushed.digest}`, Size: pushed.size } });
      });
      tellOfTransfer(engine, 'push', name, image);
    }
  });
}

/** `POST /images/create?fromImage=X&tag=Y`. */
async function pull(engine: Engine, call: Call): Promise<void> {
  const { store } = engine.context;
  const from = call.query.get('fromImage') ?? '';
  const tagText = call.query.get('tag') ?? '';
  const name = tagText === '' ? from : tagText.includes(':') ? `${from}@${tagText}` : `${from}:${tagText}`;
  const platform = parsePlatform(call.query.get('platform') || 'linux');
  await told(engine, call, `pull ${name}`, async (progress) => {
    const credentials = await credentialsOf(call, name);
    const asked = { ...(credentials ? { credentials } : {}), ...(platform ? { platform } : {}) };
    const pulled = await pullImage(store, name, { ...asked, signal: call.signal, progress });
    tellOfTransfer(engine, 'pull', pulled.name, await resolveImage(store, pulled.name).catch(() => undefined));
  });
}

export function imageTransferRoutes(engine: Engine, router: Router): void {
  router.on('GET', '/images/get', (call) =>
    save(
      engine,
      call,
      call.query.getAll('names').flatMap((names) => names.split(',')),
    ),
  );
  router.on('GET', '/images/{}/get', (call) => save(engine, call, [call.param()]));
  router.on('POST', '/images/{}/tag', (call) => tag(engine, call));
  router.on('GET', '/images/{}/history', (call) => history(engine, call));
  router.on('POST', '/images/{}/push', (call) => push(engine, call));
  router.on('POST', '/images/create', (call) => (call.query.has('fromImage') ? pull(engine, call) : importImage(engine, call)));
}
