// Files of containers: cp (archive), diff (changes), export, commit.

import type { Writable } from 'node:stream';
import { archiveContainer, readOnlyAt, type PathStat } from '../container/archive.js';
import { changesOf } from '../container/changes.js';
import { changedConfig } from '../build/index.js';
import { badParameter, EngineError } from '../container/errors.js';
import { isUp } from '../container/state.js';
import { userDatabase } from '../container/users.js';
import { type Image, commitImage, familiarName, imageOf } from '../image/index.js';
import type { ContainerConfig, ContainerRecord } from '../store/index.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';
import { namesAsked } from './image-transfer.js';
import { CONTAINER_CONFIG, shaped } from './shape.js';
import { withLayer } from './writable-layer.js';

const STAT_HEADER = 'X-Docker-Container-Path-Stat';

function statHeader(stat: PathStat): Record<string, string> {
  return { [STAT_HEADER]: Buffer.from(JSON.stringify(stat)).toString('base64') };
}

/** Docker's words name the container too. */
function explain(error: unknown, path: string, reference: string): unknown {
  if (error instanceof EngineError && error.status === 404)
    return new EngineError(404, `Could not find the file ${path} in container ${reference}`);
  return error;
}

function pathOf(call: Call): string {
  const path = call.query.get('path') ?? '';
  if (path === '') throw badParameter('missing parameter: path');
  return path;
}

async function read(engine: Engine, call: Call): Promise<void> {
  const record = engine.context.registry.find(call.param());
  const path = pathOf(call);
  const { signal } = call;
  try {
    if (call.request.method === 'HEAD') {
      const stat = await archiveContainer(engine.context, record, { op: 'stat', path }, { signal });
      return call.answer(200, undefined, stat ? statHeader(stat) : {});
    }
    // Told before the client has all and may ask for events.
    const output = (stat: PathStat | undefined): Writable => {
      engine.context.publish('archive-path', record);
      return call.stream('application/x-tar', stat ? statHeader(stat) : {});
    };
    await archiveContainer(engine.context, record, { op: 'get', path }, { output, signal });
  } catch (error) {
    throw explain(error, path, call.param());
  }
}

async function write(engine: Engine, call: Call): Promise<void> {
  const record = engine.context.registry.find(call.param());
  const path = pathOf(call);
  const refused = readOnlyAt(record, path);
  if (refused !== undefined) throw new EngineError(403, refused);
  // For a container of root's the archive's own owners stay, as in Docker.
  const name = record.config.User ?? '';
  const user = call.flag('copyUIDGID') && name !== '' ? userDatabase(record.layers, engine.context.scheme).find(name) : undefined;
  try {
    await archiveContainer(
      engine.context,
      record,
      {
        op: 'put',
        path,
        keepTypes: call.flag('noOverwriteDirNonDir'),
        ...(user ? { owner: { uid: user.uid, gid: user.gid } } : {}),
      },
      { input: call.upload(), signal: call.signal },
    );
  } catch (error) {
    throw explain(error, path, call.param());
  }
  engine.context.publish('extract-to-dir', record);
  call.answer(200);
}

async function exportRoot(engine: Engine, call: Call): Promise<void> {
  const record = engine.context.registry.find(call.param());
  const output = (): Writable => {
    engine.context.publish('export', record);
    return call.stream('application/octet-stream');
  };
  await archiveContainer(engine.context, record, { op: 'export', path: '/' }, { output, signal: call.signal });
}

/** The container's config as an image's: what only a container has left out. */
function imageConfig(record: ContainerRecord, parent: Image | undefined, change: ContainerConfig): Record<string, unknown> {
  const { config } = record;
  const own = parent?.config.config;
  const isGivenName = config.Hostname !== record.id.slice(0, 12);
  return {
    Hostname: isGivenName ? config.Hostname : '',
    Domainname: config.Domainname ?? '',
    User: config.User ?? '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(Object.keys(config.ExposedPorts ?? {}).length > 0 ? { ExposedPorts: config.ExposedPorts } : {}),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: config.Env ?? own?.Env ?? [],
    Cmd: config.Cmd ?? null,
    Image: config.Image ?? '',
    Volumes: Object.keys(config.Volumes ?? {}).length > 0 ? config.Volumes : null,
    WorkingDir: config.WorkingDir ?? '',
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? {},
    ...(config.StopSignal ? { StopSignal: config.StopSignal } : {}),
    ...(config.Healthcheck ? { Healthcheck: config.Healthcheck } : {}),
    ...(config.Shell ? { Shell: config.Shell } : {}),
    ...change,
  };
}

/** Pauses a container unless it has ended meanwhile. Returns whether it is paused now. */
async function stillPauses({ lifecycle }: Engine, id: string): Promise<boolean> {
  try {
    await lifecycle.pause(id);
    return true;
  } catch (error) {
    if (error instanceof EngineError && error.status === 409) return false;
    throw error;
  }
}

async function commit(engine: Engine, call: Call): Promise<void> {
  const { context, lifecycle } = engine;
  const record = context.registry.find(call.query.get('container') ?? '');
  const change = shaped((await call.json()) ?? {}, CONTAINER_CONFIG, '') as ContainerConfig;
  const names = namesAsked(call);
  const parent = await imageOf(context.store, record.image);
  const config = changedConfig(imageConfig(record, parent, change), call.query.getAll('changes'));
  const pause = call.query.get('pause') === null || call.flag('pause');
  const paused = pause && record.state.status === 'running' && (await stillPauses(engine, record.id));
  let id: string;
  try {
    const request = {
      parent,
      config,
      author: call.query.get('author') ?? '',
      comment: call.query.get('comment') ?? '',
      createdBy: record.command.join(' '),
      names,
      extra: { container: record.id },
    };
    id = await withLayer(context, record, (layer) => commitImage(context.store, { ...request, layer }));
  } finally {
    if (paused && isUp(context.registry.get(record.id) ?? record)) await lifecycle.unpause(record.id).catch(() => undefined);
  }
  context.publish('commit', record, {
    comment: call.query.get('comment') ?? '',
    imageID: `sha256:${id}`,
    ...(names[0] ? { imageRef: familiarName(names[0]) } : {}),
  });
  call.answer(201, { Id: `sha256:${id}` });
}

export function containerFileRoutes(engine: Engine, router: Router): void {
  router.on('GET', '/containers/{}/archive', (call) => read(engine, call));
  router.on('PUT', '/containers/{}/archive', (call) => write(engine, call));
  router.on('GET', '/containers/{}/export', (call) => exportRoot(engine, call));
  router.on('POST', '/commit', (call) => commit(engine, call));
  router.on('GET', '/containers/{}/changes', (call) => {
    const record = engine.context.registry.find(call.param());
    const upper = `${engine.context.directory(record.id)}/upper`;
    call.answer(200, changesOf(upper, record.layers, engine.context.scheme));
  });
}
