// Image archives made in memory, in the formats that engines write. A layout is a map from file name to bytes.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tar } from './tar-bytes.js';
import type { TarEntry } from './tar-bytes.js';

export type Files = Map<string, Buffer>;

export const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

export interface Source {
  /** Uncompressed layer tars, bottom first. */
  readonly layers: readonly Buffer[];
  readonly tags?: readonly string[];
  readonly config?: object;
  readonly created?: string;
  /** Applied to each layer as stored in an OCI layout or a new docker-save archive. */
  readonly compress?: (layer: Buffer) => Buffer;
  readonly architecture?: string;
}

export const hostArchitecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;

export function configOf(source: Source): Buffer {
  const { layers, architecture = hostArchitecture, created = '2026-01-02T03:04:05Z' } = source;
  const diffIds = layers.map((layer) => `sha256:${sha256(layer)}`);
  const config = {
    architecture,
    os: 'linux',
    created,
    config: source.config ?? { Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: diffIds },
  };
  return Buffer.from(JSON.stringify(config));
}

export const imageId = (source: Source): string => sha256(configOf(source));

/** The archive of Docker before 25 and of podman: manifest.json, <hex>.json, <id>/layer.tar. */
export function legacyArchive(source: Source): Files {
  const config = configOf(source);
  const files: Files = new Map();
  const names = source.layers.map((layer, i) => {
    const name = `${sha256(Buffer.from(`${i}`))}/layer.tar`;
    files.set(name, source.compress?.(layer) ?? layer);
    return name;
  });
  files.set(`${sha256(config)}.json`, config);
  files.set(
    'manifest.json',
    Buffer.from(JSON.stringify([{ Config: `${sha256(config)}.json`, RepoTags: source.tags ?? ['test:latest'], Layers: names }])),
  );
  return files;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: object;
  readonly annotations?: Record<string, string>;
}

/** Puts a blob; its descriptor. The media type lies on purpose where the caller says so. */
export function putBlob(files: Files, data: Buffer, mediaType: string): Descriptor {
  files.set(`blobs/sha256/${sha256(data)}`, data);
  return { mediaType, digest: `sha256:${sha256(data)}`, size: data.length };
}

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX = 'application/vnd.oci.image.index.v1+json';

/** Puts config, layers and manifest of an image; the manifest's descriptor. */
export function putImage(files: Files, source: Source, extra: Partial<Descriptor> = {}): Descriptor {
  const config = putBlob(files, configOf(source), 'application/vnd.oci.image.config.v1+json');
  const layers = source.layers.map((layer) =>
    putBlob(files, source.compress?.(layer) ?? layer, 'application/vnd.oci.image.layer.v1.tar+gzip'),
  );
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers }));
  return { ...putBlob(files, manifest, MANIFEST), ...extra };
}

export function putIndex(files: Files, manifests: readonly Descriptor[]): Descriptor {
  return putBlob(files, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests })), INDEX);
}

export function finishLayout(files: Files, manifests: readonly Descriptor[]): Files {
  files.set('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })));
  return files;
}

export function ociLayout(source: Source): Files {
  const files: Files = new Map();
  const tags = source.tags ?? ['test:latest'];
  const manifests = tags.map((tag) => putImage(files, source, { annotations: { 'org.opencontainers.image.ref.name': tag } }));
  return finishLayout(files, manifests);
}

/** Docker 25 and later: an OCI layout that also has a manifest.json pointing into its blobs. */
export function modernArchive(source: Source): Files {
  const files = ociLayout(source);
  const blob = (data: Buffer): string => `blobs/sha256/${sha256(data)}`;
  const layers = source.layers.map((layer) => blob(source.compress?.(layer) ?? layer));
  files.set(
    'manifest.json',
    Buffer.from(JSON.stringify([{ Config: blob(configOf(source)), RepoTags: source.tags ?? ['test:latest'], Layers: layers }])),
  );
  return files;
}

export function asTar(files: Files, extra: readonly TarEntry[] = []): Buffer {
  return tar([...extra, ...[...files].map(([name, data]) => ({ name, data }))]);
}

export function asDirectory(files: Files, into: string): string {
  for (const [name, data] of files) {
    mkdirSync(dirname(join(into, name)), { recursive: true });
    writeFileSync(join(into, name), data);
  }
  return into;
}
