// The mount server: holds the /dev/fuse fds, drives the serving worker, and ends mounts. One process may serve many
// mounts. It never touches a mount of its own; whoever wants that does it from another process.

import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import type { MountStats } from '../native/mount.js';
import { bindRoutes, unbindBelow } from './bind.js';
import { readMountinfo } from './check.js';
import { mountFuse, unmountFuse } from './fuse-device.js';
import { MountError } from './layers.js';
import type { FromWorker, ToWorker } from './messages.js';
import type { MountPlan } from './plan.js';
import { readRecords } from './registry.js';

/** A mount that is being served. */
export interface ServedMount {
  readonly plan: MountPlan;
  /** Counters and sizes; undefined once it has ended. */
  stats(): Promise<MountStats | undefined>;
  /** Unmounts; `lazy` detaches a busy one. Errors: MountError when it is busy. */
  unmount(lazy?: boolean): Promise<void>;
  /** Resolves when the kernel has ended the mount, whoever asked for it. */
  readonly ended: Promise<void>;
}

interface Live {
  ready: { resolve: (paths: string[]) => void; reject: (error: Error) => void };
  ended: () => void;
  locks: number[];
}

const LOCK_EX_NB = 2 | 4;

/** umount(2) returns before the server that was serving has read that it ended: so long its hold on upper may last, in ms. */
const UNMOUNTING = 5_000;

/** Whether a mount over `upper` can still be used, as far as the records of this user say. */
function isMountedOver(upper: string): boolean {
  const points = new Set(readMountinfo().map((mount) => mount.mountpoint));
  return readRecords().some((record) => record.upper === upper && points.has(record.target));
}

/** Holds upper for this process: two unions over one upper would corrupt it. Returns the fd that holds the lock. */
async function lockUpper(upper: string): Promise<number> {
  const fd = openSync(upper, 'r');
  for (const start = Date.now(); ; await delay(1)) {
    if (sys.flock(fd, LOCK_EX_NB) === 0) return fd;
    if (isMountedOver(upper) || Date.now() - start > UNMOUNTING) break;
  }
  closeSync(fd);
  throw new MountError(`upper directory ${upper} is in use by another mount: unmount that first (lamina ls shows it)`);
}

/** Nothing can be written through FUSE: the kernel itself then refuses, with the errors and access(2) of a ro mount. */
function isReadOnly(plan: MountPlan): boolean {
  const sealed = plan.upper === undefined || plan.readOnly;
  return sealed && plan.routes.every((route) => route.readOnly || route.tier === 'bind');
}

export class MountServer {
  readonly #worker: Worker;
  readonly #live = new Map<number, Live>();
  readonly #replies = new Map<number, (stats: MountStats | undefined) => void>();
  readonly #wakeFd: number;
  #next = 0;
  #closed = false;

  /** `log` receives what the worker reports, a line each. */
  constructor(private readonly log: (message: string) => void) {
    this.#wakeFd = sys.eventfd();
    if (this.#wakeFd < 0) throw new MountError(`eventfd: ${errnoText(this.#wakeFd)}`);
    this.#worker = new Worker(join(__dirname, 'worker.js'), { workerData: { wakeFd: this.#wakeFd } });
    this.#worker.on('message', (message: FromWorker) => this.#hear(message));
    this.#worker.on('error', (error) => this.#workerDied(error));
  }

  async mount(plan: MountPlan): Promise<ServedMount> {
    const locks = plan.upper === undefined ? [] : [await lockUpper(plan.upper)];
    const root = process.geteuid?.() === 0;
    let fuseFd: number;
    try {
      fuseFd = await mountFuse(plan.target, {
        source: plan.source,
        allowOther: root,
        readOnly: isReadOnly(plan),
        suidDev: root,
        flags: plan.flags,
      });
    } catch (error) {
      locks.forEach(closeSync);
      throw error;
    }
    const id = this.#next++;
    const ended = new Promise<void>((resolve) => {
      this.#live.set(id, { ready: { resolve: () => undefined, reject: () => undefined }, ended: resolve, locks });
    });
    try {
      const paths = await new Promise<string[]>((resolve, reject) => {
        const live = this.#live.get(id);
        if (live) live.ready = { resolve, reject };
        this.#tell({ type: 'serve', mount: id, fuseFd, plan });
      });
      await bindRoutes(plan.target, plan.routes, paths);
    } catch (error) {
      await unmountFuse(plan.target, true);
      this.#end(id);
      throw error;
    }
    return { plan, ended, stats: () => this.#stats(id), unmount: (lazy) => this.#unmount(plan.target, lazy ?? false, ended) };
  }

  /** Ends the worker. Mounts still live lose their server: unmount them first. */
  async close(): Promise<void> {
    this.#tell({ type: 'stop' });
    await this.#worker.terminate();
    if (!this.#closed) closeSync(this.#wakeFd);
    this.#closed = true;
  }

  #tell(message: ToWorker): void {
    this.#worker.postMessage(message);
    if (!this.#closed) writeSync(this.#wakeFd, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
  }

  #stats(mount: number): Promise<MountStats | undefined> {
    if (!this.#live.has(mount)) return Promise.resolve(undefined);
    const reply = this.#next++;
    return new Promise((resolve) => {
      this.#replies.set(reply, resolve);
      this.#tell({ type: 'stats', mount, reply });
    });
  }

  async #unmount(target: string, lazy: boolean, ended: Promise<void>): Promise<void> {
    if (!lazy) await unbindBelow(target);
    const error = await unmountFuse(target, lazy);
    if (error === -errno.EBUSY) throw new MountError(`${target} is busy: end what uses it, or unmount lazily`);
    if (error && error !== -errno.EINVAL) throw new MountError(`${target}: unmount failed: ${errnoText(error)}`);
    await ended;
  }

  #hear(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        this.#live.get(message.mount)?.ready.resolve(message.paths);
        break;
      case 'failed':
        this.#live.get(message.mount)?.ready.reject(new MountError(message.message));
        break;
      case 'ended':
        this.#end(message.mount);
        break;
      case 'stats':
        this.#replies.get(message.reply)?.(message.stats);
        this.#replies.delete(message.reply);
        break;
      case 'log':
        this.log(message.message);
    }
  }

  #end(mount: number): void {
    const live = this.#live.get(mount);
    if (!live) return;
    this.#live.delete(mount);
    live.locks.forEach(closeSync);
    live.ready.reject(new MountError('the mount ended before it was ready'));
    live.ended();
  }

  #workerDied(error: Error): void {
    this.log(`the serving worker died: ${error.stack ?? error.message}`);
    for (const [id, live] of this.#live) {
      live.ready.reject(error);
      this.#end(id);
    }
  }
}
