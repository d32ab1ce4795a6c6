// `--log-driver` and `--log-opt` as the log's writer wants them.

import type { ContainerRecord } from '../store/index.js';
import { ramInBytes } from '../volume/ram-size.js';
import { badParameter } from './errors.js';
import type { LogRequest } from './supervisor-protocol.js';

/** How output is logged; undefined for not at all. Errors: 400 for an option that is none. */
export function logRequest(record: ContainerRecord, path: string): LogRequest | undefined {
  const { Type: driver = 'json-file', Config: options } = record.hostConfig.LogConfig ?? {};
  if (driver === 'none') return undefined;
  const size = options?.['max-size'];
  const maxSize = size === undefined || size === '-1' ? 0 : ramInBytes(size);
  if (maxSize === undefined) throw badParameter(`invalid value for max-size: ${size ?? ''}`);
  const files = Number(options?.['max-file'] ?? 1);
  if (!Number.isInteger(files) || files < 1) throw badParameter(`invalid value for max-file: ${options?.['max-file'] ?? ''}`);
  return { path, maxSize, maxFiles: files };
}
