// The engine as a build sees it: images, and a container for each step that changes files.

import type { Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import type {
  BuildConfig,
  BuildContainer,
  BuildHost,
  BuildImage,
  CommitRequest,
  ContainerRequest,
  FileStat,
  ResolveOptions,
} from '../build/host.js';
import { archiveContainer } from '../container/archive.js';
import { parsePlatform } from '../container/create.js';
import { EngineError, notFound } from '../container/errors.js';
import {
  type Credentials,
  type Image,
  type Platform,
  canonicalName,
  commitImage,
  familiarName,
  fitness,
  listImages,
  NoSuchImage,
  platformText,
  pullImage,
  resolveImage,
  tagImage,
} from '../image/index.js';
import type { ContainerConfig, ContainerRecord, HostConfig } from '../store/index.js';
import type { Engine } from './engine.js';
import { tellOfImage } from './image-events.js';
import { hasChanges, withLayer } from './writable-layer.js';

const GO_DIRECTORY = 2 ** 31;
const GO_SYMLINK = 2 ** 27;

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function viewOf(image: Image): BuildImage {
  const { raw } = image.config;
  const history = (raw['history'] as readonly Record<string, unknown>[] | undefined) ?? [];
  return {
    id: `sha256:${image.id}`,
    config: (raw['config'] as BuildConfig | undefined) ?? {},
    createdBy: text(history.at(-1)?.['created_by']),
    created: text(raw['created']),
    author: text(raw['author']),
    os: image.config.os,
    architecture: image.config.architecture,
    variant: text(raw['variant']),
  };
}

/** Errors: EngineError 400 for what is no platform. */
function platformOf(given: string | undefined): ReturnType<typeof parsePlatform> {
  return given === undefined || given === '' ? undefined : parsePlatform(given);
}

function mismatch(reference: string, wanted: Platform, actual: Platform): EngineError {
  const words = 'was found but does not match the specified platform';
  return notFound(`image with reference ${reference} ${words}: wanted ${platformText(wanted)}, actual: ${platformText(actual)}`);
}

/** A container of one step. */
class StepContainer implements BuildContainer {
  constructor(
    private readonly engine: Engine,
    private readonly record: ContainerRecord,
    private readonly parent: Image | undefined,
  ) {}

  get id(): string {
    return this.record.id;
  }

  async run(output: (chunk: Buffer, stream: 'stdout' | 'stderr') => void, signal: AbortSignal): Promise<number> {
    const { context, lifecycle } = this.engine;
    const supervisor = await context.supervisor();
    const attach = (stream: 'stdout' | 'stderr'): Promise<Socket> =>
      supervisor.attach({
        task: this.id,
        tty: true,
        stdin: false,
        stdout: stream === 'stdout',
        stderr: stream === 'stderr',
        detachKeys: [],
      });
    const [out, err] = await Promise.all([attach('stdout'), attach('stderr')]);
    const drained = [out, err].map((socket, i) => {
      socket.on('data', (chunk: Buffer) => output(chunk, i === 0 ? 'stdout' : 'stderr'));
      socket.end();
      // Handed over paused.
      socket.resume();
      return new Promise<void>((resolve) =>
        socket
          .on('close', () => resolve())
          .on('error', () => resolve())
          .on('end', () => socket.destroy()),
      );
    });
    const kill = (): void => void lifecycle.kill(this.id, 'SIGKILL').catch(() => undefined);
    signal.addEventListener('abort', kill);
    try {
      signal.throwIfAborted();
      const ended = context.registry.wait(this.id, 'exit');
      await lifecycle.start(this.id);
      const { state } = await ended;
      await Promise.all(drained);
      signal.throwIfAborted();
      return state.exitCode;
    } finally {
      signal.removeEventListener('abort', kill);
      out.destroy();
      err.destroy();
    }
  }

  async stat(path: string): Promise<FileStat | undefined> {
    try {
      const stat = await archiveContainer(
        this.engine.context,
        this.#now,
        { op: 'stat', path: decode(path) },
        { signal: new AbortController().signal },
      );
      if (!stat) return undefined;
      const { mode } = stat;
      const has = (bits: number): boolean => Math.floor(mode / bits) % 2 === 1;
      const type = has(GO_DIRECTORY)
        ? 'directory'
        : has(GO_SYMLINK)
          ? 'symlink'
          : [2 ** 26, 2 ** 25, 2 ** 24].some(has)
            ? 'other'
            : 'file';
      return { type, linkTarget: Buffer.from(stat.linkTarget).toString('latin1') };
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) return undefined;
      throw error;
    }
  }

  async list(path: string): Promise<string[]> {
    const chunks: Buffer[] = [];
    const output = (): Writable => new Writable({ write: (chunk: Buffer, _, done) => (chunks.push(chunk), done()) });
    await archiveContainer(
      this.engine.context,
      this.#now,
      { op: 'list', path: decode(path) },
      { signal: new AbortController().signal, output },
    );
    return (JSON.parse(Buffer.concat(chunks).toString() || '[]') as string[]).sort();
  }

  async *read(path: string, signal: AbortSignal): AsyncIterable<Buffer> {
    const queue = new Readable({ read: () => undefined, highWaterMark: 4 << 20 });
    const output = (): Writable =>
      new Writable({
        write: (chunk: Buffer, _, done) => {
          if (queue.push(chunk)) done();
          else queue.once('resume-input', () => done());
        },
      });
    queue._read = () => void queue.emit('resume-input');
    const running = archiveContainer(this.engine.context, this.#now, { op: 'get', path: decode(path) }, { signal, output }).then(
      () => queue.push(null),
      (error: unknown) => queue.destroy(error as Error),
    );
    yield* queue as AsyncIterable<Buffer>;
    await running;
  }

  async write(path: string, tar: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
    const input = Readable.from(tar, { objectMode: false });
    await archiveContainer(this.engine.context, this.#now, { op: 'put', path: decode(path) }, { input, signal });
  }

  async commit(request: CommitRequest): Promise<string> {
    const { context } = this.engine;
    const { parent } = this;
    const make = (layer?: AsyncIterable<Buffer>): Promise<string> =>
      commitImage(context.store, { ...request, parent, layer, comment: '', names: [] });
    return `sha256:${await (hasChanges(context, this.record) ? withLayer(context, this.#now, make) : make())}`;
  }

  async remove(): Promise<void> {
    await this.engine.lifecycle.remove(this.id, { force: true, volumes: true }).catch((error: unknown) => {
      if (!(error instanceof EngineError) || error.status !== 404) throw error;
    });
  }

  get #now(): ContainerRecord {
    return this.engine.context.registry.find(this.id);
  }
}

function decode(path: string): string {
  return Buffer.from(path, 'latin1').toString();
}

export interface BuildHostOptions {
  readonly credentialsOf: (reference: string) => Promise<Credentials | undefined>;
  /** Containers of steps stay, also when the daemon is killed. */
  readonly keepContainers: boolean;
}

export class EngineBuildHost implements BuildHost {
  constructor(
    private readonly engine: Engine,
    private readonly options: BuildHostOptions,
  ) {}

  async resolve(reference: string, options: ResolveOptions): Promise<BuildImage> {
    const { store } = this.engine.context;
    const platform = platformOf(options.platform);
    const pull = async (): Promise<void> => {
      const credentials = await this.options.credentialsOf(reference);
      await pullImage(store, reference, {
        ...(credentials ? { credentials } : {}),
        ...(platform ? { platform } : {}),
        signal: options.signal,
        progress: options.progress,
      });
    };
    if (options.pull) await pull();
    const isId = /^(sha256:)?[0-9a-f]{64}$/.test(reference);
    try {
      const found = viewOf(await resolveImage(store, reference));
      const { os, architecture, variant } = found;
      const actual = { os, architecture, ...(variant === '' ? {} : { variant }) };
      // What is here for another platform is as good as not here.
      if (!platform || options.pull || fitness(actual, platform) > 0) return found;
      if (isId) throw mismatch(reference, platform, actual);
    } catch (error) {
      if (!(error instanceof NoSuchImage) || options.pull || isId) throw error;
    }
    await pull();
    return viewOf(await resolveImage(store, reference));
  }

  async image(id: string): Promise<BuildImage> {
    return viewOf(await resolveImage(this.engine.context.store, id));
  }

  async children(parent: string | undefined): Promise<BuildImage[]> {
    const wanted = parent === undefined ? '' : parent.replace(/^sha256:/, '');
    const images = await listImages(this.engine.context.store);
    return images.filter(({ record }) => record.parent === wanted).map(viewOf);
  }

  async commitConfig(parent: string | undefined, request: CommitRequest, platform?: string): Promise<string> {
    const { store } = this.engine.context;
    const image = parent === undefined ? undefined : await resolveImage(store, parent);
    const wanted = platformOf(platform);
    const id = await commitImage(store, {
      ...request,
      parent: image,
      layer: undefined,
      comment: '',
      names: [],
      ...(wanted ? { platform: wanted } : {}),
    });
    return `sha256:${id}`;
  }

  async createContainer(request: ContainerRequest): Promise<BuildContainer> {
    const { store } = this.engine.context;
    const image = request.image === undefined ? undefined : await resolveImage(store, request.image);
    const { resources } = request;
    const hostConfig: HostConfig = {
      NetworkMode: !resources.networkMode || resources.networkMode === 'default' ? 'bridge' : resources.networkMode,
      ...(resources.shmSize ? { ShmSize: resources.shmSize } : {}),
      ...(resources.memory ? { Memory: resources.memory } : {}),
      ...(resources.memorySwap ? { MemorySwap: resources.memorySwap } : {}),
      ...(resources.cpuShares ? { CpuShares: resources.cpuShares } : {}),
      ...(resources.cpuPeriod ? { CpuPeriod: resources.cpuPeriod } : {}),
      ...(resources.cpuQuota ? { CpuQuota: resources.cpuQuota } : {}),
      ...(resources.cpusetCpus ? { CpusetCpus: resources.cpusetCpus } : {}),
      ...(resources.cpusetMems ? { CpusetMems: resources.cpusetMems } : {}),
      ...(resources.cgroupParent ? { CgroupParent: resources.cgroupParent } : {}),
      ...(resources.ulimits ? { Ulimits: resources.ulimits } : {}),
      ...(resources.extraHosts ? { ExtraHosts: resources.extraHosts } : {}),
      ...(resources.securityOpt ? { SecurityOpt: resources.securityOpt } : {}),
    };
    const record = await this.engine.lifecycle.create({
      name: undefined,
      config: request.config as ContainerConfig,
      hostConfig,
      networks: [{ name: hostConfig.NetworkMode ?? 'bridge', aliases: [] }],
      step: { image, keep: this.options.keepContainers },
    });
    return new StepContainer(this.engine, record, image);
  }

  async tag(id: string, name: string): Promise<void> {
    await tagImage(this.engine.context.store, id, name);
    await tellOfImage(this.engine, 'tag', id.replace(/^sha256:/, ''), { name: familiarName(canonicalName(name)) });
  }
}
