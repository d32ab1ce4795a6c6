// POST /build: an image from a Dockerfile and its context, told line by line.

import type { Writable } from 'node:stream';
import { type BuildRequest, buildImage, errorLine } from '../build/index.js';
import type { BuildResources } from '../build/host.js';
import { parsePlatform } from '../container/create.js';
import { badParameter, EngineError } from '../container/errors.js';
import { canonicalName, familiarName, platformText } from '../image/index.js';
import { removeTree } from '../process/remove-tree.js';
import { EngineBuildHost } from './build-host.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';
import { credentialsForBuild } from './registry-auth.js';
import { type Shape, shaped } from './shape.js';

/** A query parameter that is JSON. Errors: 400. */
function json(call: Call, name: string, shape: Shape): unknown {
  const text = call.query.get(name);
  if (text === null || text === '') return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text) as unknown;
  } catch {
    throw badParameter(`invalid ${name}: ${text} is not JSON`);
  }
  return shaped(parsed, shape, name);
}

function strings(call: Call, name: string): ReadonlyMap<string, string> {
  const given = (json(call, name, { '*': 'string' }) ?? {}) as Readonly<Record<string, string | null>>;
  return new Map(Object.entries(given).flatMap(([key, value]) => (value === null ? [] : [[key, value] as const])));
}

function text(call: Call, name: string): string | undefined {
  return call.query.get(name) || undefined;
}

/** Zero stands for what was not said. */
function number(call: Call, name: string): number | undefined {
  return call.integer(name) || undefined;
}

const ULIMIT: Shape = { Name: 'string', Soft: 'number', Hard: 'number' };

function resources(call: Call): BuildResources {
  const given: Record<string, unknown> = {
    networkMode: text(call, 'networkmode'),
    shmSize: number(call, 'shmsize'),
    memory: number(call, 'memory'),
    memorySwap: number(call, 'memswap'),
    cpuShares: number(call, 'cpushares'),
    cpuPeriod: number(call, 'cpuperiod'),
    cpuQuota: number(call, 'cpuquota'),
    cpusetCpus: text(call, 'cpusetcpus'),
    cpusetMems: text(call, 'cpusetmems'),
    cgroupParent: text(call, 'cgroupparent'),
    ulimits: json(call, 'ulimits', [ULIMIT]),
    extraHosts: call.query.getAll('extrahosts').flatMap((each) => each.split(',').filter(Boolean)),
    securityOpt: json(call, 'securityopt', ['string']),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function requestOf(call: Call, directory: string): BuildRequest {
  const asked = parsePlatform(text(call, 'platform') ?? 'linux');
  const platform = asked && platformText(asked);
  return {
    context: text(call, 'remote') ?? call.upload(),
    directory,
    dockerfile: text(call, 'dockerfile') ?? 'Dockerfile',
    tags: call.query
      .getAll('t')
      .filter(Boolean)
      .map((name) => familiarName(canonicalName(name))),
    buildArgs: strings(call, 'buildargs'),
    labels: strings(call, 'labels'),
    target: text(call, 'target') ?? '',
    useCache: !call.flag('nocache'),
    pull: call.flag('pull'),
    quiet: call.flag('q'),
    keepContainers: call.query.has('rm') && !call.flag('rm') && !call.flag('forcerm'),
    resources: resources(call),
    ...(platform === undefined ? {} : { platform }),
  };
}

async function build(engine: Engine, call: Call): Promise<void> {
  if (call.query.get('version') === '2') throw new EngineError(501, 'this engine builds without BuildKit: set DOCKER_BUILDKIT=0');
  const { store } = engine.context;
  const directory = store.makeStaging();
  let out: Writable | undefined;
  const emit = (message: object): void => void (out ??= call.stream('application/json')).write(`${JSON.stringify(message)}\n`);
  try {
    const request = requestOf(call, directory);
    const host = new EngineBuildHost(engine, {
      credentialsOf: credentialsForBuild(call),
      keepContainers: request.keepContainers,
    });
    await buildImage(host, request, emit, call.signal);
    out?.end();
  } catch (error) {
    if (!out) throw error;
    emit(errorLine(error));
    out.end();
  } finally {
    await removeTree(directory);
  }
}

export function buildRoutes(engine: Engine, router: Router): void {
  router.on('POST', '/build', (call) => build(engine, call));
  // Steps that builds remember are images; `image prune` takes those that nothing needs.
  router.on('POST', '/build/prune', (call) => call.answer(200, { CachesDeleted: null, SpaceReclaimed: 0 }));
}
