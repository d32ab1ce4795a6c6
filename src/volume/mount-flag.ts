// What `--mount` says: comma-separated `key=value` in CSV, as Docker's command line and engine check it. Pure.
// Called by cli/.

import { resolve } from 'node:path';
import { cleanPath, isLocalPath } from './clean-path.js';
import { isPropagation } from './mode.js';
import { MountFields } from './mount-fields.js';
import { checkDestination, checkVolumeName, type VolumeSpec } from './spec.js';
import { VolumeSpecError } from './volume-error.js';

/** How a bind takes the mounts below its source along. */
export type BindRecursive = 'enabled' | 'disabled' | 'writable' | 'readonly';

/** What `--mount` says of a host path or a volume beyond `-v`. */
export interface MountFlagVolume extends VolumeSpec {
  recursive?: BindRecursive;
  /** Path inside the volume that is mounted instead of all of it. */
  subpath?: string;
  driver?: string;
  driverOptions?: Readonly<Record<string, string>>;
  labels?: Readonly<Record<string, string>>;
}

export interface MountFlagTmpfs {
  kind: 'tmpfs';
  destination: string;
  readOnly: boolean;
  /** Bytes; no limit when absent. */
  size?: number;
  mode?: number;
}

export type MountFlag = MountFlagVolume | MountFlagTmpfs;

/** The engine's complaint. */
function fail(type: string, why: string): never {
  throw new VolumeSpecError(`invalid mount config for type "${type}": ${why}`);
}

/** Leaves out what is undefined. */
function given<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

interface Base {
  destination: string;
  readOnly: boolean;
}

function toTmpfs(fields: MountFields, base: Base): MountFlagTmpfs {
  if (fields.has('source')) fail('tmpfs', 'field Source must not be specified');
  const size = fields.value('tmpfs-size');
  const mode = fields.value('tmpfs-mode');
  return {
    kind: 'tmpfs',
    ...base,
    ...given({ size: size === undefined ? undefined : Number(size), mode: mode === undefined ? undefined : parseInt(mode, 8) }),
  };
}

function toBind(fields: MountFields, base: Base, cwd: string): MountFlagVolume {
  const source = fields.value('source') ?? fail('bind', 'field Source must not be empty');
  const host =
    source === '.' || source.startsWith('./') || source === '..' || source.startsWith('../') ? resolve(cwd, source) : source;
  const propagation = fields.value('bind-propagation');
  if (propagation !== undefined && !isPropagation(propagation)) return fail('bind', `invalid propagation mode: ${propagation}`);
  if (!host.startsWith('/')) fail('bind', `invalid mount path: '${host}' mount path must be absolute`);
  const recursive = fields.value('bind-recursive') as BindRecursive | undefined;
  const create = fields.isOn('bind-create-src');
  return { kind: 'bind', source: cleanPath(host), ...base, nocopy: false, create, ...given({ propagation, recursive }) };
}

function toVolume(fields: MountFields, base: Base): MountFlagVolume {
  const source = fields.value('source');
  const subpath = fields.value('volume-subpath');
  if (subpath !== undefined && source === undefined) fail('volume', 'must not set Subpath when using anonymous volumes');
  if (subpath !== undefined && !isLocalPath(subpath)) fail('volume', 'subpath must be a relative path within the volume');
  if (source !== undefined) checkVolumeName(source);
  else if (base.readOnly) fail('volume', 'must not set ReadOnly mode when using anonymous volumes');
  const driver = fields.value('volume-driver');
  const more = given({ source, subpath, driver, driverOptions: fields.map('volume-opt'), labels: fields.map('volume-label') });
  return {
    kind: source === undefined ? 'anonymous' : 'named',
    ...base,
    nocopy: fields.isOn('volume-nocopy'),
    create: false,
    ...more,
  };
}

/**
 * Parses one `--mount` argument in full: `type=bind|volume|tmpfs,source=..,target=..[,readonly][,...]`. Whether anything can be
 * mounted at the target is for the one who mounts to say.
 * @param cwd where a bind source that begins with `./` or `../` starts
 * Errors: VolumeSpecError.
 */
export function parseMountFlag(text: string, cwd: string): MountFlag {
  const fields = new MountFields(text);
  const { type } = fields;
  const target = fields.value('target') ?? '';
  const base = { destination: target.startsWith('/') ? cleanPath(target) : target, readOnly: fields.isOn('readonly') };
  if (type === 'tmpfs') return toTmpfs(fields, base);
  return type === 'bind' ? toBind(fields, base, cwd) : toVolume(fields, base);
}

/**
 * Parses one `--mount` argument for a root that is mounted without a container: host paths and local volumes.
 * Errors: VolumeSpecError, also for what a route cannot give: refused by name rather than ignored.
 */
export function parseMount(text: string, cwd: string): VolumeSpec {
  const flag = parseMountFlag(text, cwd);
  const complaint = checkDestination(flag.kind === 'bind' ? 'bind' : 'volume', flag.destination);
  if (complaint) throw new VolumeSpecError(complaint);
  const refuse = (what: string): never => {
    throw new VolumeSpecError(`invalid argument "${text}" for "--mount" flag: ${what}`);
  };
  if (flag.kind === 'tmpfs') return refuse(`mount type "tmpfs" is not supported: use "bind" or "volume"`);
  const { recursive, subpath, driver, driverOptions, labels, ...spec } = flag;
  const asked = {
    'bind-recursive': recursive,
    'volume-subpath': subpath,
    'volume-driver': driver,
    'volume-opt': driverOptions,
    'volume-label': labels,
  };
  const harmless = ['enabled', 'local', undefined] as const;
  for (const [option, value] of Object.entries(asked)) {
    if (!(harmless as readonly unknown[]).includes(value)) refuse(`option '${option}' is not supported: leave it out`);
  }
  return spec;
}
