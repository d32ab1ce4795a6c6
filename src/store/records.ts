// What the database holds: one table per kind of record, each value JSON. The single place that names the tables;
// add a field to `Tables` to add a table. Read and written through `Transaction`.

import type { ContainerRecord, JournalRecord } from './container-record.js';

/** An image, by its id: the lower-case hex sha256 of its config. */
export interface ImageRecord {
  readonly id: string;
  /** The config's exact text; its sha256 is the id. */
  readonly config: string;
  /** Bottom first; `key` names a `LayerRecord`. One layer may occur twice. */
  readonly layers: readonly { readonly key: string; readonly diffId: string; readonly chainId: string }[];
  /** Hex sha256 of the manifest it came with, when it came with one. */
  readonly manifest?: string;
  /** Of an image made here: the hex id of the image it was made from; '' for one that a build made from scratch. */
  readonly parent?: string;
  /** Milliseconds since the epoch. */
  readonly loadedAt: number;
}

/** A name with a tag, canonical (`docker.io/library/busybox:latest`), and the image it stands for. */
export interface ReferenceRecord {
  readonly name: string;
  readonly id: string;
}

/**
 * An unpacked layer at layers/<key>/diff. A layer whose tree depends on its own tar alone has the hex diffID for a key,
 * so that images share it whatever lies below. One that took the attributes of directories from the layers below has
 * the hex chainID. `images` counts the image records that use it.
 */
export interface LayerRecord {
  readonly key: string;
  readonly dependent: boolean;
  /** Bytes of regular files, each inode once. */
  readonly size: number;
  readonly images: number;
}

/** A named or anonymous volume and the directory that backs it. */
export interface VolumeRecord {
  readonly name: string;
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly anonymous: boolean;
  /** Of the local driver: type, device, o. */
  readonly options?: Readonly<Record<string, string>>;
  /** When a container that uses it last started or ended, in milliseconds since the epoch. */
  readonly lastUsed?: number;
}

export interface Tables {
  image: ImageRecord;
  reference: ReferenceRecord;
  layer: LayerRecord;
  volume: VolumeRecord;
  container: ContainerRecord;
  journal: JournalRecord;
}

export type Table = keyof Tables;

/** One put (with `value`) or deletion (without) in a batch. */
export type Change = { [T in Table]: { readonly table: T; readonly key: string; readonly value?: Tables[T] } }[Table];
