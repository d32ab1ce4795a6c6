// The flags of `run` and `create`, and the request they make: Docker's, field by field.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseMountFlag } from '../volume/mount-flag.js';
import { ramInBytes } from '../volume/ram-size.js';
import { parseVolume } from '../volume/spec.js';
import { type Arguments, type Flag, UsageError } from './arguments.js';
import { parsePorts } from './port-specs.js';

const many = (takes: string, help: string, short?: string): Flag => ({ takes, many: true, help, ...(short ? { short } : {}) });
const one = (takes: string, help: string, short?: string): Flag => ({ takes, help, ...(short ? { short } : {}) });
const on = (help: string, short?: string): Flag => ({ help, ...(short ? { short } : {}) });

export const CONTAINER_FLAGS: Readonly<Record<string, Flag>> = {
  'add-host': many('HOST:IP', 'Add a custom host-to-IP mapping'),
  attach: many('STREAM', 'Attach to STDIN, STDOUT or STDERR', 'a'),
  bypass: one('bind|passthrough|relay', 'How volumes bypass the union (default bind)'),
  'cap-add': many('CAP', 'Add Linux capabilities'),
  'cap-drop': many('CAP', 'Drop Linux capabilities'),
  cidfile: one('FILE', 'Write the container ID to the file'),
  cpus: one('DECIMAL', 'Number of CPUs'),
  'cpu-shares': one('INT', 'CPU shares (relative weight)', 'c'),
  'cpuset-cpus': one('LIST', 'CPUs in which to allow execution (0-3, 0,1)'),
  device: many('DEVICE', 'Add a host device to the container'),
  dns: many('IP', 'Set custom DNS servers'),
  'dns-option': many('OPTION', 'Set DNS options'),
  'dns-search': many('DOMAIN', 'Set custom DNS search domains'),
  entrypoint: one('COMMAND', 'Overwrite the default ENTRYPOINT of the image'),
  env: many('NAME=VALUE', 'Set environment variables', 'e'),
  'env-file': many('FILE', 'Read in a file of environment variables'),
  expose: many('PORT', 'Expose a port or a range of ports'),
  'group-add': many('GROUP', 'Add additional groups to join'),
  hostname: one('NAME', 'Container host name', 'h'),
  interactive: on('Keep STDIN open even if not attached', 'i'),
  ip: one('IP', 'IPv4 address'),
  label: many('KEY=VALUE', 'Set metadata on a container', 'l'),
  'label-file': many('FILE', 'Read in a line delimited file of labels'),
  'log-driver': one('DRIVER', 'Logging driver: json-file, local or none'),
  'log-opt': many('KEY=VALUE', 'Log driver options'),
  memory: one('BYTES', 'Memory limit', 'm'),
  'memory-reservation': one('BYTES', 'Memory soft limit'),
  'memory-swap': one('BYTES', "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
  mount: many('MOUNT', 'Attach a filesystem mount to the container'),
  name: one('NAME', 'Assign a name to the container'),
  network: one('NETWORK', 'Connect a container to a network: bridge, host, none, container:NAME, or one of yours'),
  'network-alias': many('ALIAS', 'Add network-scoped alias for the container'),
  'no-healthcheck': on('Disable any container-specified HEALTHCHECK'),
  'oom-score-adj': one('INT', "Tune host's OOM preferences (-1000 to 1000)"),
  pid: one('MODE', 'PID namespace to use: host'),
  'pids-limit': one('INT', 'Tune container pids limit (set -1 for unlimited)'),
  platform: one('OS/ARCH', 'Set platform if the engine is multi-platform capable'),
  privileged: on('Give extended privileges to this container'),
  publish: many('[IP:][HOSTPORT:]PORT', "Publish a container's port(s) to the host", 'p'),
  'publish-all': on('Publish all exposed ports to random ports', 'P'),
  pull: one('missing|always|never', 'Pull image before running (default missing)'),
  'read-only': on("Mount the container's root filesystem as read only"),
  restart: one('POLICY', 'Restart policy: no, on-failure[:N], always, unless-stopped'),
  rm: on('Automatically remove the container and its anonymous volumes when it exits'),
  'security-opt': many('OPTION', 'Security options'),
  'shm-size': one('BYTES', 'Size of /dev/shm'),
  'stop-signal': one('SIGNAL', 'Signal to stop the container'),
  'stop-timeout': one('SECONDS', 'Timeout to stop a container'),
  'storage-opt': many('KEY=VALUE', 'Storage driver options for the container'),
  sysctl: many('KEY=VALUE', 'Sysctl options'),
  tmpfs: many('DST[:OPTIONS]', 'Mount a tmpfs directory'),
  tty: on('Allocate a pseudo-TTY', 't'),
  ulimit: many('TYPE=SOFT[:HARD]', 'Ulimit options'),
  user: one('NAME|UID[:GROUP|GID]', 'Username or UID', 'u'),
  volume: many('[SRC:]DST[:OPTIONS]', 'Bind mount a volume', 'v'),
  'volume-driver': one('DRIVER', 'Optional volume driver for the container'),
  'volumes-from': many('CONTAINER[:ro]', 'Mount volumes from the specified container(s)'),
  workdir: one('DIR', 'Working directory inside the container', 'w'),
};

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

/** `-e NAME` takes this process's value; a name that is not set here is left out. */
function environment(entries: readonly string[]): string[] {
  return entries.flatMap((entry) => {
    if (entry.includes('=')) return [entry];
    const value = process.env[entry];
    return value === undefined ? [] : [`${entry}=${value}`];
  });
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function pairs(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(entries.map((entry) => splitOnce(entry, '=')));
}

class Flags {
  constructor(
    readonly args: Arguments,
    readonly command: string,
  ) {}

  fail(name: string, value: string, why: string): never {
    throw new UsageError(`invalid argument ${JSON.stringify(value)} for "--${name}" flag: ${why}`, this.command);
  }

  bytes(name: string): number | undefined {
    const text = this.args.value(name);
    if (text === undefined) return undefined;
    return text === '-1' ? -1 : (ramInBytes(text) ?? this.fail(name, text, `invalid size: '${text}'`));
  }

  integer(name: string): number | undefined {
    const text = this.args.value(name);
    if (text === undefined) return undefined;
    if (!/^-?\d+$/.test(text)) this.fail(name, text, `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
    return Number(text);
  }

  ulimits(): object[] {
    return this.args.all('ulimit').map((text) => {
      const [, name, soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
      if (name === undefined || soft === undefined) return this.fail('ulimit', text, `invalid ulimit argument: ${text}`);
      return { Name: name, Soft: Number(soft), Hard: Number(hard ?? soft) };
    });
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
    const spec = parseVolume(text, process.cwd());
    if (spec.kind === 'anonymous') anonymous[spec.destination] = {};
    else if (text.startsWith('.')) binds.push([resolve(text.split(':')[0] ?? ''), ...text.split(':').slice(1)].join(':'));
    else binds.push(text);
  }
  return { binds, anonymous };
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

function hostConfig(flags: Flags): object {
  const { args } = flags;
  const { bindings } = parsePorts(args.all('publish'), args.all('expose'));
  const cpus = args.value('cpus');
  if (cpus !== undefined && !/^\d+(\.\d+)?$/.test(cpus)) flags.fail('cpus', cpus, `failed to parse ${cpus} as a rational number`);
  const bypass = args.value('bypass');
  const storage = { ...pairs(args.all('storage-opt')), ...(bypass === undefined ? {} : { 'lamina.bypass': bypass }) };
  return {
    Binds: volumes(args).binds,
    Mounts: mounts(args),
    VolumesFrom: args.all('volumes-from'),
    VolumeDriver: args.value('volume-driver') ?? '',
    Tmpfs: Object.fromEntries(args.all('tmpfs').map((text) => splitOnce(text, ':'))),
    NetworkMode: args.value('network') ?? 'default',
    PortBindings: bindings,
    PublishAllPorts: args.has('publish-all'),
    RestartPolicy: flags.restart(),
    AutoRemove: args.has('rm'),
    ReadonlyRootfs: args.has('read-only'),
    Privileged: args.has('privileged'),
    CapAdd: args.all('cap-add'),
    CapDrop: args.all('cap-drop'),
    Dns: args.all('dns'),
    DnsOptions: args.all('dns-option'),
    DnsSearch: args.all('dns-search'),
    ExtraHosts: args.all('add-host'),
    GroupAdd: args.all('group-add'),
    PidMode: args.value('pid') ?? '',
    SecurityOpt: args.all('security-opt'),
    StorageOpt: storage,
    ShmSize: flags.bytes('shm-size') ?? 0,
    Sysctls: pairs(args.all('sysctl')),
    LogConfig: { Type: args.value('log-driver') ?? '', Config: pairs(args.all('log-opt')) },
    Memory: flags.bytes('memory') ?? 0,
    MemoryReservation: flags.bytes('memory-reservation') ?? 0,
    MemorySwap: flags.bytes('memory-swap') ?? 0,
    NanoCpus: cpus === undefined ? 0 : Math.round(Number(cpus) * 1e9),
    CpuShares: flags.integer('cpu-shares') ?? 0,
    CpusetCpus: args.value('cpuset-cpus') ?? '',
    PidsLimit: flags.integer('pids-limit') ?? 0,
    OomScoreAdj: flags.integer('oom-score-adj') ?? 0,
    Ulimits: flags.ulimits(),
    Devices: flags.devices(),
    ContainerIDFile: args.value('cidfile') ?? '',
  };
}

function networking(args: Arguments): object {
  const network = args.value('network');
  const aliases = args.all('network-alias');
  const ip = args.value('ip');
  if (network === undefined || (aliases.length === 0 && ip === undefined)) return {};
  return {
    EndpointsConfig: { [network]: { Aliases: aliases, ...(ip === undefined ? {} : { IPAMConfig: { IPv4Address: ip } }) } },
  };
}

export interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** Which streams `run` attaches: those of `-a`, else all that there are. */
export function streamsOf(args: Arguments, command: string): Streams {
  const asked = args.all('attach').map((name) => name.toLowerCase());
  const wrong = asked.find((name) => !['stdin', 'stdout', 'stderr'].includes(name));
  if (wrong !== undefined) {
    throw new UsageError(
      `invalid argument ${JSON.stringify(wrong)} for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`,
      command,
    );
  }
  if (asked.length === 0) return { stdin: args.has('interactive'), stdout: true, stderr: true };
  return { stdin: asked.includes('stdin'), stdout: asked.includes('stdout'), stderr: asked.includes('stderr') };
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
    Env: environment([...args.all('env-file').flatMap((file) => linesOf(file, command)), ...args.all('env')]),
    Cmd: words.length > 0 ? words : null,
    Image: image,
    Volumes: volumes(args).anonymous,
    WorkingDir: args.value('workdir') ?? '',
    Entrypoint: entrypoint === undefined ? null : [entrypoint],
    Labels: pairs([...args.all('label-file').flatMap((file) => linesOf(file, command)), ...args.all('label')]),
    ...(args.has('stop-signal') ? { StopSignal: args.value('stop-signal') } : {}),
    ...(args.has('stop-timeout') ? { StopTimeout: flags.integer('stop-timeout') } : {}),
    HostConfig: hostConfig(flags),
    NetworkingConfig: networking(args),
  };
}
