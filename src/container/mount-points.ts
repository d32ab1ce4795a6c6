// Which volumes a container gets: the image's, `-v`, `--mount`, `--tmpfs` and `--volumes-from` brought together by Docker's
// precedence (weakest first): image VOLUMEs and anonymous `-v`; `--volumes-from`, the last one; `-v SRC:DST` and `--mount`.
// Pure: decides, makes nothing. Used by create.ts.

import type { ContainerRecord, HostConfig, MountPoint, MountRequest } from '../store/index.js';
import { cleanPath, isLocalPath } from '../volume/clean-path.js';
import { isPropagation, parseMode } from '../volume/mode.js';
import { anonymousName } from '../volume/named.js';
import { checkDestination, checkVolumeName, parseVolume, VolumeSpecError } from '../volume/spec.js';
import { EngineError, badParameter } from './errors.js';

/** A mount point, and what is to be made for it. */
export interface PlannedMount {
  readonly point: Omit<MountPoint, 'Source'> & { readonly Source?: string };
  /** A volume to open (made when missing) and, unless `nocopy`, to fill from the image. */
  readonly volume?: {
    readonly name: string;
    readonly anonymous: boolean;
    readonly nocopy: boolean;
    readonly labels?: Readonly<Record<string, string>>;
    readonly options?: Readonly<Record<string, string>>;
  };
}

export interface MountSources {
  readonly hostConfig: HostConfig;
  /** The engine's data root. */
  readonly root: string;
  /** Destinations of anonymous volumes: the config's and the image's. */
  readonly volumes: readonly string[];
  readonly find: (container: string) => ContainerRecord;
}

const LOCAL = 'local';

const isWithin = (path: string, directory: string): boolean => `${path}/`.startsWith(directory === '/' ? '/' : `${directory}/`);

/**
 * Who binds the engine's data root, or a directory that holds it, has the engine's mounts in it: they must go there when they go.
 * Errors: 400 for a propagation by which they would stay.
 */
function propagationOf(source: string, asked: string, root: string): string {
  if (!isWithin(source, root) && !isWithin(root, source)) return asked || 'rprivate';
  if (['', 'rslave', 'rshared'].includes(asked)) return asked || 'rslave';
  const where = `daemon root: "${root}", bind mount source: "${source}", propagation: "${asked}"`;
  const wanted = `must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root`;
  throw badParameter(`invalid mount config: ${wanted}, ${where}`);
}

function fromBind(raw: string, root: string): PlannedMount {
  const spec = parseVolume(raw, '/');
  const mode = raw.split(':').length > 2 ? (raw.split(':').at(-1) ?? '') : '';
  const base = { Destination: spec.destination, RW: !spec.readOnly, Mode: mode, named: true };
  if (spec.kind === 'bind') {
    const { source = '' } = spec;
    const propagation = propagationOf(source, spec.propagation ?? '', root);
    return { point: { ...base, Type: 'bind', Source: source, Propagation: propagation, create: true } };
  }
  // Without a source: clients that know no `Volumes` (docker-py).
  const anonymous = spec.source === undefined;
  const name = spec.source ?? anonymousName();
  return {
    point: { ...base, Type: 'volume', Name: name, Driver: LOCAL, Mode: mode || 'z', Propagation: '', named: !anonymous },
    volume: { name, anonymous, nocopy: spec.nocopy },
  };
}

function fail(type: string, why: string): never {
  throw badParameter(`invalid mount config for type "${type}": ${why}`);
}

function bindMount(mount: MountRequest, destination: string, root: string): PlannedMount {
  const { Source: source = '', BindOptions: options = {}, ReadOnly: readOnly = false } = mount;
  if (source === '') fail('bind', 'field Source must not be empty');
  if (!source.startsWith('/')) fail('bind', `invalid mount path: '${source}' mount path must be absolute`);
  const propagation = options.Propagation ?? '';
  if (propagation !== '' && !isPropagation(propagation)) fail('bind', `invalid propagation mode: ${propagation}`);
  return {
    point: {
      Type: 'bind',
      Source: cleanPath(source),
      Destination: destination,
      Mode: '',
      RW: !readOnly,
      Propagation: propagationOf(cleanPath(source), propagation, root),
      named: true,
      ...(options.CreateMountpoint ? { create: true } : {}),
      ...(options.NonRecursive ? { nonRecursive: true } : {}),
      ...(options.ReadOnlyNonRecursive ? { writableBelow: true } : {}),
    },
  };
}

function volumeMount(mount: MountRequest, destination: string): PlannedMount {
  const { Source: source = '', VolumeOptions: options = {}, ReadOnly: readOnly = false } = mount;
  const anonymous = source === '';
  const subpath = options.Subpath ?? '';
  if (subpath !== '' && anonymous) fail('volume', 'must not set Subpath when using anonymous volumes');
  if (subpath !== '' && !isLocalPath(subpath)) fail('volume', 'subpath must be a relative path within the volume');
  if (anonymous && readOnly) fail('volume', 'must not set ReadOnly mode when using anonymous volumes');
  if (!anonymous) checkVolumeName(source);
  checkDriver(options.DriverConfig?.Name);
  const name = anonymous ? anonymousName() : source;
  const driver = options.DriverConfig?.Options;
  return {
    point: {
      Type: 'volume',
      Name: name,
      Destination: destination,
      Driver: LOCAL,
      Mode: 'z',
      RW: !readOnly,
      Propagation: '',
      named: !anonymous,
      ...(subpath === '' ? {} : { subpath }),
    },
    volume: {
      name,
      anonymous,
      nocopy: options.NoCopy ?? false,
      ...(options.Labels ? { labels: options.Labels } : {}),
      ...(driver && Object.keys(driver).length > 0 ? { options: driver } : {}),
    },
  };
}

/** Only the built-in driver exists. Why another cannot be used, in Docker's words. */
export function missingDriver(name: string | undefined): string | undefined {
  if (name === undefined || name === '' || name === LOCAL) return undefined;
  return `error looking up volume plugin ${name}: plugin "${name}" not found`;
}

/** Errors: 400, not Docker's 404, which its own client takes for a missing image: it pulls, and tells of that. */
function checkDriver(name: string | undefined): void {
  const missing = missingDriver(name);
  if (missing !== undefined) throw badParameter(missing);
}

function tmpfsMount(mount: MountRequest, destination: string): PlannedMount {
  const { Source: source = '', TmpfsOptions: tmpfs = {}, ReadOnly: readOnly = false } = mount;
  if (source !== '') fail('tmpfs', 'field Source must not be specified');
  const point = { Source: '', Destination: destination, Mode: '', RW: !readOnly, Propagation: '', named: true, tmpfs };
  return { point: { ...point, Type: 'tmpfs' } };
}

/** A record with all its mount points: of what older versions made, tmpfs mounts are in the HostConfig alone. */
export function withTmpfs(record: ContainerRecord): ContainerRecord {
  const known = new Set(record.mounts.map(({ Destination }) => Destination));
  const asked = (record.hostConfig.Mounts ?? []).filter(({ Type }) => Type === 'tmpfs');
  const points = asked.map((mount) => ({ ...tmpfsMount(mount, cleanPath(mount.Target ?? '')).point, Source: '' }));
  const missing = points.filter(({ Destination }) => !known.has(Destination));
  return missing.length === 0 ? record : { ...record, mounts: [...record.mounts, ...missing] };
}

const MAKERS = { bind: bindMount, volume: volumeMount, tmpfs: tmpfsMount } as const;
const OPTIONS = { bind: 'BindOptions', volume: 'VolumeOptions', tmpfs: 'TmpfsOptions' } as const;

function fromMount(mount: MountRequest, root: string): PlannedMount {
  const given = mount.Type ?? 'volume';
  const type = (['bind', 'volume', 'tmpfs'] as const).find((each) => each === given) ?? fail(given, 'mount type unknown');
  const complaint = checkDestination(type, mount.Target ?? '');
  if (complaint) throw badParameter(complaint);
  for (const [other, options] of Object.entries(OPTIONS))
    if (other !== type && mount[options]) fail(type, `field ${options} must not be specified`);
  return MAKERS[type](mount, cleanPath(mount.Target ?? ''), root);
}

function anonymousMount(destination: string): PlannedMount {
  const complaint = checkDestination('volume', destination);
  if (complaint) throw new VolumeSpecError(`invalid volume specification: '${destination}': ${complaint}`);
  const name = anonymousName();
  return {
    point: {
      Type: 'volume',
      Name: name,
      Destination: cleanPath(destination),
      Driver: LOCAL,
      Mode: '',
      RW: true,
      Propagation: '',
      named: false,
    },
    volume: { name, anonymous: true, nocopy: false },
  };
}

/** Not a 404, which a client would take for a missing image. */
function sourceOf(reference: string, find: MountSources['find']): ContainerRecord {
  try {
    return find(reference);
  } catch (error) {
    throw error instanceof EngineError ? badParameter(error.message) : error;
  }
}

/** The mounts of another container, ro where `:ro` asks for it; `:rw` widens nothing. Docker does not show their mode. */
function inherited(text: string, find: MountSources['find']): PlannedMount[] {
  if (text === '') throw badParameter('volumes-from specification cannot be an empty string');
  const [, reference = '', word] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  const mode = word === undefined ? {} : parseMode(word);
  if (!mode || mode.copy || mode.propagation) throw badParameter(`invalid mode: ${word ?? ''}`);
  const { mounts } = sourceOf(reference, find);
  return mounts.map((mount) => ({ point: { ...mount, Mode: '', RW: mount.RW && mode.access !== 'ro' } }));
}

/** All mount points. Errors: EngineError, VolumeSpecError. */
export function planMounts({ hostConfig, root, volumes, find }: MountSources): PlannedMount[] {
  const taken = new Map<string, PlannedMount>();
  for (const text of hostConfig.VolumesFrom ?? []) {
    for (const mount of inherited(text, find)) taken.set(mount.point.Destination, mount);
  }
  const asked = new Set<string>();
  const claim = (destination: string): void => {
    if (asked.has(destination)) throw badParameter(`Duplicate mount point: ${destination}`);
    asked.add(destination);
    taken.delete(destination);
  };
  const binds = new Set(hostConfig.Binds ?? []);
  const asBinds = [...binds].map((each) => fromBind(each, root));
  if (asBinds.some(({ volume }) => volume)) checkDriver(hostConfig.VolumeDriver);
  for (const planned of [...asBinds, ...(hostConfig.Mounts ?? []).map((each) => fromMount(each, root))]) {
    claim(planned.point.Destination);
    taken.set(planned.point.Destination, planned);
  }
  for (const destination of Object.keys(hostConfig.Tmpfs ?? {})) claim(cleanPath(destination));
  for (const destination of volumes) {
    const planned = anonymousMount(destination);
    if (!taken.has(planned.point.Destination) && !asked.has(planned.point.Destination)) {
      checkDriver(hostConfig.VolumeDriver);
      taken.set(planned.point.Destination, planned);
    }
  }
  return [...taken.values()];
}
