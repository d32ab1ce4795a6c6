// /containers: making, listing, inspecting, changing and removing them. What is done to their processes is in
// container-actions.ts.

import { EngineError, badParameter } from '../container/errors.js';
import { healthWarnings } from '../container/health-config.js';
import { isUp } from '../container/state.js';
import { imageOf, listImages } from '../image/index.js';
import type { ContainerConfig, ContainerRecord, HostConfig } from '../store/index.js';
import { pruneAlone } from './alone.js';
import { filteredContainers } from './container-filters.js';
import { containerSize, writableSize } from './container-size.js';
import { containerRow, containerView, hearsay } from './container-view.js';
import { type EndpointConfig, joinOf } from './endpoint-config.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';
import { fixedLinks, removeLink } from './links.js';
import { parseMoment } from './moment.js';
import { CONTAINER_CONFIG, ENDPOINTS, HOST_CONFIG, UPDATE, shaped } from './shape.js';

/** `POST /containers/create`: the config's fields beside HostConfig and NetworkingConfig. */
function readCreate(
  body: unknown,
  [, minor]: Call['version'],
): { config: ContainerConfig; hostConfig: HostConfig; networks: ContainerRecord['networks'] } {
  if (typeof body !== 'object' || Array.isArray(body)) {
    throw badParameter('invalid JSON: got EOF while reading request body');
  }
  const shape = { ...CONTAINER_CONFIG, HostConfig: HOST_CONFIG, NetworkingConfig: { EndpointsConfig: ENDPOINTS } };
  const {
    HostConfig: hostConfig = {},
    NetworkingConfig: networking,
    ...config
  } = shaped(body, shape, '') as ContainerConfig & {
    HostConfig?: HostConfig;
    NetworkingConfig?: { EndpointsConfig?: Record<string, EndpointConfig> };
  };
  if (Object.keys(config).length === 0) throw badParameter('config cannot be empty in order to create a container');
  const mode = config.NetworkDisabled ? 'none' : hostConfig.NetworkMode || 'default';
  const main = mode === 'default' ? 'bridge' : mode;
  const asked = networking?.EndpointsConfig ?? {};
  if (minor < 44 && Object.keys(asked).length > 1)
    throw badParameter(`Container cannot be connected to network endpoints: ${Object.keys(asked).join(', ')}`);
  const names = new Set(
    main.startsWith('container:') ? [] : [main, ...Object.keys(asked).map((name) => (name === 'default' ? 'bridge' : name))],
  );
  const networks = [...names].map((name) => {
    const mac = name === main ? config.MacAddress : undefined;
    return joinOf(name, asked[name] ?? (name === 'bridge' ? asked['default'] : undefined) ?? {}, mac);
  });
  return { config, hostConfig: { ...hostConfig, NetworkMode: main }, networks };
}

async function create(engine: Engine, call: Call): Promise<void> {
  const request = readCreate(await call.requiredJson(), call.version);
  const name = call.query.get('name');
  const platform = call.query.get('platform');
  // For clients of before 1.40 the default is another.
  const ipc = call.version[1] < 40 && !request.hostConfig.IpcMode ? { IpcMode: 'shareable' } : {};
  const hostConfig = fixedLinks({ ...request.hostConfig, ...ipc }, engine.context.registry);
  const record = await engine.lifecycle.create({
    ...request,
    hostConfig,
    name: name || undefined,
    ...(platform ? { platform } : {}),
  });
  call.answer(201, { Id: record.id, Warnings: healthWarnings(record.config.Healthcheck) });
}

async function list(engine: Engine, call: Call): Promise<void> {
  const images = call.flag('size') ? await listImages(engine.context.store) : undefined;
  const rows: object[] = [];
  const heard = await hearsay(engine);
  for (const record of await filteredContainers(engine, call)) {
    const image = images?.find(({ id }) => id === record.image);
    rows.push(containerRow(engine, record, heard, images && (await containerSize(engine, record, image))));
  }
  call.answer(200, rows);
}

async function inspect(engine: Engine, call: Call): Promise<void> {
  const found = engine.context.registry.find(call.param());
  const image = await imageOf(engine.context.store, found.image);
  const size = call.flag('size') ? await containerSize(engine, found, image) : undefined;
  // It may have ended or started meanwhile.
  const record = engine.context.registry.find(found.id);
  const netns = engine.context.networks.path(record.id);
  call.answer(200, containerView(engine, record, image, netns, call.version[1], size));
}

async function prune(engine: Engine, call: Call): Promise<void> {
  const filters = call.filters();
  filters.check(['label', 'label!', 'until']);
  const until = filters.get('until')[0];
  const limit = until === undefined ? Infinity : parseMoment(until);
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const record of engine.context.registry.list()) {
    if (isUp(record) || engine.lifecycle.isRestarting(record.id)) continue;
    if (record.created > limit || !filters.fitLabels(record.config.Labels ?? {})) continue;
    const size = await writableSize(engine, record);
    try {
      await engine.lifecycle.remove(record.id, { force: false, volumes: false });
    } catch (error) {
      // Somebody has started or removed it meanwhile.
      if (error instanceof EngineError && (error.status === 409 || error.status === 404)) continue;
      throw error;
    }
    reclaimed += size;
    deleted.push(record.id);
  }
  engine.context.events.publish('container', 'prune', '', { reclaimed: String(reclaimed) });
  call.answer(200, { ContainersDeleted: deleted, SpaceReclaimed: reclaimed });
}

async function update({ context, lifecycle }: Engine, call: Call): Promise<void> {
  const record = context.registry.find(call.param());
  const change = shaped(await call.requiredJson(), UPDATE, '') as HostConfig;
  // Clients of before 1.40 send it without being asked to.
  await lifecycle.update(record.id, call.version[1] < 40 ? { ...change, PidsLimit: null } : change);
  call.answer(200, { Warnings: [] });
}

async function rename({ lifecycle }: Engine, call: Call): Promise<void> {
  await lifecycle.rename(call.param(), call.query.get('name') ?? '');
  call.answer(204);
}

async function remove(engine: Engine, call: Call): Promise<void> {
  if (call.flag('link')) await removeLink(engine, call.param());
  else await engine.lifecycle.remove(call.param(), { force: call.flag('force'), volumes: call.flag('v') });
  call.answer(204);
}

export function containerRoutes(engine: Engine, router: Router): void {
  router.on('POST', '/containers/create', (call) => create(engine, call));
  router.on('GET', '/containers/json', (call) => list(engine, call));
  router.on('POST', '/containers/prune', (call) => pruneAlone(engine, 'containers', () => prune(engine, call)));
  router.on('GET', '/containers/{}/json', (call) => inspect(engine, call));
  router.on('POST', '/containers/{}/update', (call) => update(engine, call));
  router.on('POST', '/containers/{}/rename', (call) => rename(engine, call));
  router.on('DELETE', '/containers/{}', (call) => remove(engine, call));
}
