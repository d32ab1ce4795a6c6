// Starting a container: its network, its root mounted by the supervisor, its bundle, runc. What was set up is taken down
// again when a step fails. Called by lifecycle.ts, inside the container's queue; mounting and
// taking down also by archive.ts and recovery.ts.

import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname as hostName } from 'node:os';
import { join } from 'node:path';
import { familiarName } from '../image/index.js';
import type { ContainerRecord } from '../store/index.js';
import { initProgram, sys } from '../native/load.js';
import { MNT_DETACH } from '../native/syscalls.js';
import { errnoText } from '../abi/errno.js';
import { NetworkError } from '../network/network-error.js';
import { mountpointsBelow, readMountinfo } from '../transport/check.js';
import { bypassOf } from './bypass.js';
import { logRequest } from './log-options.js';
import type { Context } from './context.js';
import { EngineError, badParameter, failure, messageOf, notFound } from './errors.js';
import type { ConnectedNetwork } from './network-seam.js';
import { ipcDonor, namespacesOf, networkOwner } from './namespaces.js';
import { INIT_PATH, SHM_SIZE, ociMounts } from './oci-mounts.js';
import { notePeers } from './hosts-peers.js';
import { ociSpec } from './oci-spec.js';
import { deleteContainer } from './runc.js';
import { type SupervisorClient, SupervisorError } from './supervisor-client.js';
import { userDatabase } from './users.js';
import { releaseVolumes, useVolumes } from './volume-use.js';

/** Mounts the root at <container>/root, with the volumes as routes when their `sources` by destination are given. */
export async function mountRoot(
  context: Context,
  record: ContainerRecord,
  sources?: ReadonlyMap<string, string>,
): Promise<string> {
  const directory = context.directory(record.id);
  const bypass = bypassOf(record.hostConfig);
  const target = join(directory, 'root');
  const supervisor = await context.supervisor();
  const routed = sources ? record.mounts.filter(({ Type }) => Type !== 'tmpfs') : [];
  await supervisor.call('mount', {
    id: record.id,
    image: familiarName(record.config.Image ?? '') || record.image.slice(0, 12),
    mount: {
      target,
      lowers: record.layers,
      upper: join(directory, 'upper'),
      work: join(directory, 'work'),
      ...(bypass === undefined ? {} : { bypass }),
      routes: routed.map(({ Source, Destination: destination, RW }) => ({
        source: sources?.get(destination) ?? Source,
        destination,
        readOnly: !RW,
      })),
    },
  });
  return target;
}

/** Docker's words for what runc said, and the exit code that the container shows. */
function explainStart(error: unknown): { error: EngineError; exitCode: number } {
  if (error instanceof EngineError) return { error, exitCode: 128 };
  const said = messageOf(error);
  const text = `failed to create task for container: failed to create shim task: OCI runtime create failed: ${said.replace(/^runc run failed/, 'runc create failed')}: unknown`;
  if (/not a directory/.test(said) && /mount/.test(said)) {
    const hint =
      'Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';
    return { error: badParameter(`${text}: ${hint}`), exitCode: 127 };
  }
  if (/executable file not found|no such file or directory/.test(said)) return { error: badParameter(text), exitCode: 127 };
  if (/permission denied|is a directory/.test(said)) return { error: badParameter(text), exitCode: 126 };
  if (error instanceof NetworkError) return { error: error.kind === 'not found' ? notFound(said) : failure(said), exitCode: 128 };
  return { error: error instanceof SupervisorError ? failure(text) : failure(said, error), exitCode: 128 };
}

interface Started {
  readonly pid: number;
  readonly supervisor: SupervisorClient;
  readonly connected: Pick<ContainerRecord, 'endpoints' | 'ports'>;
}

class Start {
  /** Its networks have been told of. */
  isConnected = false;
  readonly #directory: string;
  readonly #bundle: string;

  constructor(
    private readonly context: Context,
    private readonly record: ContainerRecord,
  ) {
    this.#directory = context.directory(record.id);
    this.#bundle = context.bundle(record.id);
  }

  async run(size: readonly [number, number] | undefined): Promise<Started> {
    const { context, record } = this;
    const routed = bypassOf(record.hostConfig) !== undefined;
    const [network, root, sources] = await this.#setUp(routed);
    this.#writeFiles(network);
    const find = (reference: string): ContainerRecord => context.registry.find(reference);
    const init = record.hostConfig.Init ? INIT_PATH : undefined;
    const spec = ociSpec(record, {
      environment: network.environment,
      root,
      hostname: this.#hostname(),
      user: userDatabase(record.layers, context.scheme).find(record.config.User ?? '', record.hostConfig.GroupAdd ?? []),
      mounts: ociMounts(record, { files: this.#files, shm: this.#shm(), init: init && initProgram() }, sources, routed),
      namespaces: namespacesOf(record, network.netns, find),
      ...(init === undefined ? {} : { init }),
    });
    mkdirSync(this.#bundle, { recursive: true, mode: 0o711 });
    writeFileSync(join(this.#bundle, 'config.json'), JSON.stringify(spec), { mode: 0o600 });
    const supervisor = await context.supervisor();
    const [rows, columns] = record.hostConfig.ConsoleSize ?? [];
    const terminal = size ?? (rows && columns ? ([rows, columns] as const) : undefined);
    const log = logRequest(record, context.logPath(record.id));
    const { pid } = await supervisor.call('start', {
      task: record.id,
      container: record.id,
      bundle: this.#bundle,
      tty: record.config.Tty ?? false,
      stdin: record.config.OpenStdin ?? false,
      stdinOnce: record.config.StdinOnce ?? false,
      ...(terminal ? { size: terminal } : {}),
      ...(log ? { log } : {}),
    });
    return { pid, supervisor, connected: { endpoints: network.endpoints, ports: network.ports } };
  }

  /** Side by side; all are waited for, so that a failure of one finds the others done. */
  async #setUp(routed: boolean): Promise<[ConnectedNetwork, string, ReadonlyMap<string, string>]> {
    const { context, record } = this;
    const volumes = useVolumes(context, record);
    const steps = await Promise.allSettled([
      this.#connect(),
      routed ? volumes.then((sources) => mountRoot(context, record, sources)) : mountRoot(context, record),
      volumes,
    ]);
    const failed = steps.find((step) => step.status === 'rejected');
    if (failed) throw failed.reason;
    return steps.map((step) => (step as PromiseFulfilledResult<unknown>).value) as [
      ConnectedNetwork,
      string,
      ReadonlyMap<string, string>,
    ];
  }

  async #connect(): Promise<ConnectedNetwork> {
    const network = await this.context.networks.setUp(this.record);
    this.isConnected = true;
    this.context.publishNetworks('connect', this.record);
    return network;
  }

  #hostname(): string {
    const { id, config } = this.#networkOwner;
    return this.record.hostConfig.UTSMode === 'host' ? hostName() : (config.Hostname ?? id.slice(0, 12));
  }

  /** Whoever uses another container's network has its name and its files too. */
  get #networkOwner(): ContainerRecord {
    return networkOwner(this.record, (reference) => this.context.registry.find(reference));
  }

  get #files(): string {
    return this.context.directory(this.#networkOwner.id);
  }

  /** A /dev/shm that others may join is mounted here, for them to bind. Errors: EngineError. */
  #shm(): string | undefined {
    const { context, record } = this;
    const other = ipcDonor(record, (reference) => context.registry.find(reference));
    if (other) return shmPath(context, other.id);
    if (record.hostConfig.IpcMode !== 'shareable') return undefined;
    const path = shmPath(context, record.id);
    mkdirSync(path, { recursive: true });
    const size = record.hostConfig.ShmSize || SHM_SIZE;
    const result = sys.mount('shm', latin1(path), 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, `mode=1777,size=${size}`);
    if (result < 0) throw failure(`mounting ${path}: ${errnoText(result)}`);
    return path;
  }

  #writeFiles(network: ConnectedNetwork): void {
    if (this.#files !== this.#directory) return;
    const write = (name: string, text: string): void => writeFileSync(join(this.#directory, name), text, { mode: 0o644 });
    write('hosts', network.hosts);
    notePeers(this.#directory, network.peers);
    write('resolv.conf', network.resolvConf);
    write('hostname', `${this.#hostname()}\n`);
  }
}

const [MS_NOSUID, MS_NODEV, MS_NOEXEC] = [2, 4, 8];
const latin1 = (path: string): string => Buffer.from(path).toString('latin1');

function shmPath(context: Context, id: string): string {
  return join(context.directory(id), 'shm');
}

/** Ids of containers whose roots are mounted, by whomever. */
export function mountedRoots(context: Context): Set<string> {
  const directory = join(context.root, 'containers');
  return new Set(mountpointsBelow(directory).map((point) => point.slice(directory.length + 1).split('/')[0] ?? ''));
}

/** Unmounts the root of a container. Errors: SupervisorError. */
export async function unmountRoot(context: Context, id: string): Promise<void> {
  try {
    await (await context.supervisor()).call('unmount', { id });
  } finally {
    detachDead(join(context.directory(id), 'root'));
  }
}

/** A root whose supervisor died is still mounted, and answers nobody. */
function detachDead(root: string): void {
  while (readMountinfo().some((entry) => entry.mountpoint === root)) {
    if (sys.umount2(latin1(root), MNT_DETACH) < 0) return;
  }
}

/** Names are a convenience: that they cannot be written ends no container. */
export function announce(context: Context, record: ContainerRecord): void {
  try {
    context.networks.announce(record);
  } catch (error) {
    context.log(`container ${record.id.slice(0, 12)}: names: ${messageOf(error)}`);
  }
}

/** Takes down what a container had while it ran. Never throws: what cannot be done is logged. */
export async function takeDown(context: Context, id: string): Promise<void> {
  const attempt = async (what: string, step: () => Promise<unknown>): Promise<void> => {
    await step().catch((error: unknown) => context.log(`container ${id.slice(0, 12)}: ${what}: ${messageOf(error)}`));
  };
  await attempt('runc delete', () => deleteContainer(context.bundle(id), id));
  await attempt('unmount', () => unmountRoot(context, id));
  detachDead(shmPath(context, id));
  await attempt('network', () => context.networks.tearDown(id));
  await attempt('volumes', () => releaseVolumes(context, id));
}

/** Starts a container that does not run. Errors: EngineError; its state says then what went wrong. */
export async function startContainer(
  context: Context,
  record: ContainerRecord,
  size?: readonly [rows: number, columns: number],
): Promise<ContainerRecord> {
  const { registry } = context;
  const start = new Start(context, record);
  try {
    const { pid, supervisor, connected } = await start.run(size);
    const state = { status: 'running', pid, exitCode: 0, error: '', oomKilled: false, startedAt: Date.now() } as const;
    const running = await registry.setState(record.id, state, { ...connected, stopped: false });
    // One that dies before it is known here who runs (Lifecycle.lost) is noticed by nobody else.
    if (!supervisor.isConnected) throw new SupervisorError('the mount server has died');
    if (running) announce(context, running);
    context.publish('start', record);
    return running ?? record;
  } catch (cause) {
    const { error, exitCode } = explainStart(cause);
    await takeDown(context, record.id);
    if (start.isConnected) context.publishNetworks('disconnect', record);
    const { state, endpoints, ports } = record;
    await registry.setState(record.id, { ...state, exitCode, error: error.message }, { endpoints, ports });
    throw error;
  }
}
