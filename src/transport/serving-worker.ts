// A worker thread that serves mounts, as the mounting thread sees it: what it was given, what it reports, and how to wake
// its loop. The mount server has one for all its mounts, and one for each route that may hang.

import { closeSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import type { MountStats } from '../native/mount.js';
import type { FdShares } from './fd-shares.js';
import { MountError } from './layers.js';
import type { FromWorker, Shown, ToWorker } from './messages.js';

/** A mount that a worker serves. */
export interface Serving {
  /** Where the routes of a union are in it, once it is usable. Errors: MountError. */
  readonly ready: Promise<string[]>;
  /** The kernel has ended the mount. */
  readonly ended: Promise<void>;
  /** undefined once it has ended, or when the worker does not answer in `limit` ms. */
  stats(limit: number): Promise<MountStats | undefined>;
  /** It will not be served: the mount was taken away before it was usable. */
  drop(): void;
  /** Ends it for whoever still has it, in a mount namespace of their own for one. */
  abort(): void;
}

interface Live {
  /** Gives back its part of the fds. */
  release: () => void;
  ready: (paths: string[]) => void;
  failed: (error: Error) => void;
  ended: () => void;
}

/** What a mount holds however little it does: /dev/fuse, the lock on upper, a root for each layer and route. */
function fixedFds(shown: Shown): number {
  if (!('union' in shown)) return 2;
  const { lowers, upper, routes } = shown.union;
  return 2 + lowers.length + routes.length + (upper === undefined ? 0 : 3);
}

const EVENT = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

export class ServingWorker {
  readonly #worker: Worker;
  readonly #live = new Map<number, Live>();
  readonly #replies = new Map<number, (stats: MountStats | undefined) => void>();
  readonly #wakeFd: number;
  #next = 0;
  #closed = false;

  /** `log` receives what the worker reports, a line each; `idle` is told when its last mount has ended. */
  constructor(
    private readonly log: (message: string) => void,
    private readonly shares: FdShares,
    private readonly idle: () => void = () => undefined,
  ) {
    this.#wakeFd = sys.eventfd();
    if (this.#wakeFd < 0) throw new MountError(`eventfd: ${errnoText(this.#wakeFd)}`);
    this.#worker = new Worker(join(__dirname, 'worker.js'), { workerData: { wakeFd: this.#wakeFd } });
    this.#worker.on('message', (message: FromWorker) => this.#hear(message));
    this.#worker.on('error', (error) => this.#died(error));
  }

  /** Owns: fuseFd. */
  serve(fuseFd: number, shown: Shown): Serving {
    const mount = this.#next++;
    let ended: () => void = () => undefined;
    const end = new Promise<void>((resolve) => (ended = resolve));
    const live: Live = { ready: () => undefined, failed: () => undefined, ended, release: () => undefined };
    const ready = new Promise<string[]>((resolve, reject) => Object.assign(live, { ready: resolve, failed: reject }));
    this.#live.set(mount, live);
    try {
      live.release = this.shares.take(fixedFds(shown), (limit) => this.#tell({ type: 'fds', mount, limit }));
      this.#tell({ type: 'serve', mount, fuseFd, shown });
    } catch (error) {
      closeSync(fuseFd);
      live.failed(error as Error);
    }
    return {
      ready,
      ended: end,
      stats: (limit) => this.#stats(mount, limit),
      drop: () => this.#end(mount),
      abort: () => this.#tell({ type: 'end', mount }),
    };
  }

  /** Ends the thread. Mounts still live lose their server: unmount them first. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#tell({ type: 'stop' });
    this.#closed = true; // before the wait: the wake fd is closed once, whoever else asks meanwhile
    await this.#worker.terminate();
    closeSync(this.#wakeFd);
  }

  #tell(message: ToWorker): void {
    if (this.#closed) return;
    this.#worker.postMessage(message);
    writeSync(this.#wakeFd, EVENT);
  }

  #stats(mount: number, limit: number): Promise<MountStats | undefined> {
    if (!this.#live.has(mount)) return Promise.resolve(undefined);
    const reply = this.#next++;
    return new Promise((resolve) => {
      const answer = (stats: MountStats | undefined): void => {
        clearTimeout(timer);
        this.#replies.delete(reply);
        resolve(stats);
      };
      const timer = setTimeout(answer, limit, undefined);
      this.#replies.set(reply, answer);
      this.#tell({ type: 'stats', mount, reply });
    });
  }

  #hear(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        this.#live.get(message.mount)?.ready(message.paths);
        break;
      case 'failed':
        this.#live.get(message.mount)?.failed(new MountError(message.message));
        break;
      case 'ended':
        this.#end(message.mount);
        break;
      case 'stats':
        this.#replies.get(message.reply)?.(message.stats);
        break;
      case 'log':
        this.log(message.message);
    }
  }

  #end(mount: number): void {
    const live = this.#live.get(mount);
    if (!live) return;
    this.#live.delete(mount);
    live.release();
    live.failed(new MountError('the mount ended before it was ready'));
    live.ended();
    if (this.#live.size === 0) this.idle();
  }

  #died(error: Error): void {
    this.log(`the serving worker died: ${error.stack ?? error.message}`);
    for (const [mount, live] of this.#live) {
      live.failed(error);
      this.#end(mount);
    }
  }
}
