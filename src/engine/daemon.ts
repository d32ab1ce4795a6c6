// The daemon of one data root: owns its store, its containers and its API socket. Started by `lamina daemon`. It may end
// and start again while containers run: their mounts and processes belong to the supervisor.

import { createHash } from 'node:crypto';
import { chmodSync, closeSync, openSync, realpathSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { Context } from '../container/context.js';
import { messageOf } from '../container/errors.js';
import { Execs } from '../container/exec.js';
import { Health } from '../container/health.js';
import { Lifecycle } from '../container/lifecycle.js';
import { OWNER, waitForOrphans } from '../container/orphans.js';
import { Registry } from '../container/registry.js';
import { isUp } from '../container/state.js';
import { SupervisorClient } from '../container/supervisor-client.js';
import type { TaskExit } from '../container/supervisor-protocol.js';
import { sys } from '../native/load.js';
import { makeChosenDirectory } from '../native/make-directories.js';
import { openStore, type Store } from '../store/index.js';
import { runDirectory } from '../process/run-directory.js';
import { buildRoutes } from './builds.js';
import { containerActionRoutes } from './container-actions.js';
import { containerFileRoutes } from './container-files.js';
import { containerIoRoutes } from './container-io.js';
import { containerRoutes } from './containers.js';
import type { Engine } from './engine.js';
import { Router } from './http.js';
import { imageRoutes } from './images.js';
import { imageTransferRoutes } from './image-transfer.js';
import { EngineNetworks } from './network.js';
import { networkRoutes } from './networks.js';
import { registryRoutes } from './registries.js';
import { statsRoutes } from './stats.js';
import { systemRoutes } from './system.js';
import { volumeRoutes } from './volumes.js';
import { volumeTransferRoutes } from './volume-transfer.js';

export interface DaemonOptions {
  /** Data root. */
  readonly root: string;
  /** Path of the API's socket. */
  readonly socket: string;
  readonly version: string;
  readonly log: (message: string) => void;
}

/** Another daemon has this data root, or something else this socket. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
}

const LOCK_EX_NB = 2 | 4;

/** Bundles and sockets of a data root: on a filesystem that a reboot empties. */
function runDirectoryOf(root: string): string {
  const digest = createHash('sha256').update(realpathSync(root)).digest('hex');
  return join(runDirectory(), `engine-${digest.slice(0, 12)}`);
}

/** The lock is the process's: it goes when the process does. Errors: DaemonError. */
function lockRoot(root: string): number {
  const fd = openSync(join(root, 'daemon.lock'), 'w', 0o600);
  if (sys.flock(fd, LOCK_EX_NB) === 0) return fd;
  closeSync(fd);
  throw new DaemonError(`another daemon has the data root ${root}: use that, or give this one its own (--root)`);
}

/** Whether someone answers on a socket. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.on('connect', () => resolve((socket.destroy(), true)));
    socket.on('error', () => resolve(false));
  });
}

async function listenOn(server: Server, path: string): Promise<void> {
  if (await isServed(path)) {
    throw new DaemonError(`${path}: another daemon listens there: stop that, or choose another socket (--socket)`);
  }
  makeChosenDirectory(dirname(path), 0o711, 'LAMINA_SOCKET');
  rmSync(path, { force: true });
  // Nobody else may connect between the socket's birth and its mode.
  const mask = sys.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    sys.umask(mask);
  }
  chmodSync(path, 0o600);
}

export class Daemon {
  #supervisor: Promise<SupervisorClient> | undefined;
  /** Over when nothing that a dead supervisor ran goes on; the next one, which has the same mark, starts after that. */
  #orphans: Promise<void> = Promise.resolve();
  #server: Server | undefined;
  #lock = -1;
  #listening = false;
  readonly #store: Store;
  readonly #engine: Engine;
  readonly #run: string;

  constructor(private readonly options: DaemonOptions) {
    this.#store = openStore(options.root);
    this.#run = runDirectoryOf(options.root);
    const registry = new Registry(this.#store);
    const networks = new EngineNetworks(join(options.root, 'network'), registry, (id) => join(options.root, 'containers', id));
    const context = new Context(this.#store, this.#run, registry, networks, () => this.#startSupervisor(), options.log);
    const execs = new Execs(context);
    this.#engine = {
      context,
      lifecycle: new Lifecycle(context),
      execs,
      health: new Health(context, execs),
      networks,
      startedAt: Date.now(),
      version: options.version,
    };
  }

  /** Recovers what the last daemon left, and serves. Errors: DaemonError, StoreError. */
  async start(): Promise<void> {
    this.#lock = lockRoot(this.options.root);
    await this.#waitForOrphans('daemon');
    // From here on all that we run has it.
    process.env[OWNER] = this.#owner('daemon');
    await this.#store.hold();
    await this.#engine.context.registry.load();
    await this.#recover();
    const router = new Router();
    for (const routes of [
      systemRoutes,
      containerRoutes,
      containerActionRoutes,
      containerIoRoutes,
      containerFileRoutes,
      registryRoutes,
      imageRoutes,
      imageTransferRoutes,
      buildRoutes,
      volumeRoutes,
      volumeTransferRoutes,
      networkRoutes,
      statsRoutes,
    ])
      routes(this.#engine, router);
    this.#server = router.server(this.options.log);
    await listenOn(this.#server, this.options.socket);
    this.#listening = true;
  }

  /** Stops answering. Containers run on, unless there are none: then the supervisor goes too. */
  async stop(): Promise<void> {
    this.#engine.health.close();
    this.#engine.lifecycle.close();
    this.#engine.context.retries.close();
    this.#server?.close();
    this.#server?.closeAllConnections();
    // Before it listens, the socket is somebody else's.
    if (this.#listening) rmSync(this.options.socket, { force: true });
    const supervisor = await this.#supervisor?.catch(() => undefined);
    await supervisor?.call('stop', {}).catch(() => false);
    supervisor?.close();
    await this.#store.close();
    if (this.#lock >= 0) closeSync(this.#lock);
  }

  async #recover(): Promise<void> {
    makeChosenDirectory(this.#run, 0o711, 'LAMINA_RUN');
    const client = this.#client();
    const found = await client.find();
    if (!found) await this.#waitForOrphans('supervisor');
    if (found) this.#supervisor = Promise.resolve(client);
    await this.#engine.lifecycle.recover(found ? await client.call('list', {}) : undefined);
    this.#engine.health.adopt();
    const { registry } = this.#engine.context;
    const running = new Set(
      registry
        .list()
        .filter(isUp)
        .map(({ id }) => id),
    );
    await this.#engine.networks.sweep((id) => running.has(id));
  }

  #owner(kind: 'daemon' | 'supervisor'): string {
    return `${kind}:${realpathSync(this.options.root)}`;
  }

  /** Of a dead daemon or supervisor. */
  async #waitForOrphans(kind: 'daemon' | 'supervisor'): Promise<void> {
    const left = await waitForOrphans(this.#owner(kind));
    if (left.length > 0) this.options.log(`processes of a ${kind} that died do not end: ${left.join(' ')}`);
  }

  #client(): SupervisorClient {
    return new SupervisorClient(this.#run, this.#owner('supervisor'), {
      exit: (task, exit) => void this.#exited(task, exit),
      lost: () => void this.#lost(),
    });
  }

  #startSupervisor(): Promise<SupervisorClient> {
    if (this.#supervisor) return this.#supervisor;
    const client = this.#client();
    const started = this.#orphans.then(() => client.start()).then(() => client);
    this.#supervisor = started;
    started.catch(() => (this.#supervisor = undefined));
    return started;
  }

  async #exited(task: string, exit: TaskExit): Promise<void> {
    const { lifecycle, execs, context } = this.#engine;
    await context.retries.do(`end of ${task.slice(0, 12)}`, async () => {
      if (!context.registry.get(task)) return execs.exited(task, exit);
      await lifecycle.exited(task, exit);
      execs.forget(task);
    });
  }

  async #lost(): Promise<void> {
    this.#supervisor = undefined;
    this.options.log('the mount server has died; ending its containers');
    this.#orphans = this.#waitForOrphans('supervisor');
    await this.#orphans;
    await this.#engine.lifecycle.lost().catch((error: unknown) => this.options.log(messageOf(error)));
  }
}
