// The filters of GET /containers/json: which containers a client asks for. Called by containers.ts.

import { badParameter, failure } from '../container/errors.js';
import { isUp } from '../container/state.js';
import { NoSuchImage, resolveImage } from '../image/index.js';
import type { ContainerRecord } from '../store/index.js';
import type { Engine } from './engine.js';
import type { Call, Filters } from './http.js';

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

/** Errors: 400, and 500 for what Docker fails at. */
function checkValues(filters: Filters): void {
  for (const status of filters.get('status')) {
    if (!STATUSES.includes(status)) throw badParameter(`invalid filter 'status=${status}'`);
  }
  for (const code of filters.get('exited')) {
    if (!/^[+-]?\d+$/.test(code)) throw failure(`strconv.Atoi: parsing ${JSON.stringify(code)}: invalid syntax`);
  }
  for (const health of filters.get('health')) {
    if (!HEALTHS.includes(health)) throw badParameter(`invalid filter 'health=${health}'`);
  }
}

/** What the record of a container alone decides. */
function fitsRecord(record: ContainerRecord, filters: Filters): boolean {
  return (
    filters.any('exited', (code) => record.state.status === 'exited' && record.state.exitCode === Number(code)) &&
    filters.any('id', (id) => record.id.startsWith(id)) &&
    filters.any('name', (name) => fitsName(name, record.name)) &&
    filters.any('is-task', (value) => /^(0|f|false)$/i.test(value)) &&
    filters.any('isolation', (value) => value === 'default') &&
    filters.any('publish', (port) => publishes(record, port)) &&
    filters.any('expose', (port) => exposes(record, port)) &&
    filters.any('volume', (volume) =>
      record.mounts.some(({ Name, Destination, Source }) => [Name, Destination, Source].includes(volume)),
    ) &&
    filters.matchLabels('label', record.config.Labels ?? {})
  );
}

/** What the engine knows besides. */
function fitsEngine(engine: Engine, record: ContainerRecord, filters: Filters): boolean {
  const idOf = (network: string): string => engine.networks.networks.list().find(({ name }) => name === network)?.id ?? '';
  return (
    filters.any('status', (status) => statusOf(engine, record) === status) &&
    filters.any('health', (health) => (engine.health.of(record.id)?.Status ?? 'none') === health) &&
    filters.any('network', (asked) => record.networks.some(({ name }) => name === asked || idOf(name).startsWith(asked)))
  );
}

/** Those that a client asks for, newest first. Errors: 400, 404 for one that `before` or `since` names, and Docker's 500. */
export async function filteredContainers(engine: Engine, call: Call): Promise<ContainerRecord[]> {
  const filters = call.filters();
  filters.check(FILTERS);
  checkValues(filters);
  const before = momentOf(engine, filters, 'before');
  const since = momentOf(engine, filters, 'since');
  const ancestors = filters.has('ancestor') ? await imagesOf(engine, filters.get('ancestor')) : undefined;
  const all = call.flag('all') || filters.has('status');
  const limit = call.integer('limit') ?? 0;
  const found = engine.context.registry
    .list()
    .filter(
      (record) =>
        (all || limit > 0 || isUp(record) || engine.lifecycle.isRestarting(record.id)) &&
        (before === undefined || record.created < before) &&
        (since === undefined || record.created > since) &&
        (ancestors === undefined || ancestors.has(record.image)) &&
        fitsEngine(engine, record, filters) &&
        fitsRecord(record, filters),
    );
  return limit > 0 ? found.slice(0, limit) : found;
}
