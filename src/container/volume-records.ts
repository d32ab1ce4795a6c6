// The store's volumes as volume/ wants to see them.

import { createVolume, getVolume, listVolumes, removeVolume, type Store } from '../store/index.js';
import type { VolumeRecords } from '../volume/named.js';

export function volumeRecords(store: Store): VolumeRecords {
  return {
    get: (name) => getVolume(store, name),
    create: (record) => createVolume(store, record),
    remove: (name) => removeVolume(store, name),
    list: () => listVolumes(store),
  };
}
