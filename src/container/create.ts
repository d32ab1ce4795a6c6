// Making a container: what the client asked merged with what the image says, its volumes made and filled, its directories,
// its record. Journalled: a daemon that dies half way leaves an entry by which the next one takes everything back.

import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Image, resolveImage } from '../image/index.js';
import { type ContainerConfig, type ContainerRecord, type HostConfig, type MountPoint, volumeRecords } from '../store/index.js';
import { cleanPath } from '../volume/clean-path.js';
import { checkPlace } from '../volume/spec.js';
import { openSource } from '../volume/backing.js';
import { openVolume } from '../volume/named.js';
import { fillVolume } from '../volume/content.js';
import { removeTree } from '../process/remove-tree.js';
import { capabilities } from './capabilities.js';
import type { Context } from './context.js';
import { badParameter, notFound } from './errors.js';
import { checkHealth, mergeHealth } from './health-config.js';
import { checkConflicts, checkHostOptions, withDefaults } from './host-options.js';
import { makeFirstDirectories } from './first-directories.js';
import { initLayer } from './init-layer.js';
import { type PlannedMount, planMounts } from './mount-points.js';
import { randomName } from './names.js';
import { fixedDonors } from './namespaces.js';
import { mergedEntries } from './oci-spec.js';
import { seccompProfile } from './seccomp.js';
import { tmpfsOptions } from './tmpfs.js';
import { checkDriverOptions, isMountedVolume } from '../volume/driver-options.js';
import { removeUnused } from './volume-use.js';

export interface CreateRequest {
  readonly name: string | undefined;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly networks: ContainerRecord['networks'];
  /** `os/architecture[/variant]` that the image must be for. */
  readonly platform?: string;
  /**
   * A step of a build: the config as it stands, nothing of the image's merged in and no volumes; without an image the root is
   * empty.
   */
  readonly step?: { readonly image: Image | undefined; readonly keep: boolean };
}

/** Who is on the host's network is called as the host, unless he was named. */
function named(config: ContainerConfig, { NetworkMode: network, UTSMode: uts }: HostConfig): ContainerConfig {
  return config.Hostname || (network !== 'host' && uts !== 'host') ? config : { ...config, Hostname: hostname() };
}

/** The container's config as Docker merges it: what was asked over what the image says. */
export function mergeConfig(asked: ContainerConfig, image: Image, id: string): ContainerConfig {
  const own = image.config.config;
  const hasEntrypoint = (asked.Entrypoint?.length ?? 0) > 0;
  const imageCmd = hasEntrypoint ? [] : (own.Cmd ?? []);
  // `--entrypoint ''` arrives as [""] and takes the image's away.
  const cleared = asked.Entrypoint?.length === 1 && asked.Entrypoint[0] === '';
  return {
    ...asked,
    Hostname: asked.Hostname || id.slice(0, 12),
    User: asked.User || (own.User ?? ''),
    Env: mergedEntries(own.Env ?? [], asked.Env ?? []),
    Cmd: (asked.Cmd?.length ?? 0) > 0 ? (asked.Cmd ?? []) : imageCmd,
    Entrypoint: cleared ? null : hasEntrypoint ? (asked.Entrypoint ?? null) : (own.Entrypoint ?? null),
    WorkingDir: asked.WorkingDir || (own.WorkingDir ?? ''),
    Labels: { ...own.Labels, ...asked.Labels },
    StopSignal: asked.StopSignal || own.StopSignal,
    Healthcheck: mergeHealth(asked.Healthcheck, image),
    ExposedPorts: { ...Object.fromEntries((own.ExposedPorts ?? []).map((port) => [port, {}])), ...asked.ExposedPorts },
    Volumes: { ...Object.fromEntries((own.Volumes ?? []).map((path) => [path, {}])), ...asked.Volumes },
  };
}

/** Errors: 400. */
function checkEnvironment(entries: readonly string[]): void {
  for (const entry of entries) if (/^(=|$)/.test(entry)) throw badParameter(`invalid environment variable: ${entry}`);
}

/** What can be known to be wrong before anything is made. Errors: EngineError and those of the parts. */
function check(record: ContainerRecord, mayBeIdle: boolean): void {
  const { config, hostConfig } = record;
  if (record.command.length === 0 && !mayBeIdle) throw badParameter('no command specified');
  capabilities(hostConfig.CapAdd ?? [], hostConfig.CapDrop ?? [], hostConfig.Privileged ?? false);
  seccompProfile(record, hostConfig.Privileged ?? false);
  for (const [destination, options] of Object.entries(hostConfig.Tmpfs ?? {})) {
    tmpfsOptions(options);
    const complaint = checkPlace(destination);
    if (complaint) throw badParameter(complaint);
  }
  const { WorkingDir: cwd = '' } = config;
  if (cwd !== '' && !cwd.startsWith('/')) {
    throw badParameter(`the working directory '${cwd}' is invalid, it needs to be an absolute path`);
  }
  checkHostOptions(config, hostConfig);
  checkHealth(config.Healthcheck);
}

/** `linux/arm64/v8`; undefined for `linux` alone, which all are. Errors: 400 for what is no platform. */
export function parsePlatform(text: string): { os: string; architecture: string; variant?: string } | undefined {
  const [os = '', architecture = '', variant] = text.toLowerCase().split('/');
  if (architecture === '') {
    if (os === 'linux') return undefined;
    throw badParameter(`${JSON.stringify(text)}: unknown operating system or architecture: invalid argument`);
  }
  const known: Readonly<Record<string, string>> = {
    x86_64: 'amd64',
    'x86-64': 'amd64',
    aarch64: 'arm64',
    armhf: 'arm',
    i386: '386',
  };
  return { os, architecture: known[architecture] ?? architecture, ...(variant === undefined ? {} : { variant }) };
}

/** Errors: 404, so that clients pull the right one; 400 for what is no platform. */
function checkPlatform({ config }: Image, name: string, platform: string): void {
  const parsed = parsePlatform(platform);
  if (!parsed) return;
  const { os, architecture: wanted, variant } = parsed;
  if (config.os === os && config.architecture === wanted) return;
  const has = `${config.os}/${config.architecture}`;
  const asked = [os, wanted, ...(variant === undefined ? [] : [variant])].join('/');
  throw notFound(
    `image with reference ${name} was found but its platform (${has}) does not match the specified platform (${asked})`,
  );
}

/** Directories of a container; the union's root looks like the topmost layer's. */
function makeDirectories(directory: string, top: string | undefined): void {
  mkdirSync(directory, { recursive: true, mode: 0o710 });
  for (const name of ['upper', 'work', 'root']) mkdirSync(join(directory, name), { mode: 0o755 });
  const upper = join(directory, 'upper');
  const like = top === undefined ? { mode: 0o755, uid: 0, gid: 0 } : statSync(top);
  chownSync(upper, like.uid, like.gid);
  chmodSync(upper, like.mode & 0o7777);
}

async function makeVolume(context: Context, id: string, planned: PlannedMount, layers: readonly string[]): Promise<MountPoint> {
  const { point, volume } = planned;
  if (!volume) return { ...point, Source: point.Source ?? '' };
  const { anonymous, labels, options, name, nocopy } = volume;
  const records = volumeRecords(context.store);
  checkDriverOptions(options ?? {});
  const made = (await records.get(name)) === undefined;
  const opened = await openVolume(context.root, records, name, {
    anonymous,
    ...(labels ? { labels } : {}),
    ...(options ? { options } : {}),
  });
  // Docker tells so of each that is asked for, there or not.
  context.events.publish('volume', 'create', name, { driver: 'local' });
  // What a driver mounts has its own content.
  try {
    const { Destination: destination, subpath } = point;
    if (!nocopy && !isMountedVolume(opened.options)) await fillVolume(opened.path, layers, destination, context.scheme, subpath);
  } catch (error) {
    if (made) await removeUnused(context, name, id);
    throw error;
  }
  return { ...point, Source: opened.path };
}

class Creation {
  readonly id = randomBytes(32).toString('hex');
  readonly #directory: string;

  constructor(
    private readonly context: Context,
    private readonly request: CreateRequest,
  ) {
    this.#directory = context.directory(this.id);
  }

  async run(): Promise<ContainerRecord> {
    const { registry, store } = this.context;
    const { config, step } = this.request;
    const image = step ? step.image : await resolveImage(store, config.Image ?? '');
    return registry.holding(`stopped container ${this.id.slice(0, 12)}`, image?.layers ?? [], () => this.#runOf(image));
  }

  async #runOf(image: Image | undefined): Promise<ContainerRecord> {
    const { registry } = this.context;
    const { config, step } = this.request;
    const hostConfig = withDefaults(fixedDonors(this.request.hostConfig, (reference) => registry.find(reference)));
    if (image && this.request.platform) checkPlatform(image, config.Image ?? '', this.request.platform);
    const merged =
      step || !image ? { ...config, Hostname: this.id.slice(0, 12) } : mergeConfig(named(config, hostConfig), image, this.id);
    checkEnvironment(config.Env ?? []);
    checkConflicts(config, hostConfig);
    const planned = planMounts({
      hostConfig,
      root: this.context.root,
      volumes: step ? [] : Object.keys(merged.Volumes ?? {}),
      find: (reference) => registry.find(reference),
    });
    const draft = this.#draft(image, merged, hostConfig);
    check(draft, step !== undefined);
    for (const { point } of planned) {
      if (point.Type === 'bind' && !point.create) openSource(point.Source ?? '', false);
    }
    const name = registry.reserveName(this.request.name ?? randomName((each) => registry.hasName(each)), this.id);
    registry.reserveVolumes(
      this.id,
      planned.flatMap(({ point }) => point.Name ?? []),
    );
    try {
      return await this.#make({ ...draft, name }, planned);
    } catch (error) {
      registry.releaseName(name, this.id);
      throw error;
    } finally {
      registry.reserveVolumes(this.id, []);
    }
  }

  /** What the container will be, but for its name and its mounts. */
  #draft(image: Image | undefined, config: ContainerConfig, hostConfig: HostConfig): ContainerRecord {
    const { networks, step } = this.request;
    const { WorkingDir: cwd = '' } = config;
    return {
      id: this.id,
      name: '',
      created: Date.now(),
      image: image?.id ?? '',
      layers: [initLayer(this.context, image), ...(image?.layers ?? [])],
      config: { ...config, ...(cwd.startsWith('/') ? { WorkingDir: cleanPath(cwd) } : {}) },
      hostConfig,
      mounts: [],
      networks,
      state: { status: 'created', pid: 0, exitCode: 0, error: '', oomKilled: false, startedAt: 0, finishedAt: 0 },
      endpoints: [],
      ports: {},
      command: [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])],
      restartCount: 0,
      stopped: false,
      ...(step && !step.keep ? { transient: true } : {}),
    };
  }

  async #make(draft: ContainerRecord, planned: readonly PlannedMount[]): Promise<ContainerRecord> {
    const volumes = planned.flatMap(({ volume }) => (volume?.anonymous ? [volume.name] : []));
    const { store, registry } = this.context;
    const journal = { table: 'journal' as const, key: this.id };
    await store.transaction((records) => records.commit([{ ...journal, value: { id: this.id, op: 'create', volumes } }]));
    try {
      makeDirectories(this.#directory, draft.layers[1]);
      const made = await makeFirstDirectories(this.context, draft, this.request.step !== undefined);
      const layers = [...(made ? [join(this.#directory, 'upper')] : []), ...draft.layers];
      const mounts: MountPoint[] = [];
      for (const each of planned) mounts.push(await makeVolume(this.context, this.id, each, layers));
      return await registry.put({ ...draft, mounts }, [journal]);
    } catch (error) {
      const undo = (): Promise<void> => undoCreate(this.context, this.id, volumes);
      await this.context.retries.do(`creation of ${this.id.slice(0, 12)}`, undo);
      throw error;
    }
  }
}

/** Takes back what an unfinished creation has made, and its journal entry. */
export async function undoCreate(context: Context, id: string, volumes: readonly string[]): Promise<void> {
  await removeTree(context.directory(id));
  for (const name of volumes) await removeUnused(context, name, id);
  await context.store.transaction((records) => records.commit([{ table: 'journal', key: id }]));
}

/** Makes a container. Errors: EngineError, NoSuchImage, VolumeSpecError, VolumeError; nothing is left then. */
export async function createContainer(context: Context, request: CreateRequest): Promise<ContainerRecord> {
  const record = await new Creation(context, request).run();
  context.publish('create', record);
  return record;
}
