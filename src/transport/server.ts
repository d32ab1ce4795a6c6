// The mount server: mounts roots and their routes, has workers serve them, and ends them. One process may serve many
// mounts. It never touches a mount of its own; whoever wants that does it from another process.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import type { MountStats } from '../native/mount.js';
import { readMountinfo } from './check.js';
import { own } from './children.js';
import { FdShares } from './fd-shares.js';
import { mountFuse, unmountFuse } from './fuse-device.js';
import { MountError } from './layers.js';
import type { MountPlan } from './plan.js';
import { readRecords } from './registry.js';
import { mountRoutes, unmountBelow } from './route-mounts.js';
import { type Serving, ServingWorker } from './serving-worker.js';

/** A mount that is being served. */
export interface ServedMount {
  readonly plan: MountPlan;
  /** Counters and sizes, the root's and its routes' together; undefined once it has ended. */
  stats(): Promise<MountStats | undefined>;
  /**
   * Unmounts; `lazy` detaches a busy one. Resolves when nobody has it any more, in other mount namespaces neither.
   * Errors: MountError when it is busy.
   */
  unmount(lazy?: boolean): Promise<void>;
  /** Unmounts, and takes it from whoever still has it: a program that is in it, another mount namespace. Errors: MountError. */
  withdraw(): Promise<void>;
  /** Resolves when the kernel has ended the mount and its routes, whoever asked for it. */
  readonly ended: Promise<void>;
}

const LOCK_EX_NB = 2 | 4;
/** Milliseconds that a worker has to tell its counters: one whose backing hangs is left out. */
const STATS_LIMIT = 1000;

/** umount(2) returns before the server that was serving has read that it ended: so long its hold on upper may last, in seconds. */
const UNMOUNTING = 5;
/** How often, in ms, it is looked whether another who waits has had the lock and has mounted. */
const LOOK = 100;

/** Whether a mount over `upper` can still be used, as far as the records of this user say. */
function isMountedOver(upper: string): boolean {
  const points = new Set(readMountinfo().map((mount) => mount.mountpoint));
  return readRecords().some((record) => record.upper === upper && points.has(record.target));
}

/** Has flock(1) wait for the lock, which is then that of `fd`: the open file is the same. False when it stays another's. */
function comesFree(fd: number, upper: string): Promise<boolean> {
  const child = own(
    spawn('flock', ['--exclusive', '--wait', String(UNMOUNTING), '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] }),
  );
  const looking = setInterval(() => isMountedOver(upper) && child.kill(), LOOK);
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  }).finally(() => clearInterval(looking)) as Promise<boolean>;
}

/** So long, in ms, the kernel may take to end a mount that nobody has any more. */
const ENDING_MS = 2000;

/** Holds upper for this process: two unions over one upper would corrupt it. Returns the fd that holds the lock. */
async function lockUpper(upper: string): Promise<number> {
  const fd = openSync(upper, 'r');
  if (sys.flock(fd, LOCK_EX_NB) === 0) return fd;
  if (!isMountedOver(upper) && (await comesFree(fd, upper))) return fd;
  closeSync(fd);
  throw new MountError(`upper directory ${upper} is in use by another mount: unmount that first (lamina ls shows it)`);
}

/** Nothing can be written through this mount: the kernel itself then refuses, with the errors and access(2) of a ro mount. */
function isReadOnly(plan: MountPlan): boolean {
  const sealed = plan.upper === undefined || plan.readOnly;
  return sealed && (plan.mountRoutes || plan.routes.every((route) => route.readOnly));
}

function sum(all: readonly (MountStats | undefined)[]): MountStats | undefined {
  const [first, ...rest] = all.filter((each) => each !== undefined);
  return rest.reduce((a, b) => {
    if (!a) return b;
    const { requests, ...numbers } = a;
    const added = Object.entries(numbers).map(([name, value]) => [name, value + b[name as keyof typeof numbers]]);
    return {
      ...(Object.fromEntries(added) as typeof numbers),
      passthrough: Math.max(a.passthrough, b.passthrough),
      requests: requests.map((count, i) => count + (b.requests[i] ?? 0)),
    };
  }, first);
}

export class MountServer {
  readonly #shared: ServingWorker;
  readonly #own = new Set<ServingWorker>();
  readonly #shares = new FdShares(sys.raiseNofile());

  /** `log` receives what the workers report, a line each. */
  constructor(private readonly log: (message: string) => void) {
    this.#shared = new ServingWorker(log, this.#shares);
  }

  async mount(plan: MountPlan): Promise<ServedMount> {
    const lock = plan.upper === undefined ? undefined : await lockUpper(plan.upper);
    const unlock = (): void => (lock === undefined ? undefined : closeSync(lock));
    const root = process.geteuid?.() === 0;
    let union: Serving;
    try {
      const options = {
        source: plan.source,
        allowOther: root,
        readOnly: isReadOnly(plan),
        suidDev: root,
        flags: plan.flags,
        directory: true,
      };
      union = this.#shared.serve(await mountFuse(plan.target, options), { union: plan });
    } catch (error) {
      unlock();
      throw error;
    }
    void union.ended.then(unlock);
    try {
      const paths = await union.ready;
      const routes = await mountRoutes(plan, paths, (ownThread) => (ownThread ? this.#ownWorker() : this.#shared));
      return this.#served(plan, [union, ...routes]);
    } catch (error) {
      await unmountFuse(plan.target, true);
      union.drop();
      throw error;
    }
  }

  #served(plan: MountPlan, parts: readonly Serving[]): ServedMount {
    const ended = Promise.all(parts.map((part) => part.ended)).then(() => undefined);
    return {
      plan,
      ended,
      stats: async () => sum(await Promise.all(parts.map((part) => part.stats(STATS_LIMIT)))),
      unmount: async (lazy) => {
        await this.#unmount(plan.target, lazy ?? false);
        await ended;
      },
      withdraw: async () => {
        await this.#unmount(plan.target, false).catch(() => this.#unmount(plan.target, true));
        const timer = setTimeout(() => parts.forEach((part) => part.abort()), ENDING_MS);
        await ended.finally(() => clearTimeout(timer));
      },
    };
  }

  /** A thread for one route, ended with it. */
  #ownWorker(): ServingWorker {
    const worker = new ServingWorker(this.log, this.#shares, () => {
      this.#own.delete(worker);
      void worker.close();
    });
    this.#own.add(worker);
    return worker;
  }

  /** Ends the workers. Mounts still live lose their server: unmount them first. */
  async close(): Promise<void> {
    await Promise.all([this.#shared, ...this.#own].map((worker) => worker.close()));
  }

  async #unmount(target: string, lazy: boolean): Promise<void> {
    if (!lazy) await unmountBelow(target);
    const error = await unmountFuse(target, lazy);
    if (error === -errno.EBUSY) throw new MountError(`${target} is busy: end what uses it, or unmount lazily`);
    if (error && error !== -errno.EINVAL) throw new MountError(`${target}: unmount failed: ${errnoText(error)}`);
  }
}
