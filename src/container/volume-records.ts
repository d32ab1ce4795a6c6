// The store's volumes as volume/ wants to see them, and the removal of those that nothing refers to.

import { createVolume, getVolume, listVolumes, removeVolume as removeRecord, type Store } from '../store/index.js';
import { removeVolume, type VolumeRecords } from '../volume/named.js';
import type { Context } from './context.js';
import { EngineError, conflict } from './errors.js';

export function volumeRecords(store: Store): VolumeRecords {
  return {
    get: (name) => getVolume(store, name),
    create: (record) => createVolume(store, record),
    remove: (name) => removeRecord(store, name),
    list: () => listVolumes(store),
  };
}

/** Removes a volume unless something other than `id`, which goes or has failed, uses it. Whether it did. */
export async function removeUnused(context: Context, name: string, id: string): Promise<boolean> {
  const mustBeUnused = (): void => {
    if (context.registry.volumeUsers(name).some((user) => user !== id)) throw conflict(`volume ${name} is in use`);
  };
  try {
    await removeVolume(context.root, volumeRecords(context.store), name, mustBeUnused);
    return true;
  } catch (error) {
    if (error instanceof EngineError) return false;
    throw error;
  }
}
