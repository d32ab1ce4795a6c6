// Checks that a client's JSON has the types that the API says, so that nothing beyond this point meets a surprise. Keys are
// matched without case, as Go does; unknown ones are dropped; null counts as absent.

import { badParameter } from '../container/errors.js';

/** A type (`words` is a list of strings, or one alone), or a field table; `[x]` is a list, `{'*': x}` a map. */
export type Shape = 'string' | 'number' | 'boolean' | 'words' | 'any' | readonly [Shape] | { readonly [field: string]: Shape };

function complain(value: unknown, path: string, wanted: string): never {
  const kind = Array.isArray(value)
    ? 'array'
    : typeof value === 'number' && wanted === 'int64'
      ? `number ${value}`
      : typeof value;
  throw badParameter(`invalid JSON: cannot unmarshal ${kind} into field ${path} of type ${wanted}`);
}

/** Docker's API has no other numbers. */
function isInt64(value: unknown): boolean {
  return Number.isInteger(value) && Math.abs(value as number) <= 2 ** 63;
}

/** `value` with only what the shape knows. Errors: 400. */
export function shaped(value: unknown, shape: Shape, path: string): unknown {
  if (value === null || value === undefined || shape === 'any') return value ?? undefined;
  if (shape === 'words') return typeof value === 'string' ? [value] : shaped(value, ['string'], path);
  if (typeof shape === 'string') {
    if (shape === 'number') return isInt64(value) ? value : complain(value, path, 'int64');
    return typeof value === shape ? value : complain(value, path, shape);
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return complain(value, path, 'array');
    const [inner] = shape as readonly [Shape];
    return value.map((each, i) => shaped(each, inner, `${path}[${i}]`) ?? (inner === 'string' ? '' : {}));
  }
  if (typeof value !== 'object' || Array.isArray(value)) return complain(value, path, 'object');
  return shapedObject(value as Record<string, unknown>, shape as Readonly<Record<string, Shape>>, path);
}

function shapedObject(value: Readonly<Record<string, unknown>>, shape: Readonly<Record<string, Shape>>, path: string): object {
  const each = shape['*'];
  const out: Record<string, unknown> = {};
  const known = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]));
  for (const [key, inner] of Object.entries(value)) {
    const name = each === undefined ? known.get(key.toLowerCase()) : key;
    const type = each ?? (name === undefined ? undefined : shape[name]);
    if (name === undefined || type === undefined || name === '__proto__') continue;
    const checked = shaped(inner, type, path === '' ? name : `${path}.${name}`);
    if (checked !== undefined) out[name] = checked;
    // A map's entry may be null: `"80/tcp": null`.
    else if (each !== undefined) out[name] = typeof type === 'object' && !Array.isArray(type) ? {} : null;
  }
  return out;
}

const STRINGS: Shape = ['string'];
const MAP: Shape = { '*': 'string' };
const SET: Shape = { '*': {} };
const RATES: Shape = [{ Path: 'string', Rate: 'number' }];

export const CONTAINER_CONFIG: Readonly<Record<string, Shape>> = {
  Hostname: 'string',
  Domainname: 'string',
  User: 'string',
  AttachStdin: 'boolean',
  AttachStdout: 'boolean',
  AttachStderr: 'boolean',
  ExposedPorts: SET,
  Tty: 'boolean',
  OpenStdin: 'boolean',
  StdinOnce: 'boolean',
  Env: STRINGS,
  Cmd: 'words',
  Image: 'string',
  Volumes: SET,
  WorkingDir: 'string',
  Entrypoint: 'words',
  NetworkDisabled: 'boolean',
  OnBuild: STRINGS,
  Labels: MAP,
  StopSignal: 'string',
  StopTimeout: 'number',
  Shell: 'words',
  Healthcheck: {
    Test: STRINGS,
    Interval: 'number',
    Timeout: 'number',
    StartPeriod: 'number',
    StartInterval: 'number',
    Retries: 'number',
  },
  MacAddress: 'string',
};

const MOUNT: Shape = {
  Type: 'string',
  Source: 'string',
  Target: 'string',
  ReadOnly: 'boolean',
  Consistency: 'string',
  BindOptions: {
    Propagation: 'string',
    NonRecursive: 'boolean',
    CreateMountpoint: 'boolean',
    ReadOnlyNonRecursive: 'boolean',
    ReadOnlyForceRecursive: 'boolean',
  },
  VolumeOptions: { NoCopy: 'boolean', Labels: MAP, Subpath: 'string', DriverConfig: { Name: 'string', Options: MAP } },
  TmpfsOptions: { SizeBytes: 'number', Mode: 'number' },
};

export const HOST_CONFIG: Readonly<Record<string, Shape>> = {
  Binds: STRINGS,
  Mounts: [MOUNT],
  VolumesFrom: STRINGS,
  VolumeDriver: 'string',
  Tmpfs: MAP,
  NetworkMode: 'string',
  PortBindings: { '*': [{ HostIp: 'string', HostPort: 'string' }] },
  PublishAllPorts: 'boolean',
  RestartPolicy: { Name: 'string', MaximumRetryCount: 'number' },
  AutoRemove: 'boolean',
  ReadonlyRootfs: 'boolean',
  Privileged: 'boolean',
  CapAdd: STRINGS,
  CapDrop: STRINGS,
  Dns: STRINGS,
  DnsOptions: STRINGS,
  DnsSearch: STRINGS,
  ExtraHosts: STRINGS,
  GroupAdd: STRINGS,
  IpcMode: 'string',
  PidMode: 'string',
  UTSMode: 'string',
  SecurityOpt: STRINGS,
  StorageOpt: MAP,
  ShmSize: 'number',
  Sysctls: MAP,
  Runtime: 'string',
  LogConfig: { Type: 'string', Config: MAP },
  Memory: 'number',
  MemoryReservation: 'number',
  MemorySwap: 'number',
  NanoCpus: 'number',
  CpuShares: 'number',
  CpuPeriod: 'number',
  CpuQuota: 'number',
  CpusetCpus: 'string',
  CpusetMems: 'string',
  PidsLimit: 'number',
  OomKillDisable: 'boolean',
  OomScoreAdj: 'number',
  Ulimits: [{ Name: 'string', Soft: 'number', Hard: 'number' }],
  Devices: [{ PathOnHost: 'string', PathInContainer: 'string', CgroupPermissions: 'string' }],
  Init: 'boolean',
  MaskedPaths: STRINGS,
  ReadonlyPaths: STRINGS,
  ContainerIDFile: 'string',
  Annotations: MAP,
  BlkioWeight: 'number',
  BlkioWeightDevice: [{ Path: 'string', Weight: 'number' }],
  BlkioDeviceReadBps: RATES,
  BlkioDeviceReadIOps: RATES,
  BlkioDeviceWriteBps: RATES,
  BlkioDeviceWriteIOps: RATES,
  Cgroup: 'string',
  CgroupParent: 'string',
  CgroupnsMode: 'string',
  ConsoleSize: ['number'],
  CpuCount: 'number',
  CpuPercent: 'number',
  CpuRealtimePeriod: 'number',
  CpuRealtimeRuntime: 'number',
  DeviceCgroupRules: STRINGS,
  DeviceRequests: [{ Driver: 'string', Count: 'number', DeviceIDs: STRINGS, Capabilities: [STRINGS], Options: MAP }],
  IOMaximumBandwidth: 'number',
  IOMaximumIOps: 'number',
  Isolation: 'string',
  KernelMemory: 'number',
  KernelMemoryTCP: 'number',
  Links: STRINGS,
  MemorySwappiness: 'number',
  UsernsMode: 'string',
};

const UPDATED: readonly string[] = [
  ...['BlkioWeight', 'CpuPeriod', 'CpuQuota', 'CpuRealtimePeriod', 'CpuRealtimeRuntime', 'CpuShares', 'CpusetCpus'],
  ...['CpusetMems', 'KernelMemory', 'Memory', 'MemoryReservation', 'MemorySwap', 'NanoCpus', 'PidsLimit', 'RestartPolicy'],
];
/** What `update` changes; Docker passes over all else that its API names. */
export const UPDATE: Shape = Object.fromEntries(Object.entries(HOST_CONFIG).filter(([name]) => UPDATED.includes(name)));

export const ENDPOINT: Shape = {
  Aliases: STRINGS,
  Links: STRINGS,
  MacAddress: 'string',
  DriverOpts: MAP,
  IPAMConfig: { IPv4Address: 'string', IPv6Address: 'string', LinkLocalIPs: STRINGS },
};
export const ENDPOINTS: Shape = { '*': ENDPOINT };

export const EXEC_CONFIG: Shape = {
  AttachStdin: 'boolean',
  AttachStdout: 'boolean',
  AttachStderr: 'boolean',
  DetachKeys: 'string',
  Tty: 'boolean',
  Env: STRINGS,
  Cmd: STRINGS,
  Privileged: 'boolean',
  User: 'string',
  WorkingDir: 'string',
};

export const VOLUME_CREATE: Shape = { Name: 'string', Driver: 'string', DriverOpts: MAP, Labels: MAP };
