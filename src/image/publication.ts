// From plans of images to the store: unpacks the layers that are missing into a staging directory, then publishes layers and
// records in one transaction. All or nothing: an error leaves no directory and no record. Called by load.ts and
// make-image.ts.

import { closeSync, constants, fsync, mkdirSync, openSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { removeTree } from '../process/remove-tree.js';
import type { Change, ImageRecord, Store, Transaction } from '../store/index.js';
import { explainSystem, ImageError, MAKE_AGAIN } from './image-error.js';
import { type LayerTarget, unpackLayer } from './layer-unpack.js';
import type { ImagePlan, LayerPlan } from './plan.js';

/** A step of a load. `done` and `total` are bytes of the archive. */
export type LoadEvent =
  { readonly kind: 'layer'; readonly diffId: string; readonly done: number; readonly total: number } | { readonly kind: 'sync' };

export interface PublicationOptions {
  /** Called often; must be quick. */
  readonly progress?: (event: LoadEvent) => void;
  readonly signal?: AbortSignal;
}

/** Gives `work` a staging directory of its own. Errors: those of `work`; the system's as ones about `label`. */
export async function inStaging<T>(store: Store, label: string, work: (staging: string) => Promise<T>): Promise<T> {
  const staging = store.makeStaging();
  try {
    return await work(staging);
  } catch (error) {
    throw explainSystem(label, error);
  } finally {
    await removeTree(staging);
  }
}

interface Staged {
  /** The directory to publish as layers/<key>. */
  readonly path: string;
  readonly size: number;
  readonly dependent: boolean;
}

function openDirectory(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

export class Publication {
  private readonly staged = new Map<string, Staged>();
  private unpackings = 0;
  /** Of them, those whose files are on disk. */
  private synced = 0;
  readonly omitted = new Map<string, number>();

  constructor(
    private readonly store: Store,
    private readonly staging: string,
    private readonly options: PublicationOptions = {},
  ) {}

  /** Unpacks a layer's plain tar from a stream; its digest is found, not known. Returns the diffID. */
  async stage(tar: AsyncIterable<Buffer>, lower: readonly string[], label: string): Promise<string> {
    const target = this.prepare(lower, label);
    const { diffId, size } = await unpackLayer(target, tar, {});
    this.staged.set(diffId, { path: target.home, size, dependent: false });
    return diffId;
  }

  /** Unpacks and publishes until the store has all; a layer can vanish meanwhile when its last image is removed. */
  async run(plans: readonly ImagePlan[]): Promise<void> {
    for (;;) {
      const known = await this.store.transaction((records) => this.keys(records, plans));
      for (const plan of plans) await this.unpackMissing(plan, known);
      if (this.unpackings > this.synced) await this.sync();
      this.synced = this.unpackings;
      this.options.signal?.throwIfAborted();
      if (await this.store.transaction((records) => this.publish(records, plans))) return;
      // What a staged layer took from a layer below may have been read while that was being removed.
      for (const [key, { dependent }] of this.staged) if (dependent) this.staged.delete(key);
    }
  }

  /** The key of each layer that is staged or in the store, by chainID. */
  async keys(records: Transaction, plans: readonly ImagePlan[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const { chainId, diffId } of plans.flatMap((plan) => plan.layers)) {
      const chained = this.staged.get(chainId) ?? (await records.get('layer', chainId));
      const alone = this.staged.get(diffId) ?? (await records.get('layer', diffId));
      if (chained) found.set(chainId, chainId);
      else if (alone && !alone.dependent) found.set(chainId, diffId);
    }
    return found;
  }

  /** Bottom first: what a tar leaves out is looked up in the layers below. Adds to `known`. */
  private async unpackMissing(plan: ImagePlan, known: Map<string, string>): Promise<void> {
    const lower: string[] = [];
    for (const layer of plan.layers) {
      const alone = this.staged.get(layer.diffId);
      const key = known.get(layer.chainId) ?? (alone && !alone.dependent ? layer.diffId : await this.unpack(layer, lower));
      known.set(layer.chainId, key);
      const staged = this.staged.get(key);
      lower.unshift(staged ? join(staged.path, 'diff') : this.store.layerDir(key));
    }
  }

  private async unpack(layer: LayerPlan, lower: readonly string[]): Promise<string> {
    const { diffId, digest, label } = layer;
    const piece = layer.piece ?? (await layer.fetch?.());
    if (!piece) throw new ImageError(label, 'it is missing from the archive', MAKE_AGAIN);
    const target = this.prepare(lower, label);
    const { progress, signal } = this.options;
    const { dependent, size, omitted } = await unpackLayer(
      target,
      { piece, diffId, digest },
      {
        signal,
        progress: progress && ((done: number): void => progress({ kind: 'layer', diffId, done, total: piece.size })),
      },
    );
    for (const [kind, count] of omitted) this.omitted.set(kind, (this.omitted.get(kind) ?? 0) + count);
    const key = dependent ? layer.chainId : diffId;
    this.staged.set(key, { path: target.home, size, dependent });
    return key;
  }

  private prepare(lower: readonly string[], label: string): LayerTarget {
    const number = this.unpackings++;
    const home = join(this.staging, `layer-${number}`);
    const trash = join(this.staging, `replaced-${number}`);
    for (const dir of [home, join(home, 'diff'), trash]) mkdirSync(dir, { mode: 0o700 });
    return { home, trash, lower: [...lower], label };
  }

  /** Everything unpacked must be on disk before a record can say that it is. */
  private async sync(): Promise<void> {
    this.options.progress?.({ kind: 'sync' });
    const fd = openDirectory(this.staging);
    const result = await sys.syncfsAsync(fd);
    closeSync(fd);
    if (result < 0)
      throw new ImageError(
        this.staging,
        `cannot write the layers to disk: ${errnoText(result)}`,
        'nothing was loaded: check the disk and load it again',
      );
  }

  /** False when a layer that was there is gone. */
  private async publish(records: Transaction, plans: readonly ImagePlan[]): Promise<boolean> {
    const keys = await this.keys(records, plans);
    if (plans.some((plan) => plan.layers.some((layer) => !keys.has(layer.chainId)))) return false;
    const changes = await this.recordChanges(records, plans, keys);
    const moved: [from: string, to: string][] = [];
    try {
      for (const { table, key } of changes) {
        const staged = table === 'layer' ? this.staged.get(key) : undefined;
        if (!staged || (await records.get('layer', key))) continue;
        const to = dirname(this.store.layerDir(key));
        renameSync(staged.path, to);
        moved.push([staged.path, to]);
      }
      const layers = openDirectory(join(this.store.root, 'layers'));
      await promisify(fsync)(layers).finally(() => closeSync(layers));
      await records.commit(changes);
    } catch (error) {
      for (const [from, to] of moved) renameSync(to, from);
      throw error;
    }
    return true;
  }

  private async recordChanges(
    records: Transaction,
    plans: readonly ImagePlan[],
    keys: ReadonlyMap<string, string>,
  ): Promise<Change[]> {
    const changes: Change[] = [];
    const users = new Map<string, number>();
    for (const plan of plans) {
      for (const name of plan.names) changes.push({ table: 'reference', key: name, value: { name, id: plan.id } });
      if (await records.get('image', plan.id)) continue;
      const value = imageRecord(plan, keys);
      changes.push({ table: 'image', key: plan.id, value });
      for (const key of new Set(value.layers.map((layer) => layer.key))) users.set(key, (users.get(key) ?? 0) + 1);
    }
    for (const [key, added] of users) {
      const known = (await records.get('layer', key)) ?? this.staged.get(key);
      const images = (known && 'images' in known ? known.images : 0) + added;
      changes.push({ table: 'layer', key, value: { key, size: known?.size ?? 0, dependent: known?.dependent ?? true, images } });
    }
    return changes;
  }
}

function imageRecord(plan: ImagePlan, keys: ReadonlyMap<string, string>): ImageRecord {
  const layers = plan.layers.map(({ diffId, chainId }) => ({ key: keys.get(chainId) ?? chainId, diffId, chainId }));
  const parent = plan.parent === undefined ? {} : { parent: plan.parent };
  return { id: plan.id, config: plan.config, layers, manifest: plan.manifest, loadedAt: Date.now(), ...parent };
}
