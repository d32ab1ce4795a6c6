// Records of volumes. The directories themselves belong to volume/ and container/, which call this.

import type { Store } from './store.js';
import { StoreError } from './store-error.js';
import type { VolumeRecord } from './records.js';

/** Records a volume; throws when the name is taken. */
export function createVolume(store: Store, volume: Omit<VolumeRecord, 'created'>): Promise<VolumeRecord> {
  return store.transaction(async (records) => {
    if (await records.get('volume', volume.name)) {
      throw new StoreError(`volume ${volume.name}: the name is taken; choose another or remove that volume first`);
    }
    const value: VolumeRecord = { ...volume, created: Date.now() };
    await records.commit([{ table: 'volume', key: volume.name, value }]);
    return value;
  });
}

export function getVolume(store: Store, name: string): Promise<VolumeRecord | undefined> {
  return store.transaction((records) => records.get('volume', name));
}

/** All volumes by name. */
export function listVolumes(store: Store): Promise<VolumeRecord[]> {
  return store.transaction((records) => records.list('volume'));
}

/** Removes the record and returns it; undefined when there is none. */
export function removeVolume(store: Store, name: string): Promise<VolumeRecord | undefined> {
  return store.transaction(async (records) => {
    const found = await records.get('volume', name);
    if (found) await records.commit([{ table: 'volume', key: name }]);
    return found;
  });
}
