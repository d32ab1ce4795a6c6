// /containers: making, listing, inspecting and changing them.

import { EngineError, badParameter, failure } from '../container/errors.js';
import { isUp } from '../container/state.js';
import { processesOf } from '../container/top.js';
import { NoSuchImage, imageOf, listImages, resolveImage } from '../image/index.js';
import type { ContainerConfig, ContainerRecord, HostConfig } from '../store/index.js';
import { containerSize, writableSize } from './container-size.js';
import { containerRow, containerView, hearsay } from './container-view.js';
import type { Engine } from './engine.js';
import type { Call, Filters, Router } from './http.js';
import { type EndpointConfig, joinOf } from './endpoint-config.js';
import { fixedLinks, removeLink } from './links.js';
import { parseMoment } from './moment.js';
import { pruneAlone } from './alone.js';
import { CONTAINER_CONFIG, ENDPOINTS, HOST_CONFIG, UPDATE, shaped } from './shape.js';

const FILTERS = [
  'ancestor',
  'before',
  'exited',
  'id',
  'label',
  'name',
  'network',
  'since',
  'status',
  'volume',
  'expose',
  'publish',
  'health',
  'is-task',
  'isolation',
];
const HEALTHS = ['starting', 'healthy', 'unhealthy', 'none'];
const STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];

/** `POST /containers/create`: the config's fields beside HostConfig and NetworkingConfig. */
function readCreate(body: unknown): { config: ContainerConfig; hostConfig: HostConfig; networks: ContainerRecord['networks'] } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
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
  const mode = config.NetworkDisabled ? 'none' : hostConfig.NetworkMode || 'default';
  const main = mode === 'default' ? 'bridge' : mode;
  const asked = networking?.EndpointsConfig ?? {};
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
  const request = readCreate(await call.requiredJson());
  const name = call.query.get('name');
  const platform = call.query.get('platform');
  const hostConfig = fixedLinks(request.hostConfig, engine.context.registry);
  const record = await engine.lifecycle.create({
    ...request,
    hostConfig,
    name: name || undefined,
    ...(platform ? { platform } : {}),
  });
  call.answer(201, { Id: record.id, Warnings: [] });
}

/** The creation time that `before` and `since` mean. */
function momentOf(engine: Engine, filters: Filters, name: string): number | undefined {
  const [reference] = filters.get(name);
  return reference === undefined ? undefined : engine.context.registry.find(reference).created;
}

/** The images that are meant, and all that were made from them. */
async function imagesOf(engine: Engine, names: readonly string[]): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const name of names) {
    await resolveImage(engine.context.store, name).then(
      ({ id }) => ids.add(id),
      (error: unknown) => {
        if (!(error instanceof NoSuchImage)) throw error;
      },
    );
  }
  const all = await engine.context.store.transaction((records) => records.list('image'));
  const add = (id: string): void => {
    for (const child of all.filter(({ parent }) => parent === id)) add(child.id);
    ids.add(id);
  };
  for (const id of [...ids]) add(id);
  return ids;
}

/** A container that waits to be started again is neither running nor exited. */
function statusOf(engine: Engine, record: ContainerRecord): string {
  return engine.lifecycle.isRestarting(record.id) ? 'restarting' : record.state.status;
}

async function filtered(engine: Engine, call: Call): Promise<ContainerRecord[]> {
  const filters = call.filters();
  filters.check(FILTERS);
  for (const status of filters.get('status')) {
    if (!STATUSES.includes(status)) throw badParameter(`invalid filter 'status=${status}'`);
  }
  for (const code of filters.get('exited')) {
    if (!/^[+-]?\d+$/.test(code)) throw failure(`strconv.Atoi: parsing ${JSON.stringify(code)}: invalid syntax`);
  }
  for (const health of filters.get('health')) {
    if (!HEALTHS.includes(health)) throw badParameter(`invalid filter 'health=${health}'`);
  }
  const before = momentOf(engine, filters, 'before');
  const since = momentOf(engine, filters, 'since');
  const ancestors = filters.has('ancestor') ? await imagesOf(engine, filters.get('ancestor')) : undefined;
  const all = call.flag('all') || filters.has('status');
  const limit = call.integer('limit') ?? 0;
  const networks = new Map((filters.has('network') ? engine.networks.networks.list() : []).map(({ name, id }) => [name, id]));
  const networkId = (name: string): string => networks.get(name) ?? '';
  const found = engine.context.registry
    .list()
    .filter(
      (record) =>
        (all || limit > 0 || isUp(record) || engine.lifecycle.isRestarting(record.id)) &&
        (before === undefined || record.created < before) &&
        (since === undefined || record.created > since) &&
        (ancestors === undefined || ancestors.has(record.image)) &&
        filters.any('status', (status) => statusOf(engine, record) === status) &&
        filters.any('exited', (code) => record.state.status === 'exited' && record.state.exitCode === Number(code)) &&
        filters.any('id', (id) => record.id.startsWith(id)) &&
        filters.any('name', (name) => fitsName(name, record.name)) &&
        filters.any('network', (asked) =>
          record.networks.some(({ name }) => name === asked || networkId(name).startsWith(asked)),
        ) &&
        filters.any('health', (health) => (engine.health.of(record.id)?.Status ?? 'none') === health) &&
        filters.any('is-task', (value) => /^(0|f|false)$/i.test(value)) &&
        filters.any('isolation', (value) => value === 'default') &&
        filters.any('publish', (port) => publishes(record, port)) &&
        filters.any('expose', (port) => exposes(record, port)) &&
        filters.any('volume', (volume) =>
          record.mounts.some(({ Name, Destination, Source }) => [Name, Destination, Source].includes(volume)),
        ) &&
        filters.matchLabels('label', record.config.Labels ?? {}),
    );
  return limit > 0 ? found.slice(0, limit) : found;
}

/** Whether `port` (`80`, `80/udp`, `8000-8010/tcp`) of a filter is among `keys` (`80/tcp`). */
function includesPort(port: string, keys: readonly string[]): boolean {
  const [, first = '', last, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(port) ?? [];
  if (first === '') throw badParameter(`invalid port specification: ${JSON.stringify(port)}`);
  return keys.some((key) => {
    const [number, kind] = key.split('/');
    return kind === protocol && Number(number) >= Number(first) && Number(number) <= Number(last ?? first);
  });
}

/** By the host's numbers. */
const publishes = (record: ContainerRecord, port: string): boolean => {
  const bound = Object.entries(record.ports).flatMap(([key, bindings]) =>
    bindings.map(({ HostPort: host }) => `${host}/${key.split('/')[1] ?? 'tcp'}`),
  );
  return includesPort(port, bound);
};
/** By the container's numbers. */
const exposes = (record: ContainerRecord, port: string): boolean =>
  includesPort(port, [...Object.keys(record.config.ExposedPorts ?? {}), ...Object.keys(record.ports)]);

/** A regular expression over the name, with and without the slash. */
function fitsName(pattern: string, name: string): boolean {
  try {
    const expression = new RegExp(pattern);
    return expression.test(name) || expression.test(`/${name}`);
  } catch {
    return name.includes(pattern);
  }
}

async function list(engine: Engine, call: Call): Promise<void> {
  const images = call.flag('size') ? await listImages(engine.context.store) : undefined;
  const rows: object[] = [];
  const heard = await hearsay(engine);
  for (const record of await filtered(engine, call)) {
    const image = images?.find(({ id }) => id === record.image);
    rows.push(containerRow(engine, record, heard, images && (await containerSize(engine, record, image))));
  }
  call.answer(200, rows);
}

async function inspect(engine: Engine, call: Call): Promise<void> {
  const record = engine.context.registry.find(call.param());
  const image = await imageOf(engine.context.store, record.image);
  const size = call.flag('size') ? await containerSize(engine, record, image) : undefined;
  call.answer(200, containerView(engine, record, image, engine.context.networks.path(record.id), size));
}

/** `condition` of wait: when the answer is due. */
async function wait(engine: Engine, call: Call): Promise<void> {
  const { registry } = engine.context;
  const record = registry.find(call.param());
  const condition = call.query.get('condition') ?? '';
  if (!['', 'not-running', 'next-exit', 'removed'].includes(condition)) {
    throw badParameter(`invalid condition: ${JSON.stringify(condition)}`);
  }
  const isOver = (condition === '' || condition === 'not-running') && !isUp(record);
  const waiting = isOver ? record : registry.wait(record.id, condition === 'removed' ? 'removed' : 'exit', call.signal);
  // The client may start the container once it sees that it is being waited for.
  const out = call.stream('application/json');
  const ended = await waiting;
  out.end(`${JSON.stringify({ StatusCode: ended.state.exitCode })}\n`);
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

/** Docker answers what is already so with 304. */
async function unlessSo(call: Call, action: Promise<unknown>): Promise<void> {
  try {
    await action;
    call.answer(204);
  } catch (error) {
    if (!(error instanceof EngineError) || error.status !== 304) throw error;
    call.answer(304);
  }
}

function sizeOf(call: Call): readonly [number, number] | undefined {
  const rows = call.integer('h');
  const columns = call.integer('w');
  return rows && columns ? [rows, columns] : undefined;
}

export function containerRoutes(engine: Engine, router: Router): void {
  const { lifecycle, context } = engine;
  const { registry } = context;
  router.on('POST', '/containers/create', (call) => create(engine, call));
  router.on('GET', '/containers/json', (call) => list(engine, call));
  router.on('POST', '/containers/prune', (call) => pruneAlone(engine, 'containers', () => prune(engine, call)));
  router.on('GET', '/containers/{}/json', (call) => inspect(engine, call));
  router.on('POST', '/containers/{}/wait', (call) => wait(engine, call));
  router.on('POST', '/containers/{}/start', (call) => unlessSo(call, lifecycle.start(call.param(), sizeOf(call))));
  router.on('POST', '/containers/{}/stop', (call) =>
    unlessSo(call, lifecycle.stop(call.param(), call.integer('t'), call.query.get('signal') ?? undefined)),
  );
  router.on('POST', '/containers/{}/restart', async (call) => {
    await lifecycle.restart(call.param(), call.integer('t'), call.query.get('signal') ?? undefined);
    call.answer(204);
  });
  router.on('POST', '/containers/{}/kill', async (call) => {
    await lifecycle.kill(call.param(), call.query.get('signal') ?? '');
    call.answer(204);
  });
  router.on('POST', '/containers/{}/pause', async (call) => {
    await lifecycle.pause(call.param());
    call.answer(204);
  });
  router.on('POST', '/containers/{}/unpause', async (call) => {
    await lifecycle.unpause(call.param());
    call.answer(204);
  });
  router.on('POST', '/containers/{}/rename', async (call) => {
    await lifecycle.rename(call.param(), call.query.get('name') ?? '');
    call.answer(204);
  });
  router.on('POST', '/containers/{}/resize', async (call) => {
    const [rows, columns] = sizeOf(call) ?? [0, 0];
    const record = registry.find(call.param());
    if (!isUp(record)) throw new EngineError(409, `container ${record.id} is not running`);
    await (await context.supervisor()).call('resize', { task: record.id, rows, columns });
    context.publish('resize', record, { height: String(rows), width: String(columns) });
    call.answer(200);
  });
  router.on('POST', '/containers/{}/update', async (call) => {
    const record = registry.find(call.param());
    const change = shaped(await call.requiredJson(), UPDATE, '') as HostConfig;
    // Clients of before 1.40 send it without being asked to.
    await lifecycle.update(record.id, call.version[1] < 40 ? { ...change, PidsLimit: null } : change);
    call.answer(200, { Warnings: [] });
  });
  router.on('GET', '/containers/{}/top', async (call) => {
    const record = registry.find(call.param());
    if (!isUp(record)) throw new EngineError(409, `container ${record.id} is not running`);
    call.answer(200, await processesOf(context.bundle(record.id), record.id, call.query.get('ps_args') || '-ef'));
  });
  router.on('DELETE', '/containers/{}', async (call) => {
    if (call.flag('link')) await removeLink(engine, call.param());
    else await lifecycle.remove(call.param(), { force: call.flag('force'), volumes: call.flag('v') });
    call.answer(204);
  });
}
