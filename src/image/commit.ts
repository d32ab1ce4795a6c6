// A container's writable layer as an image layer: an upper directory in kernel overlayfs format packed as an OCI layer
// (image-spec layer.md), and the image that it makes with its parent. Called by engine/.

import { setImmediate as breathe } from 'node:timers/promises';
import { sys } from '../native/load.js';
import { DirentType, Open } from '../native/syscalls.js';
import { OPAQUE_MARKER, WHITEOUT_PREFIX, type XattrScheme, readLayerDirectory, readMarks, shownXattr } from '../layer/format.js';
import type { Store } from '../store/index.js';
import { type PackEntry, type PackOptions, packTree } from '../tar/pack-tree.js';
import { blankHeader } from '../tar/tar-encode.js';
import type { Image } from './images.js';
import type { JsonObject } from './json.js';
import { makeImage } from './make-image.js';
import { hostPlatform } from './plan.js';
import type { Platform } from './plan.js';

function marker(name: string): PackEntry {
  return { name, replacement: { ...blankHeader(name, '0'), mode: 0o600 } };
}

/** Entries of a layer's directory as an OCI layer has them: whiteouts and opaque marks as files of their own. */
function layerEntries(scheme: XattrScheme): NonNullable<PackOptions['entries']> {
  return (dirfd, path) => {
    const marks = readMarks(dirfd, '', scheme);
    const listing = readLayerDirectory(dirfd, marks);
    if (typeof listing === 'number') return [];
    const at = (name: string): string => (path === '' ? name : `${path}/${name}`);
    const opaque = marks.opaque ? [marker(at(OPAQUE_MARKER))] : [];
    const gone = [...listing.whiteouts].sort().map((name) => marker(at(WHITEOUT_PREFIX + name)));
    const present = [...listing.present.keys()].sort().map((name): PackEntry => ({ name }));
    return [...opaque, ...gone, ...present];
  };
}

/** Whether a directory of the layer, at any depth, says where its lower part has gone. Lets others have a turn at each. */
export async function hasRedirects(dirfd: number, scheme: XattrScheme): Promise<boolean> {
  await breathe();
  const listing = sys.readdir(dirfd);
  if (typeof listing === 'number') return false;
  const directories = listing.names.filter((_, i) => listing.types[i] === DirentType.DIR);
  if (directories.some((name) => readMarks(dirfd, name, scheme).redirect !== undefined)) return true;
  for (const name of directories) {
    const fd = sys.openat2(dirfd, name, Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
    if (fd < 0) continue;
    try {
      if (await hasRedirects(fd, scheme)) return true;
    } finally {
      sys.close(fd);
    }
  }
  return false;
}

/**
 * The upper directory `dirfd` as a layer's tar. A directory that was renamed keeps its old place in a `redirect`, which an OCI
 * layer has no word for: `substitute` gives what is to stand for it. Errors: PackError.
 */
export function packLayer(dirfd: number, scheme: XattrScheme, substitute?: PackOptions['substitute']): AsyncGenerator<Buffer> {
  return packTree(dirfd, {
    top: '',
    xattr: shownXattr,
    entries: layerEntries(scheme),
    crossMounts: true,
    ...(substitute ? { substitute } : {}),
  });
}

export interface CommitRequest {
  readonly parent: Image | undefined;
  readonly layer: AsyncIterable<Buffer> | undefined;
  /** The whole `config` object of the new image. */
  readonly config: JsonObject;
  readonly author: string;
  readonly comment: string;
  /** Shown by `history`. */
  readonly createdBy: string;
  /** Canonical names. */
  readonly names: readonly string[];
  /** Of an image without a parent; the host's by default. */
  readonly platform?: Platform;
  /** More of the image's document (`container`, `docker_version`). */
  readonly extra?: JsonObject;
}

/** Makes an image of a parent and what was changed. Returns its id. */
export function commitImage(store: Store, request: CommitRequest): Promise<string> {
  const { parent, author, comment, createdBy } = request;
  const created = new Date().toISOString();
  const platform = request.platform;
  const inherited = (parent?.config.raw['history'] as readonly object[] | undefined) ?? [];
  return makeImage(store, {
    parent: parent?.record.layers ?? [],
    lower: parent?.layers ?? [],
    ...(request.layer ? { layer: request.layer } : {}),
    names: request.names,
    parentId: parent?.id ?? '',
    config: (diffIds, madeLayer) =>
      JSON.stringify({
        ...request.extra,
        architecture: parent?.config.architecture || (platform?.architecture ?? hostPlatform().architecture),
        os: parent?.config.os ?? platform?.os ?? 'linux',
        ...(author === '' ? {} : { author }),
        ...(comment === '' ? {} : { comment }),
        created,
        config: request.config,
        rootfs: { type: 'layers', diff_ids: diffIds.map((id) => `sha256:${id}`) },
        history: [
          ...inherited,
          {
            created,
            created_by: createdBy,
            ...(author === '' ? {} : { author }),
            ...(comment === '' ? {} : { comment }),
            ...(madeLayer ? {} : { empty_layer: true }),
          },
        ],
      }),
  });
}
