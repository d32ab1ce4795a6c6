// Records of volumes, as volume/ wants to have them. The directories themselves are volume/'s.

import type { Store } from './store.js';
import { StoreError } from './store-error.js';
import type { VolumeRecord } from './records.js';

/** The records of volumes of one store. Each call is a transaction. */
export interface VolumeTable {
  get(name: string): Promise<VolumeRecord | undefined>;
  /** Errors: StoreError when the name is taken. */
  create(volume: Omit<VolumeRecord, 'created'>): Promise<VolumeRecord>;
  /** Returns what was removed; undefined when there was none. */
  remove(name: string): Promise<VolumeRecord | undefined>;
  /** All of them by name. */
  list(): Promise<VolumeRecord[]>;
}

export function volumeRecords(store: Store): VolumeTable {
  return {
    get: (name) => store.transaction((records) => records.get('volume', name)),
    create: (volume) =>
      store.transaction(async (records) => {
        if (await records.get('volume', volume.name)) {
          throw new StoreError(`volume ${volume.name}: the name is taken; choose another or remove that volume first`);
        }
        const value: VolumeRecord = { ...volume, created: Date.now() };
        await records.commit([{ table: 'volume', key: volume.name, value }]);
        return value;
      }),
    remove: (name) =>
      store.transaction(async (records) => {
        const found = await records.get('volume', name);
        if (found) await records.commit([{ table: 'volume', key: name }]);
        return found;
      }),
    list: () => store.transaction((records) => records.list('volume')),
  };
}
