// Images as an archive that is both: a docker-archive (manifest.json, repositories) and an OCI layout (index.json), as Docker
// writes since version 25. Layers go out as the tars they came in. Read back by lamina, docker, podman and skopeo.

import { createReadStream, createWriteStream, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { removeTree } from '../process/remove-tree.js';
import type { Store } from '../store/index.js';
import { END_OF_ARCHIVE, blankHeader, encodeHeader, padding } from '../tar/tar-encode.js';
import type { Image } from './images.js';
import { sha256 } from './plan.js';
import { familiarName, splitTag } from './reference.js';
import { verifiedTar } from './tar-split.js';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** An image and the names it is to have in the archive. */
export interface SavedImage {
  readonly image: Image;
  /** Canonical. */
  readonly names: readonly string[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: object;
}

function* member(name: string, data: Buffer): Generator<Buffer> {
  yield encodeHeader({ ...blankHeader(name, '0'), size: data.length });
  yield data;
  yield padding(data.length);
}

function* directory(name: string): Generator<Buffer> {
  yield encodeHeader({ ...blankHeader(`${name}/`, '5'), mode: 0o755 });
}

/** Each layer once, built into a file first: its size must stand before its data, and its digest must hold. */
class Layers {
  readonly #sizes = new Map<string, number>();

  constructor(
    private readonly store: Store,
    private readonly staging: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async *member(layer: { readonly key: string; readonly diffId: string }): AsyncGenerator<Buffer> {
    if (this.#sizes.has(layer.diffId)) return;
    const path = join(this.staging, layer.diffId);
    await pipeline(
      verifiedTar(dirname(this.store.layerDir(layer.key)), layer.diffId),
      createWriteStream(path, { mode: 0o600 }),
      ...(this.signal ? [{ signal: this.signal }] : []),
    );
    const { size } = statSync(path);
    this.#sizes.set(layer.diffId, size);
    yield encodeHeader({ ...blankHeader(`blobs/sha256/${layer.diffId}`, '0'), size });
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) yield chunk as Buffer;
    yield padding(size);
    rmSync(path);
  }

  descriptor(diffId: string): Descriptor {
    return { mediaType: OCI_LAYER, digest: `sha256:${diffId}`, size: this.#sizes.get(diffId) ?? 0 };
  }
}

function manifestOf({ image }: SavedImage, layers: Layers): Buffer {
  const config = Buffer.from(image.record.config);
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: `sha256:${image.id}`, size: config.length },
      layers: image.record.layers.map(({ diffId }) => layers.descriptor(diffId)),
    }),
  );
}

function indexEntries({ image, names }: SavedImage, manifest: Buffer): Descriptor[] {
  const base = {
    mediaType: OCI_MANIFEST,
    digest: `sha256:${sha256(manifest)}`,
    size: manifest.length,
    platform: { architecture: image.config.architecture, os: image.config.os },
  };
  if (names.length === 0) return [base];
  return names.map((name) => ({
    ...base,
    annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': splitTag(name).tag },
  }));
}

/** Who has which name, in the words of before Docker 1.10, which scripts still read: by repository and tag its topmost layer. */
function repositoriesOf(saved: readonly SavedImage[]): Record<string, Record<string, string>> {
  const found: Record<string, Record<string, string>> = {};
  for (const { image, names } of saved) {
    const top = image.record.layers.at(-1)?.diffId;
    if (top === undefined) continue;
    for (const { repository, tag } of names.map(splitTag)) (found[familiarName(repository)] ??= {})[tag] = top;
  }
  return found;
}

/** The archive's bytes. Errors: ImageError. */
export async function* saveImages(store: Store, saved: readonly SavedImage[], signal?: AbortSignal): AsyncGenerator<Buffer> {
  const staging = store.makeStaging();
  try {
    const layers = new Layers(store, staging, signal);
    const index: Descriptor[] = [];
    const written = new Set<string>();
    yield* directory('blobs');
    yield* directory('blobs/sha256');
    for (const each of saved) {
      const { image } = each;
      for (const layer of image.record.layers) yield* layers.member(layer);
      const manifest = manifestOf(each, layers);
      index.push(...indexEntries(each, manifest));
      for (const blob of [Buffer.from(image.record.config), manifest]) {
        const digest = sha256(blob);
        if (!written.has(digest)) yield* member(`blobs/sha256/${digest}`, blob);
        written.add(digest);
      }
    }
    const docker = saved.map(({ image, names }) => ({
      Config: `blobs/sha256/${image.id}`,
      RepoTags: names.length > 0 ? names.map(familiarName) : null,
      Layers: image.record.layers.map(({ diffId }) => `blobs/sha256/${diffId}`),
    }));
    yield* member(
      'index.json',
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: index })),
    );
    yield* member('manifest.json', Buffer.from(JSON.stringify(docker)));
    yield* member('oci-layout', Buffer.from('{"imageLayoutVersion": "1.0.0"}'));
    const repositories = repositoriesOf(saved);
    if (Object.keys(repositories).length > 0) yield* member('repositories', Buffer.from(`${JSON.stringify(repositories)}\n`));
    yield END_OF_ARCHIVE;
  } finally {
    await removeTree(staging);
  }
}
