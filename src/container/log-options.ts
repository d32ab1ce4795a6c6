// `--log-driver` and `--log-opt`: what is allowed, how the log's writer wants it, and what `logs --details` shows.

import type { ContainerRecord, HostConfig } from '../store/index.js';
import { ramInBytes } from '../volume/ram-size.js';
import { badParameter } from './errors.js';
import type { LogRequest } from './supervisor-protocol.js';

const DRIVERS: readonly string[] = ['', 'json-file', 'local', 'none'];
const OPTIONS: readonly string[] = ['max-size', 'max-file', 'compress', 'mode', 'max-buffer-size'];
/** Which labels and variables go into the details. */
const DETAILS: readonly string[] = ['labels', 'labels-regex', 'env', 'env-regex', 'tag'];
/** Docker's for `local`. */
const LOCAL_SIZE = 20 << 20;
const LOCAL_FILES = 5;

function limits(host: HostConfig): { maxSize: number; maxFiles: number } {
  const { Type: driver = '', Config: options } = host.LogConfig ?? {};
  const local = driver === 'local';
  const size = options?.['max-size'];
  const maxSize = size === undefined ? (local ? LOCAL_SIZE : 0) : size === '-1' ? 0 : ramInBytes(size);
  if (maxSize === undefined) throw badParameter(`invalid value for max-size: ${size ?? ''}`);
  const count = options?.['max-file'];
  const maxFiles = count === undefined ? (local ? LOCAL_FILES : 1) : Number(count);
  if (!Number.isInteger(maxFiles) || maxFiles < 1) throw badParameter(`invalid value for max-file: ${count ?? ''}`);
  return { maxSize, maxFiles };
}

function isExpression(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

/** Errors: 400, Docker's words; what would have to happen and does not is refused. */
export function checkLogOptions(host: HostConfig): void {
  const { Type: driver = '', Config: options } = host.LogConfig ?? {};
  if (!DRIVERS.includes(driver)) throw badParameter(`logger: no log driver named '${driver}' is registered`);
  if (driver === 'none') return;
  const known = driver === 'local' ? OPTIONS : [...OPTIONS, ...DETAILS];
  for (const [name, value] of Object.entries(options ?? {})) {
    if (!known.includes(name)) throw badParameter(`unknown log opt '${name}' for ${driver || 'json-file'} log driver`);
    if (name === 'mode' && value !== 'blocking')
      throw badParameter(`log opt mode=${value} is not supported: logs are written as they come`);
    if (name === 'compress' && value !== 'false') throw badParameter('log opt compress is not supported: give compress=false');
    if (name === 'max-buffer-size') throw badParameter('max-buffer-size is only supported with mode=non-blocking');
    if (name.endsWith('-regex') && !isExpression(value)) throw badParameter(`invalid log opt ${name}: ${JSON.stringify(value)}`);
    if (name === 'tag') throw badParameter('log opt tag is not supported: only labels and env go into the details');
  }
  limits(host);
}

/** How output is logged; undefined for not at all. Errors: 400 for an option that is none. */
export function logRequest(record: ContainerRecord, path: string): LogRequest | undefined {
  return record.hostConfig.LogConfig?.Type === 'none' ? undefined : { path, ...limits(record.hostConfig) };
}

/** What `logs --details` shows before each line: the labels and variables that the log options name. */
export function logDetails({ config, hostConfig }: ContainerRecord): string {
  const options = hostConfig.LogConfig?.Config ?? {};
  const matcher = (list: string | undefined, regex: string | undefined): ((name: string) => boolean) => {
    const names = (list ?? '').split(',');
    const expression = regex ? new RegExp(regex) : undefined;
    return (name) => names.includes(name) || (expression?.test(name) ?? false);
  };
  const isLabel = matcher(options['labels'], options['labels-regex']);
  const isVariable = matcher(options['env'], options['env-regex']);
  const labels = Object.entries(config.Labels ?? {}).filter(([name]) => isLabel(name));
  const variables = (config.Env ?? []).map(
    (entry) => [entry.split('=', 1)[0] ?? '', entry.slice(entry.indexOf('=') + 1)] as const,
  );
  return [...labels, ...variables.filter(([name]) => isVariable(name))]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join(',');
}
