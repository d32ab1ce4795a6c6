// /volumes/NAME/export, import and clone, which Docker has not: a volume's content as an archive, an archive or another volume
// as a volume's content. A volume that is not there yet is made when its content is whole.

import { join } from 'node:path';
import { Readable, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { badParameter, conflict } from '../container/errors.js';
import { zstdCompressor } from '../image/index.js';
import { runApart } from '../process/apart.js';
import { removeTree } from '../process/remove-tree.js';
import { type VolumeRecord, volumeRecords } from '../store/index.js';
import { readRecords } from '../transport/registry.js';
import { isMountedVolume } from '../volume/driver-options.js';
import { makeData, openVolume } from '../volume/named.js';
import { checkVolumeName } from '../volume/spec.js';
import { copyVolume } from '../volume/content.js';
import { exportVolume, replaceContent } from '../volume/transfer.js';
import { alone } from './alone.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';
import { shaped } from './shape.js';
import { findVolume, volumeView } from './volumes.js';

let works = 0;

/** Does `work` while nobody removes the volume; `work` is given its name as a user of the volume. */
async function using<T>(engine: Engine, kind: string, name: string, work: (user: string) => Promise<T>): Promise<T> {
  const { registry } = engine.context;
  const user = `${kind} ${++works}`;
  registry.reserveVolumes(user, [name]);
  try {
    return await work(user);
  } finally {
    registry.reserveVolumes(user, []);
  }
}

/** What is to be replaced must not be mounted anywhere. Errors: 409. */
function mustBeIdle(engine: Engine, volume: VolumeRecord): void {
  const mounted = readRecords().filter(({ routes }) => routes.some(({ source }) => source === volume.path));
  const users = new Set([...engine.context.drivers.users(volume.name), ...mounted.map(({ target }) => target)]);
  if (users.size > 0)
    throw conflict(`import ${volume.name}: volume is in use by running containers - [${[...users].join(', ')}]: stop them first`);
}

const COMPRESSION: Readonly<Record<string, () => Duplex>> = { gzip: () => createGzip(), zstd: () => zstdCompressor() };

async function exportContent(engine: Engine, call: Call): Promise<void> {
  const name = call.param();
  const kind = call.query.get('compress') ?? 'none';
  const compressor = Object.hasOwn(COMPRESSION, kind) ? COMPRESSION[kind] : undefined;
  if (!compressor && kind !== 'none' && kind !== '')
    throw badParameter(`invalid compression ${JSON.stringify(kind)}: one of none, gzip, zstd`);
  await using(engine, 'export', name, async (user) => {
    const volume = await findVolume(engine, name);
    await engine.context.drivers.during(user, name, async () => {
      const out = call.stream('application/x-tar');
      const chunks = Readable.from(exportVolume(volume.path, call.signal), { objectMode: false });
      await (compressor ? pipeline(chunks, compressor(), out) : pipeline(chunks, out));
    });
  });
}

/** Makes the volume, at once, with the content that `fill` puts into an empty directory. */
async function makeWith(engine: Engine, name: string, fill: (directory: string) => Promise<void>): Promise<VolumeRecord> {
  const { root, store, events } = engine.context;
  const staging = store.makeStaging();
  try {
    const content = makeData(staging);
    await fill(content);
    const volume = await openVolume(root, volumeRecords(store), name, { content });
    events.publish('volume', 'create', name, { driver: 'local' });
    return volume;
  } finally {
    await removeTree(staging);
  }
}

/** Puts content into the volume of that name; into a new one when there is none. Errors: 400, 409. */
async function put(engine: Engine, name: string, fill: (directory: string) => Promise<void>): Promise<VolumeRecord> {
  const volume = await volumeRecords(engine.context.store).get(name);
  if (!volume) return makeWith(engine, name, fill);
  if (isMountedVolume(volume.options))
    throw badParameter(
      `import ${volume.name}: its driver mounts ${volume.options['device'] ?? ''}: import into that, or into a volume without options`,
    );
  mustBeIdle(engine, volume);
  await replaceContent(volume.path, fill, () => mustBeIdle(engine, volume));
  return volume;
}

/** One at a time for each volume. Errors: 409. */
async function putAlone<T>(engine: Engine, kind: string, name: string, work: () => Promise<T>): Promise<T> {
  checkVolumeName(name);
  const refusal = `${kind} ${name}: volume is in use: something else is being put into it`;
  return alone(engine, `volume ${name}`, refusal, () => using(engine, kind, name, work));
}

async function importContent(engine: Engine, call: Call): Promise<void> {
  const name = call.param();
  const options = { input: call.upload(), signal: call.signal };
  const fill = (directory: string): Promise<void> => runApart(join(__dirname, 'import-child.js'), directory, options);
  call.answer(200, volumeView(await putAlone(engine, 'import', name, () => put(engine, name, fill))));
}

async function clone(engine: Engine, call: Call): Promise<void> {
  const source = call.param();
  const { Name: name = '' } = shaped((await call.json()) ?? {}, { Name: 'string' }, '') as { Name?: string };
  const made = await putAlone(engine, 'clone', name, async () => {
    if (await volumeRecords(engine.context.store).get(name))
      throw conflict(`clone ${name}: a volume of that name exists: remove it first`);
    return using(engine, 'clone', source, async (user) => {
      const from = await findVolume(engine, source);
      return engine.context.drivers.during(user, source, () =>
        makeWith(engine, name, (to) => copyVolume(from.path, to, call.signal)),
      );
    });
  });
  call.answer(201, volumeView(made));
}

export function volumeTransferRoutes(engine: Engine, router: Router): void {
  router.on('GET', '/volumes/*/export', (call) => exportContent(engine, call));
  router.on('POST', '/volumes/*/import', (call) => importContent(engine, call));
  router.on('POST', '/volumes/*/clone', (call) => clone(engine, call));
}
