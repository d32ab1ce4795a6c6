// How containers look to clients: one row of `ps`, and `inspect`. The shapes are the Docker Engine API's.

import { bypassOf } from '../container/bypass.js';
import { isUp } from '../container/state.js';
import { humanDuration } from '../container/duration.js';
import type { Image } from '../image/index.js';
import { canonicalName, familiarName } from '../image/index.js';
import { PREDEFINED } from '../network/networks.js';
import type { ContainerRecord, MountPoint } from '../store/index.js';
import type { HealthState } from '../container/health.js';
import type { Engine } from './engine.js';
import { hostConfigView } from './host-config-view.js';
import { namesByLinks, shownLinks } from './links.js';

const NEVER = '0001-01-01T00:00:00Z';

/** RFC 3339; the zero time for never. */
export function timeOf(at: number): string {
  return at === 0 ? NEVER : new Date(at).toISOString();
}

/** What a container's record does not say. */
interface Condition {
  readonly health?: HealthState | undefined;
  /** Its restart policy will start it again. */
  readonly restarting?: boolean;
}

export function conditionOf(engine: Engine, { id }: ContainerRecord): Condition {
  return { health: engine.health.of(id), restarting: engine.lifecycle.isRestarting(id) };
}

/** "Up 3 minutes", "Exited (0) 2 hours ago". */
export function statusText(record: ContainerRecord, { health, restarting }: Condition = {}, now = Date.now()): string {
  const { status, startedAt, finishedAt, exitCode } = record.state;
  if (restarting) return `Restarting (${exitCode}) ${humanDuration(now - finishedAt)} ago`;
  const healthText = health ? ` (${health.Status === 'starting' ? 'health: starting' : health.Status})` : '';
  if (status === 'running') return `Up ${humanDuration(now - startedAt)}${healthText}`;
  if (status === 'paused') return `Up ${humanDuration(now - startedAt)} (Paused)`;
  if (status === 'created') return 'Created';
  return `Exited (${exitCode}) ${humanDuration(now - finishedAt)} ago`;
}

/** `Mounts[]`: what the engine adds for itself does not show. */
function mountView({ Type, Name, Source, Destination, Driver, Mode, RW, Propagation }: MountPoint): object {
  return {
    Type,
    ...(Name === undefined ? {} : { Name }),
    Source,
    Destination,
    ...(Driver ? { Driver } : {}),
    Mode,
    RW,
    Propagation,
  };
}

interface Port {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

function portsOf(record: ContainerRecord): Port[] {
  const exposed = Object.keys(record.config.ExposedPorts ?? {});
  const all = new Set([...exposed, ...Object.keys(record.ports)]);
  return [...all].flatMap((key) => {
    const [port = '0', type = 'tcp'] = key.split('/');
    const base = { PrivatePort: Number(port), Type: type };
    const bound = record.ports[key] ?? [];
    if (bound.length === 0) return isUp(record) ? [base] : [];
    return bound.map(({ HostIp: ip, HostPort: host }) => ({ ...base, IP: ip ?? '0.0.0.0', PublicPort: Number(host) }));
  });
}

/** What others on a network of the user's own find it by, beside its name. */
function aliasesOf({ id, config }: ContainerRecord, aliases: readonly string[]): string[] {
  const short = id.slice(0, 12);
  return [...new Set([...aliases, short, config.Hostname ?? short])];
}

/** `ids`: clients of before 1.45 know its id for an alias, which has moved to DNSNames. */
function networksOf(record: ContainerRecord, ids = false): Record<string, object> {
  const live = new Map(record.endpoints.map((endpoint) => [endpoint.network, endpoint]));
  return Object.fromEntries(
    record.networks.map(({ name, aliases, ip, links = null }) => {
      const endpoint = live.get(name);
      const all = PREDEFINED.includes(name) ? undefined : aliasesOf(record, aliases);
      const shown = ids && all ? all : aliases;
      return [
        name,
        {
          IPAMConfig: ip === undefined ? null : { IPv4Address: ip },
          Links: links,
          Aliases: shown.length > 0 ? shown : null,
          MacAddress: endpoint?.mac ?? '',
          DriverOpts: null,
          NetworkID: endpoint?.networkId ?? '',
          EndpointID: endpoint ? record.id : '',
          Gateway: endpoint?.gateway ?? '',
          IPAddress: endpoint?.ip ?? '',
          IPPrefixLen: endpoint?.prefix ?? 0,
          IPv6Gateway: '',
          GlobalIPv6Address: '',
          GlobalIPv6PrefixLen: 0,
          DNSNames: all ? [record.name, ...all] : null,
        },
      ];
    }),
  );
}

/** What others say of containers, by which their rows are made. */
export interface Hearsay {
  /** Names by links of other containers, by container. */
  readonly links: ReadonlyMap<string, readonly string[]>;
  /** Ids of images by canonical name. */
  readonly images: ReadonlyMap<string, string>;
}

export async function hearsay({ context: { store, registry } }: Engine): Promise<Hearsay> {
  const references = await store.transaction((records) => records.list('reference'));
  return { links: namesByLinks(registry), images: new Map(references.map(({ name, id }) => [name, id])) };
}

/** The image as the user named it; its id when that name stands for another by now, or for none. */
function imageName({ config, image }: ContainerRecord, images: Hearsay['images']): string {
  const { Image: given = '' } = config;
  if (given === '' || given.startsWith('sha256:')) return given || `sha256:${image}`;
  const stands = given.includes('@') || image.startsWith(given) || images.get(canonicalName(given)) === image;
  return stands ? familiarName(given) : `sha256:${image}`;
}

/** One of `GET /containers/json`. */
export function containerRow(
  engine: Engine,
  record: ContainerRecord,
  { links, images }: Hearsay,
  size?: { rw: number; root: number },
): object {
  const condition = conditionOf(engine, record);
  return {
    Id: record.id,
    Names: [`/${record.name}`, ...(links.get(record.id) ?? [])],
    Image: imageName(record, images),
    ImageID: `sha256:${record.image}`,
    Command: commandText(record.command),
    Created: Math.floor(record.created / 1000),
    Ports: portsOf(record),
    ...(size ? { SizeRw: size.rw, SizeRootFs: size.root } : {}),
    Labels: record.config.Labels ?? {},
    State: condition.restarting ? 'restarting' : record.state.status,
    Status: statusText(record, condition),
    HostConfig: { NetworkMode: record.hostConfig.NetworkMode || 'bridge' },
    NetworkSettings: { Networks: networksOf(record) },
    Mounts: record.mounts.map(mountView),
  };
}

/** As Docker shows a command: arguments with a space in single quotes. */
function commandText(command: readonly string[]): string {
  return command.map((word, i) => (i > 0 && /\s/.test(word) ? `'${word}'` : word)).join(' ');
}

function stateView(record: ContainerRecord, { health, restarting = false }: Condition): object {
  const { status, pid, exitCode, error, oomKilled, startedAt, finishedAt } = record.state;
  return {
    Status: restarting ? 'restarting' : status,
    Running: restarting || isUp(record),
    Paused: status === 'paused',
    Restarting: restarting,
    OOMKilled: oomKilled,
    Dead: false,
    Pid: pid,
    ExitCode: exitCode,
    Error: error,
    StartedAt: timeOf(startedAt),
    FinishedAt: timeOf(finishedAt),
    ...(health ? { Health: health } : {}),
  };
}

function networkSettings(record: ContainerRecord, netns: string, ids: boolean): object {
  const bridge = record.endpoints.find(({ network }) => network === 'bridge');
  const ports: Record<string, unknown> = {};
  if (isUp(record)) {
    for (const key of Object.keys(record.config.ExposedPorts ?? {})) ports[key] = null;
    for (const [key, bound] of Object.entries(record.ports)) ports[key] = bound;
  }
  return {
    Bridge: '',
    SandboxID: isUp(record) ? record.id : '',
    SandboxKey: isUp(record) ? netns : '',
    Ports: ports,
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge ? record.id : '',
    Gateway: bridge?.gateway ?? '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPAddress: bridge?.ip ?? '',
    IPPrefixLen: bridge?.prefix ?? 0,
    IPv6Gateway: '',
    MacAddress: bridge?.mac ?? '',
    Networks: networksOf(record, ids),
  };
}

function rootView(record: ContainerRecord, directory: string): object {
  return {
    Name: 'lamina',
    Data: {
      LowerDir: record.layers.join(':'),
      MergedDir: `${directory}/root`,
      UpperDir: `${directory}/upper`,
      WorkDir: `${directory}/work`,
      VolumeTier: bypassOf(record.hostConfig) ?? 'bind',
    },
  };
}

function configView({ config }: ContainerRecord): object {
  return {
    OnBuild: null,
    Domainname: '',
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    ...config,
    Volumes: Object.keys(config.Volumes ?? {}).length > 0 ? config.Volumes : null,
  };
}

/** `GET /containers/{id}/json`; `minor`: of the API's version. */
export function containerView(
  engine: Engine,
  record: ContainerRecord,
  image: Image | undefined,
  netns: string,
  minor: number,
  size?: { rw: number; root: number },
): object {
  const directory = engine.context.directory(record.id);
  const [path = '', ...args] = record.command;
  return {
    Id: record.id,
    Created: timeOf(record.created),
    Path: path,
    Args: args,
    State: stateView(record, conditionOf(engine, record)),
    Image: `sha256:${record.image}`,
    ResolvConfPath: `${directory}/resolv.conf`,
    HostnamePath: `${directory}/hostname`,
    HostsPath: `${directory}/hosts`,
    LogPath: engine.context.logPath(record.id),
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: 'lamina',
    Platform: image?.config.os ?? 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: ((ids) => (ids.length > 0 ? ids : null))(engine.execs.of(record.id)),
    HostConfig: hostConfigView(record.hostConfig, shownLinks(record, engine.context.registry)),
    GraphDriver: rootView(record, directory),
    ...(size ? { SizeRw: size.rw, SizeRootFs: size.root } : {}),
    Mounts: record.mounts.map(mountView),
    Config: configView(record),
    NetworkSettings: networkSettings(record, netns, minor < 45),
  };
}
