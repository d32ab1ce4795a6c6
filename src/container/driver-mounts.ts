// Who has a volume in use, from before it is bound until after it is let go; and volumes whose driver mounts something:
// mounted when the first container that uses one starts, unmounted with the last.

import type { ContainerRecord, Store, VolumeRecord } from '../store/index.js';
import { readMountinfo } from '../transport/check.js';
import { isMountedVolume, mountDriver, unmountDriver } from '../volume/driver-options.js';

function isMounted(path: string): boolean {
  return readMountinfo().some(({ mountpoint }) => mountpoint === path);
}

export class DriverMounts {
  /** Who uses a volume: ids of containers, and of other work. */
  readonly #users = new Map<string, Set<string>>();
  /** One change of a volume after the other. */
  readonly #queues = new Map<string, Promise<unknown>>();

  constructor(
    private readonly store: Store,
    private readonly log: (message: string) => void,
  ) {}

  /** Takes over what the last daemon left: volumes that nobody of `running` uses are unmounted. */
  async adopt(running: readonly ContainerRecord[]): Promise<void> {
    for (const { id, mounts } of running)
      for (const { Name: name } of mounts) if (name !== undefined) this.#usersOf(name).add(id);
    const volumes = await this.store.transaction((records) => records.list('volume'));
    for (const volume of volumes) if (isMountedVolume(volume.options)) await this.#settle(volume);
  }

  /** Mounts what `user` needs of the volumes. Errors: VolumeSpecError; what was mounted goes with `release`. */
  async use(user: string, names: readonly string[]): Promise<void> {
    for (const name of names) this.#usersOf(name).add(user);
    for (const name of names) {
      const volume = await this.#find(name);
      if (volume) await this.#settle(volume);
    }
  }

  /** Containers and other work that have a volume in use. */
  users(name: string): string[] {
    return [...(this.#users.get(name) ?? [])];
  }

  async release(user: string): Promise<void> {
    for (const [name, users] of this.#users) {
      if (!users.delete(user)) continue;
      if (users.size === 0) this.#users.delete(name);
      const volume = await this.#find(name);
      if (volume) await this.#settle(volume);
    }
  }

  /** Does something with a volume's content, whatever its driver. */
  async during<T>(user: string, name: string, work: () => Promise<T>): Promise<T> {
    await this.use(user, [name]);
    try {
      return await work();
    } finally {
      await this.release(user);
    }
  }

  #usersOf(name: string): Set<string> {
    const users = this.#users.get(name) ?? new Set();
    this.#users.set(name, users);
    return users;
  }

  async #find(name: string): Promise<VolumeRecord | undefined> {
    const volume = await this.store.transaction((records) => records.get('volume', name));
    return volume && isMountedVolume(volume.options) ? volume : undefined;
  }

  /** Brings the mount in line with whether there are users. */
  #settle(volume: VolumeRecord): Promise<void> {
    const { name, path, options = {} } = volume;
    const settled = (this.#queues.get(name) ?? Promise.resolve()).then(async () => {
      const isUsed = this.#users.has(name);
      if (isUsed === isMounted(path)) return;
      if (isUsed) return mountDriver(path, options);
      const complaint = await unmountDriver(path);
      if (complaint !== undefined) this.log(`volume ${name}: ${complaint}`);
    });
    const quiet = settled.catch(() => undefined);
    this.#queues.set(name, quiet);
    void quiet.then(() => {
      if (this.#queues.get(name) === quiet) this.#queues.delete(name);
    });
    return settled;
  }
}
