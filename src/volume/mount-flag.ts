// What `--mount` says: comma-separated `key=value` in CSV, with Docker's words for what is wrong. Pure. Called by cli/.

import { posix } from 'node:path';
import { cleanPath } from './clean-path.js';
import { splitRecord } from './csv.js';
import { isPropagation } from './mode.js';
import { checkDestination, checkVolumeName, type VolumeSpec } from './spec.js';
import { VolumeSpecError } from './volume-error.js';

interface Fields {
  type: string;
  source: string;
  target: string;
  readOnly: boolean;
  nocopy: boolean;
  create: boolean;
  propagation: string | undefined;
}

const ALIASES: Readonly<Record<string, string>> = { src: 'source', dst: 'target', destination: 'target', ro: 'readonly' };

/** Options that may stand without `=value`. */
const SWITCHES: readonly string[] = ['readonly', 'ro', 'volume-nocopy', 'bind-create-src'];

/** Options of Docker that ask for what a route cannot give: refused by name rather than ignored. */
const UNSUPPORTED: readonly string[] = [
  'bind-recursive', 'bind-nonrecursive', 'volume-subpath', 'volume-label', 'volume-driver', 'volume-opt', 'image-subpath', 'tmpfs-size', 'tmpfs-mode',
];

function fail(text: string, why: string): never {
  throw new VolumeSpecError(`invalid argument "${text}" for "--mount" flag: ${why}`);
}

function readBoolean(text: string, key: string, value: string | undefined): boolean {
  if (value === undefined || value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  return fail(text, `invalid value for '${key}': invalid boolean value (${JSON.stringify(value)}): must be one of "true", "1", "false", or "0" (default "true")`);
}

function setField(text: string, fields: Fields, key: string, value: string | undefined, field: string): void {
  const name = ALIASES[key] ?? key;
  if (value === undefined && !SWITCHES.includes(key)) fail(text, `invalid field '${field}' must be a key=value pair`);
  if (value === '') fail(text, `invalid value for '${key}': value is empty`);
  if (name === 'type') fields.type = (value ?? '').toLowerCase();
  else if (name === 'source') fields.source = value ?? '';
  else if (name === 'target') fields.target = value ?? '';
  else if (name === 'readonly') fields.readOnly = readBoolean(text, key, value);
  else if (name === 'volume-nocopy') fields.nocopy = readBoolean(text, key, value);
  else if (name === 'bind-create-src') fields.create = readBoolean(text, key, value);
  else if (name === 'bind-propagation') fields.propagation = (value ?? '').toLowerCase();
  else if (UNSUPPORTED.includes(name)) fail(text, `option '${key}' is not supported: leave it out`);
  else if (name !== 'consistency') fail(text, `unknown option '${key}' in '${field}'`);
}

function recordOf(text: string): string[] {
  try {
    return splitRecord(text);
  } catch (error) {
    return fail(text, (error as Error).message);
  }
}

function readFields(text: string): Fields {
  const fields: Fields = { type: 'volume', source: '', target: '', readOnly: false, nocopy: false, create: false, propagation: undefined };
  const seen = new Set<string>();
  if (text.trim() === '') fail(text, 'value is empty');
  for (const field of recordOf(text)) {
    const equals = field.indexOf('=');
    const key = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase();
    const value = equals < 0 ? undefined : field.slice(equals + 1).trim();
    if (key === '') fail(text, `invalid field '${field}' must be a key=value pair`);
    setField(text, fields, key, value, field);
    seen.add(key.split('-')[0] ?? '');
  }
  const { type } = fields;
  if (type !== 'bind' && type !== 'volume') fail(text, `mount type ${JSON.stringify(type)} is not supported: use "bind" or "volume"`);
  for (const other of ['bind', 'volume']) {
    if (other !== type && seen.has(other)) fail(text, `cannot mix '${other}-*' options with mount type '${type}'`);
  }
  return fields;
}

/**
 * Reads one `--mount` argument: `type=bind|volume,source=..,target=..[,readonly][,...]`.
 * @param cwd where a bind source that begins with `.` starts
 * Errors: VolumeSpecError.
 */
export function parseMount(text: string, cwd: string): VolumeSpec {
  const { type, source, target, readOnly, nocopy, create, propagation } = readFields(text);
  const bind = type === 'bind';
  const wrong = checkDestination(bind ? 'bind' : 'volume', target);
  if (wrong !== undefined) throw new VolumeSpecError(wrong);
  const destination = cleanPath(target);
  if (!bind) {
    if (source !== '') checkVolumeName(source);
    else if (readOnly) throw new VolumeSpecError('invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes');
    return { kind: source === '' ? 'anonymous' : 'named', ...(source === '' ? {} : { source }), destination, readOnly, nocopy, create: false };
  }
  if (source === '') throw new VolumeSpecError('invalid mount config for type "bind": field Source must not be empty');
  const host = source.startsWith('.') ? posix.resolve(cwd, source) : source;
  if (!host.startsWith('/')) {
    throw new VolumeSpecError(`invalid mount config for type "bind": invalid mount path: '${host}' mount path must be absolute`);
  }
  if (propagation !== undefined && !isPropagation(propagation)) {
    throw new VolumeSpecError(`invalid mount config for type "bind": invalid propagation mode: ${propagation}`);
  }
  return {
    kind: 'bind', source: cleanPath(host), destination, readOnly, nocopy: false, create,
    ...(propagation === undefined ? {} : { propagation }),
  };
}
