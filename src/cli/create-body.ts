// The request that the flags of `run` and `create` make: Docker's, field by field.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseDuration } from '../build/duration.js';
import { parseMountFlag } from '../volume/mount-flag.js';
import { volumeSections } from '../volume/spec.js';
import { type Arguments, UsageError } from './arguments.js';
import { pairs } from './common-flags.js';
import { FlagValues } from './flag-values.js';
import { parsePorts } from './port-specs.js';
import { CONTAINER_FLAGS, streamsOf } from './run-flags.js';

/** Lines of an `--env-file` or `--label-file`; comments and empty ones left out. */
function linesOf(file: string, command: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UsageError(`open ${file}: ${missing ? 'no such file or directory' : (error as Error).message}`, command);
  }
  return text
    .split('\n')
    .map((line) => line.replace(/^\s+|\r$/g, ''))
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** `NAME` takes this process's value. One that is not set here stays a bare name, which takes the image's value away. */
export function environment(entries: readonly string[]): string[] {
  return entries.map((entry) => {
    const value = process.env[entry];
    return entry.includes('=') || value === undefined ? entry : `${entry}=${value}`;
  });
}

/** Of a file, names that are not set here are left out. */
function fileEnvironment(files: readonly string[], command: string): string[] {
  return environment(files.flatMap((file) => linesOf(file, command))).filter((entry) => entry.includes('='));
}

/** As the engine compares them: upper case with the prefix, sorted, each once; `ALL` swallows the others. */
function capabilities(names: readonly string[]): string[] {
  const full = names
    .map((name) => name.trim().toUpperCase())
    .map((name) => (name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`));
  return full.includes('ALL') ? ['ALL'] : [...new Set(full)].sort();
}

class Flags extends FlagValues {
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
function volumes(args: Arguments): { binds: string[]; anonymous: Record<string, object> } {
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

function hostConfig(flags: Flags): object {
  const { args } = flags;
  const { bindings } = parsePorts(args.all('publish'), args.all('expose'));
  const bypass = args.value('bypass');
  const storage = { ...pairs(args.all('storage-opt')), ...(bypass === undefined ? {} : { 'lamina.bypass': bypass }) };
  return {
    Binds: volumes(args).binds,
    Mounts: mounts(args),
    VolumesFrom: args.all('volumes-from'),
    VolumeDriver: args.value('volume-driver') ?? '',
    Tmpfs: tmpfs(args.all('tmpfs')),
    NetworkMode: args.value('network') ?? 'default',
    PortBindings: bindings,
    PublishAllPorts: args.has('publish-all'),
    RestartPolicy: flags.restart(),
    AutoRemove: args.has('rm'),
    ReadonlyRootfs: args.has('read-only'),
    Privileged: args.has('privileged'),
    CapAdd: capabilities(args.all('cap-add')),
    CapDrop: capabilities(args.all('cap-drop')),
    Dns: args.all('dns'),
    DnsOptions: args.all('dns-option'),
    DnsSearch: args.all('dns-search'),
    ExtraHosts: flags.hosts(),
    GroupAdd: args.all('group-add'),
    PidMode: args.value('pid') ?? '',
    IpcMode: args.value('ipc') ?? '',
    UTSMode: args.value('uts') ?? '',
    ...(args.has('init') ? { Init: true } : {}),
    SecurityOpt: args.all('security-opt'),
    StorageOpt: storage,
    ShmSize: flags.bytes('shm-size') ?? 0,
    Sysctls: pairs(args.all('sysctl')),
    LogConfig: { Type: args.value('log-driver') ?? '', Config: pairs(args.all('log-opt')) },
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
    ...(args.has('annotation') ? { Annotations: pairs(args.all('annotation')) } : {}),
    ...(args.has('cgroup-parent') ? { CgroupParent: args.value('cgroup-parent') } : {}),
    ...(args.has('cgroupns') ? { CgroupnsMode: args.value('cgroupns') } : {}),
    ...(args.has('link') ? { Links: args.all('link') } : {}),
    ...(args.has('memory-swappiness') ? { MemorySwappiness: flags.integer('memory-swappiness') } : {}),
    ContainerIDFile: args.value('cidfile') ?? '',
  };
}

function networking(args: Arguments): object {
  const network = args.value('network') ?? 'default';
  const aliases = args.all('network-alias');
  const ip = args.value('ip');
  if (aliases.length === 0 && ip === undefined) return {};
  return {
    EndpointsConfig: { [network]: { Aliases: aliases, ...(ip === undefined ? {} : { IPAMConfig: { IPv4Address: ip } }) } },
  };
}

/** A flag's duration in nanoseconds. */
function duration(flags: Flags, name: string): number | undefined {
  const text = flags.args.value(name);
  if (text === undefined) return undefined;
  return parseDuration(text) ?? flags.fail(name, text, `time: invalid duration ${JSON.stringify(text)}`);
}

/** `--health-*` and `--no-healthcheck`. */
function health(flags: Flags): object {
  const { args } = flags;
  const retries = flags.integer('health-retries');
  if ((retries ?? 0) < 0) throw new UsageError('--health-retries cannot be negative', flags.command);
  const command = args.value('health-cmd');
  const fields = {
    Test: command === undefined ? undefined : ['CMD-SHELL', command],
    Interval: duration(flags, 'health-interval'),
    Timeout: duration(flags, 'health-timeout'),
    StartPeriod: duration(flags, 'health-start-period'),
    StartInterval: duration(flags, 'health-start-interval'),
    Retries: retries,
  };
  const given = Object.values(fields).some((value) => value !== undefined);
  if (!args.has('no-healthcheck')) return given ? { Healthcheck: fields } : {};
  if (given) throw new UsageError('--no-healthcheck conflicts with --health-* options', flags.command);
  return { Healthcheck: { Test: ['NONE'] } };
}

/** The body of `POST /containers/create`. Errors: UsageError, VolumeSpecError. */
export function createBody(args: Arguments, command: string, detached: boolean): object {
  const flags = new Flags(args, command);
  const [image = '', ...words] = args.rest;
  const streams = streamsOf(args, command);
  const entrypoint = args.value('entrypoint');
  const stdin = args.has('interactive');
  return {
    Hostname: args.value('hostname') ?? '',
    User: args.value('user') ?? '',
    AttachStdin: !detached && streams.stdin,
    AttachStdout: !detached && streams.stdout,
    AttachStderr: !detached && streams.stderr,
    ExposedPorts: parsePorts(args.all('publish'), args.all('expose')).exposed,
    Tty: args.has('tty'),
    OpenStdin: stdin,
    StdinOnce: !detached && stdin,
    Env: [...fileEnvironment(args.all('env-file'), command), ...environment(args.all('env'))],
    Cmd: words.length > 0 ? words : null,
    Image: image,
    Volumes: volumes(args).anonymous,
    WorkingDir: args.value('workdir') ?? '',
    Entrypoint: entrypoint === undefined ? null : [entrypoint],
    Domainname: args.value('domainname') ?? '',
    ...health(flags),
    Labels: pairs([...args.all('label-file').flatMap((file) => linesOf(file, command)), ...args.all('label')]),
    ...(args.has('mac-address') ? { MacAddress: args.value('mac-address') } : {}),
    ...(args.has('stop-signal') ? { StopSignal: args.value('stop-signal') } : {}),
    ...(args.has('stop-timeout') ? { StopTimeout: flags.integer('stop-timeout') } : {}),
    HostConfig: hostConfig(flags),
    NetworkingConfig: networking(args),
  };
}
