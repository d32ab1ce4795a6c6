// What `-v` and `--mount` of `lamina mount` ask for becomes routes; named and anonymous volumes are made, and filled from the
// layers. Called by mount.ts.

import { ownScheme } from '../layer/scheme.js';
import { dataRoot, type Store, volumeRecords, withStore } from '../store/index.js';
import type { RouteRequest } from '../transport/check.js';
import { openSource } from '../volume/backing.js';
import { fillVolume } from '../volume/content.js';
import { parseMount } from '../volume/mount-flag.js';
import { openVolume, removeVolume } from '../volume/named.js';
import { combineVolumes, parseVolume, type VolumeSpec } from '../volume/spec.js';

/** Routes ready to be mounted, and the way back when the mount then fails. */
export interface OpenedRoutes {
  routes: RouteRequest[];
  /** Removes the anonymous volumes that were made. */
  undo: () => Promise<void>;
}

class RouteOpener {
  readonly routes: RouteRequest[] = [];
  readonly #anonymous: string[] = [];

  constructor(
    private readonly root: string,
    /** What the union will show, topmost first. */
    private readonly layers: readonly string[],
  ) {}

  async open(store: Store | undefined, spec: VolumeSpec): Promise<void> {
    this.routes.push({ source: await this.#source(store, spec), destination: spec.destination, readOnly: spec.readOnly });
  }

  async #source(store: Store | undefined, spec: VolumeSpec): Promise<string> {
    if (spec.kind === 'bind' || !store) return openSource(spec.source ?? '', spec.create);
    const volume = await openVolume(this.root, volumeRecords(store), spec.source);
    if (spec.kind === 'anonymous') this.#anonymous.push(volume.name);
    if (!spec.nocopy) await fillVolume(volume.path, this.layers, spec.destination, ownScheme());
    return volume.path;
  }

  async undo(): Promise<void> {
    if (this.#anonymous.length === 0) return;
    await withStore(this.root, async (store) => {
      for (const name of this.#anonymous) await removeVolume(this.root, volumeRecords(store), name);
    });
  }
}

/** Routes for `-v` and `--mount` arguments over the given layers. Errors: VolumeSpecError, with Docker's words. */
export async function openRoutes(
  volumes: readonly string[],
  mounts: readonly string[],
  layers: readonly string[],
): Promise<OpenedRoutes> {
  const cwd = process.cwd();
  const specs = combineVolumes([
    ...volumes.map((text) => parseVolume(text, cwd)),
    ...mounts.map((text) => parseMount(text, cwd)),
  ]);
  const root = dataRoot();
  const opener = new RouteOpener(root, layers);
  const open = async (store: Store | undefined): Promise<void> => {
    for (const spec of specs) await opener.open(store, spec);
  };
  try {
    // The database is opened only when a volume of ours is asked for.
    if (specs.every((spec) => spec.kind === 'bind')) await open(undefined);
    else await withStore(root, open);
  } catch (error) {
    await opener.undo();
    throw error;
  }
  return { routes: opener.routes, undo: () => opener.undo() };
}
