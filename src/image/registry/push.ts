// Pushes an image: each layer built again from its files, compressed, and sent where the registry lacks it; then config and
// manifest. Called by engine/.

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { removeTree } from '../../process/remove-tree.js';
import type { Store } from '../../store/index.js';
import type { Descriptor } from '../descriptor.js';
import { NoSuchImage, resolveImage } from '../images.js';
import type { Image } from '../images.js';
import { sha256 } from '../plan.js';
import { canonicalName, familiarName, InvalidReference, parseReference } from '../reference.js';
import type { Reference } from '../reference.js';
import { verifiedTar } from '../tar-split.js';
import { RegistryClient } from './client.js';
import type { ClientOptions } from './client.js';
import { paced, shortId } from './layer-downloads.js';
import type { Report, TransferEvent } from './layer-downloads.js';
import { refusal } from './manifest.js';
import { RegistryError } from './registry-error.js';
import { discard, readRefusal } from './transport.js';
import type { Reply } from './transport.js';

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

export interface PushOptions extends ClientOptions {
  /** Lines as Docker streams them. Called often; must be quick. */
  readonly progress?: (event: TransferEvent) => void;
}

export interface Pushed {
  /** Hex sha256 of the manifest. */
  readonly digest: string;
  /** Of the manifest, in bytes. */
  readonly size: number;
  readonly tag: string;
}

/** A blob that can be read as often as a try needs it. */
interface Source extends Descriptor {
  readonly read: () => Readable;
}

class Push {
  private readonly report: Report;

  constructor(
    private readonly store: Store,
    private readonly client: RegistryClient,
    private readonly reference: Reference,
    private readonly image: Image,
    private readonly options: PushOptions,
  ) {
    this.report = options.progress ?? ((): void => undefined);
  }

  async run(staging: string): Promise<Pushed> {
    const { repository, tag = 'latest' } = this.reference;
    this.report({ status: `The push refers to repository [${repository}]` });
    const { layers: wanted } = this.image.record;
    for (const { diffId } of wanted) this.report({ id: shortId(diffId), status: 'Preparing', progressDetail: {} });
    await this.client.open();
    const sent = new Map<string, Descriptor>();
    for (const layer of wanted) {
      if (!sent.has(layer.diffId)) sent.set(layer.diffId, await this.layer(layer, staging));
    }
    const text = Buffer.from(this.image.record.config);
    const config = { mediaType: CONFIG, digest: this.image.id, size: text.length };
    await this.upload({ ...config, read: () => Readable.from([text]) }, () => undefined);
    const layers = wanted.flatMap(({ diffId }) => sent.get(diffId) ?? []);
    const described = [config, ...layers].map((blob) => ({ ...blob, digest: `sha256:${blob.digest}` }));
    const manifest = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: described[0], layers: described.slice(1) }),
    );
    await this.manifest(tag, manifest);
    const digest = sha256(manifest);
    this.report({ status: `${tag}: digest: sha256:${digest} size: ${manifest.length}` });
    return { digest, size: manifest.length, tag };
  }

  /** Its digest is known only once it is compressed, so that goes to a file first. */
  private async layer(layer: { readonly key: string; readonly diffId: string }, staging: string): Promise<Descriptor> {
    const id = shortId(layer.diffId);
    const path = join(staging, layer.diffId);
    const digest = await this.compress(layer, path);
    const blob = { mediaType: LAYER, digest, size: statSync(path).size };
    const progress = paced(
      (current) => this.report({ id, status: 'Pushing', progressDetail: { current, total: blob.size } }),
      blob.size,
    );
    const isNew = await this.upload({ ...blob, read: () => createReadStream(path, { highWaterMark: 1 << 18 }) }, progress);
    this.report({ id, status: isNew ? 'Pushed' : 'Layer already exists', progressDetail: {} });
    rmSync(path);
    return blob;
  }

  /** Without a time or a name in its header, so the same layer always gives the same bytes. */
  private async compress({ key, diffId }: { readonly key: string; readonly diffId: string }, path: string): Promise<string> {
    const packed = createHash('sha256');
    const { signal } = this.options;
    await pipeline(
      verifiedTar(dirname(this.store.layerDir(key)), diffId),
      createGzip({ level: 6 }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          packed.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(path, { mode: 0o600 }),
      { signal },
    );
    return packed.digest('hex');
  }

  /** False when it was there already. */
  private async upload(blob: Source, progress: (current: number) => void): Promise<boolean> {
    const known = await this.client.request(`blobs/sha256:${blob.digest}`, { method: 'HEAD' });
    discard(known);
    if (known.status === 200) return false;
    const begun = await this.client.request('blobs/uploads/', { method: 'POST', headers: { 'Content-Length': '0' } });
    const location = begun.header('location');
    if (begun.status !== 202 || location === undefined) throw await this.refused(begun);
    discard(begun);
    if (!URL.canParse(location, begun.url.href) || !/^https?:$/.test(new URL(location, begun.url).protocol))
      throw new RegistryError('broken', `${begun.url.href}: it wants the blob at ${JSON.stringify(location)}`);
    const to = new URL(location, begun.url);
    to.searchParams.set('digest', `sha256:${blob.digest}`);
    const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': `${blob.size}` };
    const body = (): Readable => blob.read().pipe(counting(progress));
    const reply = await this.client.request(to, { method: 'PUT', headers, body });
    if (reply.status !== 201) throw await this.refused(reply);
    discard(reply);
    return true;
  }

  private async manifest(tag: string, data: Buffer): Promise<void> {
    const headers = { 'Content-Type': MANIFEST, 'Content-Length': `${data.length}` };
    const reply = await this.client.request(`manifests/${tag}`, { method: 'PUT', headers, body: data });
    if (reply.status !== 201) throw await this.refused(reply);
    discard(reply);
  }

  private async refused(reply: Reply): Promise<RegistryError> {
    const { status, url } = reply;
    const missing = `${url.href}: the registry takes no images here`;
    return refusal({ status, url, data: await readRefusal(reply) }, this.reference, missing, 'push');
  }
}

function counting(progress: (current: number) => void): Transform {
  let current = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      progress((current += chunk.length));
      done(null, chunk);
    },
  });
}

/**
 * Pushes the image that NAME[:TAG] stands for to the registry that the name says.
 * Errors: `NoSuchImage`, `InvalidReference`, `RegistryError`, `ImageError` (a layer whose tar cannot be built), the signal's reason.
 */
export async function pushImage(store: Store, text: string, options: PushOptions = {}): Promise<Pushed> {
  const name = canonicalName(text);
  const reference = parseReference(name);
  if (parseReference(text).digest !== undefined) throw new InvalidReference(`cannot push a digest reference: "${text}"`);
  const image = await resolveImage(store, name).catch((error: unknown) => {
    if (!(error instanceof NoSuchImage)) throw error;
    throw new NoSuchImage(`An image does not exist locally with the tag: ${familiarName(reference.repository)}`);
  });
  const client = new RegistryClient(reference.repository, 'pull,push', options);
  const staging = store.makeStaging();
  try {
    return await new Push(store, client, reference, image, options).run(staging);
  } finally {
    client.close();
    await removeTree(staging);
  }
}
