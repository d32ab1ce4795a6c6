// How an image looks to clients: a row of `images`, and `inspect`.

import { type Image, familiarName, splitTag } from '../image/index.js';

/** Docker shows every field of a config, set or not. */
const UNSET = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

/** Milliseconds since the epoch. */
export function createdAt({ config }: Image): number {
  return Date.parse(config.created ?? '') || 0;
}

/** One of `GET /images/json`, under these names. */
export function imageRow(image: Image, references: readonly string[]): object {
  return {
    Id: `sha256:${image.id}`,
    ParentId: image.record.parent ? `sha256:${image.record.parent}` : '',
    RepoTags: references.map(familiarName),
    RepoDigests: image.digests.map(familiarName),
    Created: Math.floor(createdAt(image) / 1000),
    Size: image.size,
    VirtualSize: image.size,
    Labels: image.config.config.Labels ?? null,
    // Told by /system/df only.
    SharedSize: -1,
    Containers: -1,
  };
}

/** What `docker image inspect` shows. */
export function inspection(image: Image): object {
  const { raw, diffIds } = image.config;
  const [upper, ...lower] = image.layers;
  const config = { ...UNSET, ...(raw['config'] as object | null | undefined) };
  return {
    Id: `sha256:${image.id}`,
    RepoTags: image.references.map(familiarName),
    RepoDigests: repoDigests(image),
    Parent: image.record.parent ? `sha256:${image.record.parent}` : '',
    Comment: typeof raw['comment'] === 'string' ? raw['comment'] : '',
    Created: image.config.created ?? '',
    Author: image.config.author ?? '',
    // Docker has given this up with API 1.45; docker-compose 1 makes no container anew without it.
    ContainerConfig: config,
    DockerVersion: typeof raw['docker_version'] === 'string' ? raw['docker_version'] : '',
    Config: config,
    Architecture: image.config.architecture,
    Os: image.config.os,
    Size: image.size,
    GraphDriver: { Name: 'lamina', Data: { UpperDir: upper ?? '', LowerDir: lower.join(':') } },
    RootFS: { Type: 'layers', Layers: diffIds.map((id) => `sha256:${id}`) },
    Metadata: { LastTagTime: new Date(image.record.loadedAt).toISOString() },
  };
}

function repoDigests(image: Image): string[] {
  const { manifest } = image.record;
  if (image.digests.length > 0) return image.digests.map(familiarName);
  if (manifest === undefined) return [];
  return [...new Set(image.references.map((name) => `${familiarName(splitTag(name).repository)}@sha256:${manifest}`))];
}
