// The fields of a `--mount` argument by their full names, each checked alone and against the type, with the words of
// Docker's command line. Used by mount-flag.ts, which checks what the engine does.

import { splitRecord } from './csv.js';
import { ramInBytes } from './ram-size.js';
import { VolumeSpecError } from './volume-error.js';

const ALIASES: Readonly<Record<string, string>> = { src: 'source', dst: 'target', destination: 'target', ro: 'readonly' };
/** Options that may stand without `=value`. */
const SWITCHES: readonly string[] = ['readonly', 'volume-nocopy', 'bind-create-src'];
const VALUES: readonly string[] = [
  'type',
  'source',
  'target',
  'consistency',
  'bind-propagation',
  'bind-recursive',
  'volume-subpath',
  'volume-driver',
  'tmpfs-size',
  'tmpfs-mode',
];
/** Options that may be repeated, each a `key=value` of its own. */
const MAPS: readonly string[] = ['volume-label', 'volume-opt'];
const RECURSIVE: readonly string[] = ['enabled', 'disabled', 'writable', 'readonly'];
const TYPES: readonly string[] = ['bind', 'volume', 'tmpfs'];

/** The command line's complaint, before the argument is put in front of it. */
class Complaint extends Error {}

function fail(why: string): never {
  throw new Complaint(why);
}

function readBoolean(key: string, value: string): string {
  if (value === 'true' || value === '1') return 'true';
  if (value === 'false' || value === '0') return 'false';
  return fail(
    `invalid value for '${key}': invalid boolean value (${JSON.stringify(value)}): must be one of "true", "1", "false", or "0" (default "true")`,
  );
}

/** Checks a value, and brings it to its plain form. */
function readValue(key: string, name: string, value: string): string {
  if (SWITCHES.includes(name)) return readBoolean(key, value);
  switch (name) {
    case 'type':
    case 'consistency':
    case 'bind-propagation':
      return value.toLowerCase();
    case 'bind-recursive':
      return RECURSIVE.includes(value)
        ? value
        : fail(`invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`);
    case 'tmpfs-size':
      return String(ramInBytes(value) ?? fail(`invalid value for ${key}: ${value}`));
    case 'tmpfs-mode':
      return /^[0-7]{1,10}$/.test(value) ? value : fail(`invalid value for ${key}: ${value}`);
    default:
      return value;
  }
}

/** Takes a field apart; returns its key in lower case, its full name and its raw value. */
function readField(field: string): { key: string; name: string; value: string } {
  const equals = field.indexOf('=');
  const written = equals < 0 ? field : field.slice(0, equals);
  if (written.trim() !== written) fail(`invalid option '${written}' in '${field}': option should not have whitespace`);
  const key = written.toLowerCase();
  if (key === '') fail(`invalid field '${field}' must be a key=value pair`);
  const name = ALIASES[key] ?? key;
  if (equals < 0)
    return SWITCHES.includes(name) ? { key, name, value: 'true' } : fail(`invalid field '${field}' must be a key=value pair`);
  const value = field.slice(equals + 1);
  if (value.trim() === '') fail(`invalid value for '${written}': value is empty`);
  if (value.trim() !== value) fail(`invalid value for '${written}' in '${field}': value should not have whitespace`);
  if (key === 'bind-nonrecursive') fail('bind-nonrecursive is deprecated, use bind-recursive=disabled instead');
  if (![SWITCHES, VALUES, MAPS].some((names) => names.includes(name))) fail(`unknown option '${key}' in '${field}'`);
  return { key, name, value };
}

export class MountFields {
  readonly #values = new Map<string, string>([['type', 'volume']]);
  readonly #maps = new Map<string, Record<string, string>>();

  /** Errors: VolumeSpecError. */
  constructor(text: string) {
    try {
      this.#read(text.trim());
      this.#checkTogether();
    } catch (error) {
      if (!(error instanceof Complaint) && !(error instanceof VolumeSpecError)) throw error;
      throw new VolumeSpecError(`invalid argument "${text}" for "--mount" flag: ${error.message}`);
    }
  }

  get type(): string {
    return this.#values.get('type') ?? '';
  }
  has(name: string): boolean {
    return this.#values.has(name);
  }
  value(name: string): string | undefined {
    return this.#values.get(name);
  }
  isOn(name: string): boolean {
    return this.#values.get(name) === 'true';
  }
  map(name: string): Readonly<Record<string, string>> | undefined {
    return this.#maps.get(name);
  }

  #read(record: string): void {
    if (record === '') fail('value is empty');
    for (const field of splitRecord(record)) {
      const { key, name, value } = readField(field);
      if (MAPS.includes(name)) this.#addTo(name, value);
      else this.#values.set(name, readValue(key, name, value));
    }
  }

  #addTo(name: string, pair: string): void {
    const map = this.#maps.get(name) ?? {};
    this.#maps.set(name, map);
    const equals = pair.indexOf('=');
    const key = equals < 0 ? pair : pair.slice(0, equals);
    if (key !== '') map[key] = equals < 0 ? '' : pair.slice(equals + 1);
  }

  #checkTogether(): void {
    const { type } = this;
    if (!TYPES.includes(type)) fail(`mount type ${JSON.stringify(type)} is not supported: use "bind", "volume" or "tmpfs"`);
    const groups = new Set([...this.#values.keys(), ...this.#maps.keys()].map((name) => name.split('-')[0] ?? ''));
    for (const group of TYPES) {
      if (group !== type && groups.has(group)) fail(`cannot mix '${group}-*' options with mount type '${type}'`);
    }
    const recursive = this.value('bind-recursive');
    if (recursive !== 'writable' && recursive !== 'readonly') return;
    const needs = (what: string): never =>
      fail(`option 'bind-recursive=${recursive}' requires '${what}' to be specified in conjunction`);
    if (!this.isOn('readonly')) needs('readonly');
    if (recursive === 'readonly' && this.value('bind-propagation') !== 'rprivate') needs('bind-propagation=rprivate');
  }
}
