// /_ping, /version, /info, /events, /system: what the engine is and what it does.

import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem } from 'node:os';
import { volumeRecords } from '../store/index.js';
import { hostArchitecture } from '../native/architecture.js';
import { containerRow, hearsay } from './container-view.js';
import { containerSize } from './container-size.js';
import { familiarName, listImages } from '../image/index.js';
import { EngineError, badParameter } from '../container/errors.js';
import type { EngineEvent } from '../container/events.js';
import { timerMs } from '../container/timers.js';
import { imageRow } from './image-view.js';
import { layerBytes } from './images.js';
import { parseMoment } from './moment.js';
import type { Engine } from './engine.js';
import { API_VERSION, type Call, type Filters, type Router } from './http.js';
import { OLDEST_API_VERSION } from './request-path.js';
import { usageOf, volumeView } from './volumes.js';

function ping(call: Call): void {
  const isHead = call.request.method === 'HEAD';
  const out = call.stream('text/plain; charset=utf-8', {
    ...(isHead ? {} : { 'Content-Length': '2' }),
    'Cache-Control': 'no-cache, no-store, must-revalidate',
    Pragma: 'no-cache',
    'Builder-Version': '1',
  });
  out.end(isHead ? undefined : 'OK');
}

function version(engine: Engine, call: Call): void {
  const common = { Version: engine.version, ApiVersion: API_VERSION, MinAPIVersion: OLDEST_API_VERSION };
  const built = {
    Os: 'linux',
    Arch: hostArchitecture,
    KernelVersion: release(),
    GoVersion: '',
    GitCommit: '',
    BuildTime: '',
  };
  call.answer(200, {
    Platform: { Name: 'lamina' },
    Components: [{ Name: 'Engine', Version: engine.version, Details: { ...common, ...built, Experimental: 'false' } }],
    ...common,
    ...built,
  });
}

function osName(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}

/** What is the same on every host. */
const FIXED_INFO = {
  Driver: 'lamina',
  DriverStatus: [
    ['Union', 'fuse'],
    ['Volumes', 'bind, passthrough, relay'],
  ],
  Plugins: { Volume: ['local'], Network: ['bridge', 'host', 'none'], Authorization: null, Log: ['json-file', 'local', 'none'] },
  MemoryLimit: true,
  SwapLimit: true,
  CpuCfsPeriod: true,
  CpuCfsQuota: true,
  CPUShares: true,
  CPUSet: true,
  PidsLimit: true,
  IPv4Forwarding: true,
  Debug: false,
  NFd: 0,
  NGoroutines: 0,
  LoggingDriver: 'json-file',
  CgroupDriver: 'cgroupfs',
  NEventsListener: 0,
  OSVersion: '',
  OSType: 'linux',
  IndexServerAddress: 'https://index.docker.io/v1/',
  RegistryConfig: { InsecureRegistryCIDRs: ['127.0.0.0/8'], IndexConfigs: {}, Mirrors: null },
  HttpProxy: '',
  HttpsProxy: '',
  NoProxy: '',
  Labels: [],
  ExperimentalBuild: false,
  Runtimes: { runc: { path: 'runc' } },
  DefaultRuntime: 'runc',
  Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '', RemoteManagers: null },
  LiveRestoreEnabled: true,
  Isolation: '',
  InitBinary: '',
  SecurityOptions: ['name=seccomp,profile=builtin'],
  Warnings: null,
};

function hostInfo(): object {
  return {
    ID: hostname(),
    Name: hostname(),
    SystemTime: new Date().toISOString(),
    CgroupVersion: existsSync('/sys/fs/cgroup/cgroup.controllers') ? '2' : '1',
    KernelVersion: release(),
    OperatingSystem: osName(),
    Architecture: arch() === 'x64' ? 'x86_64' : arch(),
    NCPU: cpus().length,
    MemTotal: totalmem(),
  };
}

async function info({ context, version }: Engine, call: Call): Promise<void> {
  const records = context.registry.list();
  const count = (status: string): number => records.filter((record) => record.state.status === status).length;
  call.answer(200, {
    ...hostInfo(),
    Containers: records.length,
    ContainersRunning: count('running'),
    ContainersPaused: count('paused'),
    ContainersStopped: records.length - count('running') - count('paused'),
    Images: (await listImages(context.store)).length,
    DockerRootDir: context.root,
    ServerVersion: version,
    ...FIXED_INFO,
  });
}

function fitsEvent(event: EngineEvent, filters: Filters): boolean {
  const { Actor: actor } = event;
  const about = (type: string) => (value: string) =>
    event.Type === type && (actor.ID.startsWith(value) || actor.Attributes['name'] === value || familiarName(actor.ID) === value);
  const image = actor.Attributes[event.Type === 'image' ? 'name' : 'image'] ?? '';
  return (
    filters.any('type', (type) => event.Type === type) &&
    filters.any('event', (action) => event.Action === action || event.Action.startsWith(`${action}:`)) &&
    filters.any('container', about('container')) &&
    filters.any('image', (asked) => about('image')(asked) || [image, image.replace(/:[^/:]*$/, '')].includes(asked)) &&
    filters.any('volume', about('volume')) &&
    filters.any('network', about('network')) &&
    filters.any('scope', (scope) => scope === 'local') &&
    filters.matchLabels('label', actor.Attributes)
  );
}

/** The old field names that clients still read. */
function eventLine(event: EngineEvent): string {
  const { Actor: actor } = event;
  const old = ['container', 'image'].includes(event.Type) ? { status: event.Action, id: actor.ID } : {};
  const from = event.Type === 'container' ? { from: actor.Attributes['image'] } : {};
  return `${JSON.stringify({ ...old, ...from, ...event })}\n`;
}

function events(engine: Engine, call: Call): void {
  const filters = call.filters();
  const time = (name: string): number | undefined => {
    const text = call.query.get(name);
    return text === null || text === '' ? undefined : parseMoment(text) / 1000;
  };
  const since = time('since');
  const until = time('until');
  if (since !== undefined && until !== undefined && since > until) {
    throw badParameter('`since` time cannot be after `until` time');
  }
  const out = call.stream('application/json');
  const write = (event: EngineEvent): void => {
    if (fitsEvent(event, filters) && (until === undefined || event.timeNano / 1e9 <= until)) out.write(eventLine(event));
  };
  // Who gives an end wants what was before it too.
  if (since !== undefined || until !== undefined) for (const event of engine.context.events.since(since ?? 0)) write(event);
  const left = until === undefined ? undefined : until * 1000 - Date.now();
  if (left !== undefined && left <= 0) return void out.end();
  const unsubscribe = engine.context.events.subscribe(write);
  const stop = (): void => {
    unsubscribe();
    clearTimeout(timer);
  };
  const timer = left === undefined ? undefined : setTimeout(() => (stop(), out.end()), timerMs(left));
  call.signal.addEventListener('abort', stop);
}

async function diskUsage(engine: Engine, call: Call): Promise<void> {
  const { store, registry } = engine.context;
  const heard = await hearsay(engine);
  const images = await listImages(store);
  const volumes = await volumeRecords(store).list();
  call.answer(200, {
    LayersSize: await layerBytes(engine),
    Images: images.map((image) => ({
      ...imageRow(image, image.references),
      SharedSize: 0,
      Containers: registry.imageUsers(image.id).length,
    })),
    Containers: await Promise.all(
      registry.list().map(async (record) => {
        const image = images.find(({ id }) => id === record.image);
        return containerRow(engine, record, heard, await containerSize(engine, record, image));
      }),
    ),
    Volumes: await Promise.all(volumes.map(async (volume) => volumeView(volume, await usageOf(engine, volume)))),
    BuildCache: null,
  });
}

export function systemRoutes(engine: Engine, router: Router): void {
  router.on('GET', '/_ping', ping);
  router.on('GET', '/version', (call) => version(engine, call));
  router.on('GET', '/info', (call) => info(engine, call));
  router.on('GET', '/events', (call) => events(engine, call));
  router.on('GET', '/system/df', (call) => diskUsage(engine, call));
  // There are none, and clients ask.
  router.on('GET', '/plugins', (call) => call.answer(200, []));
  for (const kind of ['swarm', 'nodes', 'services', 'tasks', 'secrets', 'configs']) {
    router.on('GET', `/${kind}`, () => {
      throw new EngineError(503, 'This node is not a swarm manager. lamina has no swarm mode.');
    });
  }
}
