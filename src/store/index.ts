// The store as its callers see it.

export { dataRoot } from './root.js';
export { openStore, withStore } from './store.js';
export type { Store, StoreOptions } from './store.js';
export { StoreError } from './store-error.js';
export type { Transaction } from './transaction.js';
export type { Change, ImageRecord, LayerRecord, ReferenceRecord, Table, Tables, VolumeRecord } from './records.js';
export type {
  ContainerConfig,
  ContainerRecord,
  ContainerState,
  EndpointRecord,
  HealthConfig,
  HostConfig,
  JournalRecord,
  MountPoint,
  MountRequest,
  NetworkJoin,
  PortBinding,
} from './container-record.js';
export { volumeRecords } from './volumes.js';
