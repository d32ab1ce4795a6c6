// /volumes: named and anonymous volumes, who refers to them, and pruning.

import { EngineError, badParameter, conflict, messageOf, notFound } from '../container/errors.js';
import { missingDriver } from '../container/mount-points.js';
import { treeSize } from '../container/tree-size.js';
import { type VolumeRecord, volumeRecords } from '../store/index.js';
import { readRecords } from '../transport/registry.js';
import { anonymousName, listVolumes, openVolume, removeVolume } from '../volume/named.js';
import { checkDriverOptions } from '../volume/driver-options.js';
import type { Engine } from './engine.js';
import type { Call, Filters, Router } from './http.js';
import { pruneAlone } from './alone.js';
import { VOLUME_CREATE, shaped } from './shape.js';

interface Usage {
  readonly size: number;
  readonly references: number;
}

/** As Docker shows a volume; `LastUsed` is ours. */
export function volumeView(volume: VolumeRecord, usage?: Usage): object {
  return {
    CreatedAt: new Date(volume.created).toISOString().replace(/\.\d+Z$/, 'Z'),
    Driver: 'local',
    Labels: Object.keys(volume.labels).length > 0 ? volume.labels : null,
    Mountpoint: volume.path,
    Name: volume.name,
    Options: volume.options ?? null,
    Scope: 'local',
    ...(usage ? { UsageData: { Size: usage.size, RefCount: usage.references } } : {}),
    ...(volume.lastUsed === undefined ? {} : { LastUsed: new Date(volume.lastUsed).toISOString() }),
  };
}

/** Containers that refer to a volume, and roots mounted by hand that it is routed into. */
function usersOf(engine: Engine, volume: VolumeRecord): string[] {
  const mounted = readRecords().filter(({ routes }) => routes.some(({ source }) => source === volume.path));
  return [...engine.context.registry.volumeUsers(volume.name), ...mounted.map(({ target }) => target)];
}

function all(engine: Engine): Promise<readonly VolumeRecord[]> {
  return listVolumes(engine.context.root, volumeRecords(engine.context.store));
}

export async function findVolume(engine: Engine, name: string): Promise<VolumeRecord> {
  const volume = await volumeRecords(engine.context.store).get(name);
  if (!volume) throw notFound(`get ${name}: no such volume`);
  return volume;
}

export async function usageOf(engine: Engine, volume: VolumeRecord): Promise<Usage> {
  return { size: await treeSize(volume.path), references: engine.context.registry.volumeUsers(volume.name).length };
}

function fits(engine: Engine, filters: Filters, volume: VolumeRecord): boolean {
  const dangling = filters.boolean('dangling');
  if (dangling !== undefined && dangling !== (usersOf(engine, volume).length === 0)) return false;
  return (
    filters.any('name', (part) => volume.name.includes(part)) &&
    filters.any('driver', (driver) => driver === 'local') &&
    filters.matchLabels('label', volume.labels)
  );
}

async function list(engine: Engine, call: Call): Promise<void> {
  const filters = call.filters();
  filters.check(['dangling', 'driver', 'label', 'name']);
  filters.boolean('dangling');
  const found = (await all(engine)).filter((volume) => fits(engine, filters, volume));
  // Docker has no such parameter: its clients ask /system/df.
  const sized = call.flag('size');
  const views: object[] = [];
  for (const volume of found) views.push(volumeView(volume, sized ? await usageOf(engine, volume) : undefined));
  call.answer(200, { Volumes: views, Warnings: null });
}

/** Errors: 404 for a driver that is not there, else 400, with the volume's name. */
function checkDriving(
  name: string,
  { Driver: driver, DriverOpts: options }: { Driver?: string; DriverOpts?: Record<string, string> },
): void {
  const missing = missingDriver(driver);
  if (missing !== undefined) throw notFound(`create ${name}: ${missing}`);
  try {
    checkDriverOptions(options ?? {});
  } catch (error) {
    throw badParameter(`create ${name}: ${messageOf(error)}`);
  }
}

async function create(engine: Engine, call: Call): Promise<void> {
  const body = shaped(await call.requiredJson(), VOLUME_CREATE, '') as {
    Name?: string;
    Driver?: string;
    DriverOpts?: Record<string, string>;
    Labels?: Record<string, string>;
  };
  const { context } = engine;
  const records = volumeRecords(context.store);
  const name = body.Name || anonymousName();
  checkDriving(name, body);
  const known = await records.get(name);
  const options = body.DriverOpts && Object.keys(body.DriverOpts).length > 0 ? body.DriverOpts : undefined;
  const volume =
    known ??
    (await openVolume(context.root, records, name, {
      anonymous: !body.Name,
      labels: body.Labels ?? {},
      ...(options ? { options } : {}),
    }));
  // Docker tells so of each that is asked for, there or not.
  context.events.publish('volume', 'create', name, { driver: 'local' });
  call.answer(201, volumeView(volume));
}

/** Removes what nothing refers to. Errors: 409. */
async function remove(engine: Engine, volume: VolumeRecord): Promise<void> {
  const { context } = engine;
  await removeVolume(context.root, volumeRecords(context.store), volume.name, () => {
    const users = usersOf(engine, volume);
    if (users.length > 0) throw conflict(`remove ${volume.name}: volume is in use - [${users.join(', ')}]`);
  });
  context.events.publish('volume', 'destroy', volume.name, { driver: 'local' });
}

async function prune(engine: Engine, call: Call): Promise<void> {
  const filters = call.filters();
  filters.check(['all', 'label', 'label!']);
  const named = filters.boolean('all') ?? call.version[1] < 42;
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const volume of await all(engine)) {
    if (!(named || volume.anonymous) || volume.options || usersOf(engine, volume).length > 0) continue;
    if (!filters.fitLabels(volume.labels)) continue;
    const size = await treeSize(volume.path);
    try {
      await remove(engine, volume);
    } catch (error) {
      // Something has begun to use it meanwhile.
      if (error instanceof EngineError && error.status === 409) continue;
      throw error;
    }
    reclaimed += size;
    deleted.push(volume.name);
  }
  engine.context.events.publish('volume', 'prune', '', { reclaimed: String(reclaimed) });
  call.answer(200, { VolumesDeleted: deleted, SpaceReclaimed: reclaimed });
}

export function volumeRoutes(engine: Engine, router: Router): void {
  router.on('GET', '/volumes', (call) => list(engine, call));
  router.on('POST', '/volumes/create', (call) => create(engine, call));
  router.on('POST', '/volumes/prune', (call) => pruneAlone(engine, 'volumes', () => prune(engine, call)));
  router.on('GET', '/volumes/*', async (call) => {
    const volume = await findVolume(engine, call.param());
    call.answer(200, volumeView(volume, call.flag('size') ? await usageOf(engine, volume) : undefined));
  });
  router.on('DELETE', '/volumes/*', async (call) => {
    const name = call.param();
    const volume = await findVolume(engine, name).catch((error: unknown) => {
      if (!call.flag('force')) throw error;
      return undefined;
    });
    if (volume) await remove(engine, volume);
    call.answer(204);
  });
}
