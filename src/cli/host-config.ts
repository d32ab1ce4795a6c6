// What the flags of `run` and `create` ask of the host: volumes, networks, limits, rights. Docker's HostConfig, field by
// field. Called by create-body.ts, and by `update` for what may change.

import { resolve } from 'node:path';
import { parseMountFlag } from '../volume/mount-flag.js';
import { volumeSections } from '../volume/spec.js';
import type { Arguments } from './arguments.js';
import { pairs } from './common-flags.js';
import { FlagValues } from './flag-values.js';
import { parsePorts } from './port-specs.js';
import { CONTAINER_FLAGS } from './run-flags.js';

/** As the engine compares them: upper case with the prefix, sorted, each once; `ALL` swallows the others. */
function capabilities(names: readonly string[]): string[] {
  const full = names
    .map((name) => name.trim().toUpperCase())
    .map((name) => (name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`));
  return full.includes('ALL') ? ['ALL'] : [...new Set(full)].sort();
}

export class ContainerFlags extends FlagValues {
  constructor(args: Arguments, command: string) {
    super(args, command, CONTAINER_FLAGS);
  }

  /** Billionths of a CPU. */
  nanoCpus(): number {
    const text = this.args.value('cpus');
    if (text === undefined) return 0;
    if (!/^(\d+\.?\d*|\.\d+)$/.test(text)) this.fail('cpus', text, `failed to parse ${text} as a rational number`);
    if (/\.\d{10,}$/.test(text)) this.fail('cpus', text, 'value is too precise');
    return Math.round(Number(text) * 1e9);
  }

  restart(): object {
    const text = this.args.value('restart') ?? 'no';
    const [name = '', count] = text.split(':');
    if (count !== undefined && !/^\d+$/.test(count)) this.fail('restart', text, 'maximum retry count must be an integer');
    return { Name: name, MaximumRetryCount: Number(count ?? 0) };
  }

  devices(): object[] {
    return this.args.all('device').map((text) => {
      const [host = '', second, third] = text.split(':');
      const isMode = (part: string | undefined): boolean => part !== undefined && /^[rwm]{1,3}$/.test(part);
      const mode = isMode(third) ? third : third === undefined && isMode(second) ? second : 'rwm';
      return { PathOnHost: host, PathInContainer: second && !isMode(second) ? second : host, CgroupPermissions: mode };
    });
  }
}

/** Where `-v` goes: with a source it is this host's, without it is part of the container's config. Errors: VolumeSpecError. */
export function volumes(args: Arguments): { binds: string[]; anonymous: Record<string, object> } {
  const binds: string[] = [];
  const anonymous: Record<string, object> = {};
  for (const text of args.all('volume')) {
    // What is wrong beyond the grammar is the engine's to say.
    const [source = '', ...rest] = volumeSections(text);
    if (rest.length === 0) anonymous[text] = {};
    else binds.push(source.startsWith('.') ? [resolve(source), ...rest].join(':') : text);
  }
  return { binds: [...new Set(binds)], anonymous };
}

function mounts(args: Arguments): object[] {
  return args.all('mount').map((text) => {
    const flag = parseMountFlag(text, process.cwd());
    const base = { Target: flag.destination, ...(flag.readOnly ? { ReadOnly: true } : {}) };
    if (flag.kind === 'tmpfs') {
      const options = {
        ...(flag.size === undefined ? {} : { SizeBytes: flag.size }),
        ...(flag.mode === undefined ? {} : { Mode: flag.mode }),
      };
      return { Type: 'tmpfs', ...base, TmpfsOptions: options };
    }
    if (flag.kind === 'bind') {
      const options = {
        ...(flag.propagation ? { Propagation: flag.propagation } : {}),
        ...(flag.create ? { CreateMountpoint: true } : {}),
        ...(flag.recursive === 'disabled' ? { NonRecursive: true } : {}),
        ...(flag.recursive === 'writable' ? { ReadOnlyNonRecursive: true } : {}),
        ...(flag.recursive === 'readonly' ? { ReadOnlyForceRecursive: true } : {}),
      };
      return { Type: 'bind', Source: flag.source, ...base, ...(Object.keys(options).length > 0 ? { BindOptions: options } : {}) };
    }
    const options = {
      ...(flag.nocopy ? { NoCopy: true } : {}),
      ...(flag.subpath === undefined ? {} : { Subpath: flag.subpath }),
      ...(flag.labels ? { Labels: flag.labels } : {}),
      ...(flag.driver || flag.driverOptions ? { DriverConfig: { Name: flag.driver, Options: flag.driverOptions } } : {}),
    };
    return {
      Type: 'volume',
      ...(flag.source === undefined ? {} : { Source: flag.source }),
      ...base,
      ...(Object.keys(options).length > 0 ? { VolumeOptions: options } : {}),
    };
  });
}

/** `--tmpfs PATH[:OPTIONS]`. */
function tmpfs(flags: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    flags.map((text) => {
      const [path = '', ...options] = text.split(':');
      return [path, options.join(':')] as const;
    }),
  );
}

/** What it may use of the machine. */
function limits(flags: ContainerFlags): object {
  const { args } = flags;
  return {
    Memory: flags.bytes('memory') ?? 0,
    MemoryReservation: flags.bytes('memory-reservation') ?? 0,
    MemorySwap: flags.bytes('memory-swap') ?? 0,
    NanoCpus: flags.nanoCpus(),
    CpuPeriod: flags.integer('cpu-period') ?? 0,
    CpuQuota: flags.integer('cpu-quota') ?? 0,
    CpusetMems: args.value('cpuset-mems') ?? '',
    OomKillDisable: args.has('oom-kill-disable'),
    CpuShares: flags.integer('cpu-shares') ?? 0,
    CpusetCpus: args.value('cpuset-cpus') ?? '',
    PidsLimit: flags.integer('pids-limit') ?? 0,
    OomScoreAdj: flags.integer('oom-score-adj') ?? 0,
    Ulimits: flags.ulimits(),
    Devices: flags.devices(),
    ...(args.has('device-cgroup-rule') ? { DeviceCgroupRules: args.all('device-cgroup-rule') } : {}),
    ...(args.has('cgroup-parent') ? { CgroupParent: args.value('cgroup-parent') } : {}),
    ...(args.has('memory-swappiness') ? { MemorySwappiness: flags.integer('memory-swappiness') } : {}),
  };
}

/** What it may do, and what it shares with others. */
function isolation({ args }: ContainerFlags): object {
  return {
    Privileged: args.has('privileged'),
    CapAdd: capabilities(args.all('cap-add')),
    CapDrop: capabilities(args.all('cap-drop')),
    GroupAdd: args.all('group-add'),
    PidMode: args.value('pid') ?? '',
    IpcMode: args.value('ipc') ?? '',
    UTSMode: args.value('uts') ?? '',
    SecurityOpt: args.all('security-opt'),
    Sysctls: pairs(args.all('sysctl')),
    ...(args.has('cgroupns') ? { CgroupnsMode: args.value('cgroupns') } : {}),
  };
}

/** Its files: volumes, and how the root is kept. */
function storage(flags: ContainerFlags): object {
  const { args } = flags;
  const bypass = args.value('bypass');
  return {
    Binds: volumes(args).binds,
    Mounts: mounts(args),
    VolumesFrom: args.all('volumes-from'),
    VolumeDriver: args.value('volume-driver') ?? '',
    Tmpfs: tmpfs(args.all('tmpfs')),
    ReadonlyRootfs: args.has('read-only'),
    StorageOpt: { ...pairs(args.all('storage-opt')), ...(bypass === undefined ? {} : { 'lamina.bypass': bypass }) },
    ShmSize: flags.bytes('shm-size') ?? 0,
  };
}

function connections(flags: ContainerFlags): object {
  const { args } = flags;
  return {
    NetworkMode: args.value('network') ?? 'default',
    PortBindings: parsePorts(args.all('publish'), args.all('expose')).bindings,
    PublishAllPorts: args.has('publish-all'),
    Dns: args.all('dns'),
    DnsOptions: args.all('dns-option'),
    DnsSearch: args.all('dns-search'),
    ExtraHosts: flags.hosts(),
    ...(args.has('link') ? { Links: args.all('link') } : {}),
  };
}

/** Errors: UsageError, VolumeSpecError. */
export function hostConfig(flags: ContainerFlags): object {
  const { args } = flags;
  return {
    ...storage(flags),
    ...connections(flags),
    RestartPolicy: flags.restart(),
    AutoRemove: args.has('rm'),
    ...isolation(flags),
    ...(args.has('init') ? { Init: true } : {}),
    LogConfig: { Type: args.value('log-driver') ?? '', Config: pairs(args.all('log-opt')) },
    ...limits(flags),
    ...(args.has('annotation') ? { Annotations: pairs(args.all('annotation')) } : {}),
    ContainerIDFile: args.value('cidfile') ?? '',
  };
}
