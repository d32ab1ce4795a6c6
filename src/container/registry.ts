// All containers of one data root: their records in memory and in the store, their names, who uses which volume and image,
// and one queue for each container, so that its changes never overlap.

import { isDeepStrictEqual } from 'node:util';
import type { Change, ContainerRecord, ContainerState, Store } from '../store/index.js';
import { NoSuchImage } from '../image/index.js';
import { badParameter, conflict, noSuchContainer } from './errors.js';
import { withTmpfs } from './mount-points.js';

const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

interface Waiter {
  readonly condition: 'exit' | 'removed';
  readonly resolve: (record: ContainerRecord) => void;
}

export class Registry {
  readonly #records = new Map<string, ContainerRecord>();
  readonly #names = new Map<string, string>();
  /** Volumes of containers that are being made, and of other work on volumes. */
  readonly #reserved = new Map<string, readonly string[]>();
  /** Layers of images that something is being made of, or that are being read. */
  readonly #held = new Set<{ readonly user: string; readonly layers: readonly string[] }>();
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly #waiters = new Map<string, Set<Waiter>>();

  constructor(private readonly store: Store) {}

  async load(): Promise<void> {
    for (const record of await this.store.transaction((records) => records.list('container'))) {
      this.#records.set(record.id, withTmpfs(record));
      this.#names.set(record.name, record.id);
    }
  }

  /** Last created first. */
  list(): ContainerRecord[] {
    return [...this.#records.values()].sort((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1));
  }

  get(id: string): ContainerRecord | undefined {
    return this.#records.get(id);
  }

  /**
   * By id, name (with or without a slash), the name that a link gives it (OTHER/ALIAS) or the beginning of an id.
   * Errors: 404, 400 for an ambiguous beginning.
   */
  find(reference: string): ContainerRecord {
    const byId = this.#records.get(reference);
    if (byId) return byId;
    const [name = '', alias] = reference.replace(/^\//, '').split(/\/(.*)/s);
    const named = this.#records.get(this.#names.get(name) ?? '');
    const found = alias === undefined ? named : this.#linked(named, alias);
    if (found) return found;
    const fitting = /^[0-9a-f]+$/.test(reference) ? [...this.#records.keys()].filter((id) => id.startsWith(reference)) : [];
    if (fitting.length > 1) throw badParameter(`multiple IDs found with provided prefix: ${reference}`);
    const begun = this.#records.get(fitting[0] ?? '');
    if (!begun) throw noSuchContainer(reference);
    return begun;
  }

  /** To whom a container has a link under this name. */
  #linked(from: ContainerRecord | undefined, alias: string): ContainerRecord | undefined {
    const link = (from?.hostConfig.Links ?? []).find((text) => text.split(':')[1] === alias);
    return this.#records.get(link?.split(':')[0] ?? '');
  }

  /** Takes a name before anything is made. Errors: 400 for one that is none, 409 for one that is taken. */
  reserveName(given: string, id: string): string {
    if (!NAME.test(given)) {
      throw badParameter(`Invalid container name (${given}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    }
    const name = given.replace(/^\//, '');
    const owner = this.#names.get(name);
    if (owner !== undefined && owner !== id) {
      throw conflict(
        `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
    this.#names.set(name, id);
    return name;
  }

  hasName(name: string): boolean {
    return this.#names.has(name);
  }

  releaseName(name: string, id: string): void {
    if (this.#names.get(name) === id) this.#names.delete(name);
  }

  /** Keeps volumes from being removed while `id` has no record that refers to them; none takes that back. */
  reserveVolumes(id: string, volumes: readonly string[]): void {
    if (volumes.length > 0) this.#reserved.set(id, volumes);
    else this.#reserved.delete(id);
  }

  /** Ids of containers, in any state, that refer to a volume. */
  volumeUsers(volume: string): string[] {
    const reserved = [...this.#reserved].filter(([, names]) => names.includes(volume)).map(([id]) => id);
    const users = this.list().filter(({ mounts }) => mounts.some(({ Name }) => Name === volume));
    return [...new Set([...reserved, ...users.map(({ id }) => id)])];
  }

  /** Does `work` while nobody removes the image of these layers; `user` is who uses it, as whoever wants to is told. */
  async holding<T>(user: string, layers: readonly string[], work: () => Promise<T>): Promise<T> {
    const held = { user, layers };
    this.#held.add(held);
    try {
      return await work();
    } finally {
      this.#held.delete(held);
    }
  }

  /** Who holds the image of these layers. */
  holderOf(layers: readonly string[]): string | undefined {
    return [...this.#held].find((held) => isDeepStrictEqual(held.layers, layers))?.user;
  }

  imageUsers(image: string): ContainerRecord[] {
    return this.list().filter((record) => record.image === image);
  }

  /** Records a new container, in one batch with `more`; its image must still be there. Errors: NoSuchImage. */
  async put(record: ContainerRecord, more: readonly Change[] = []): Promise<ContainerRecord> {
    const { id, image } = record;
    return this.store.transaction(async (records) => {
      if (image !== '' && !(await records.get('image', image))) throw new NoSuchImage(`No such image: sha256:${image}`);
      await records.commit([{ table: 'container', key: id, value: record }, ...more]);
      this.#records.set(id, record);
      return record;
    });
  }

  /** Changes what is given; undefined when the container is gone. */
  update(id: string, change: Partial<ContainerRecord>): Promise<ContainerRecord | undefined> {
    return this.#change(id, () => change);
  }

  setState(
    id: string,
    state: Partial<ContainerState>,
    more: Partial<ContainerRecord> = {},
  ): Promise<ContainerRecord | undefined> {
    return this.#change(id, (record) => ({ ...more, state: { ...record.state, ...state } }));
  }

  /** One after the other, each upon what the last has made: what others change at the same time is not lost. */
  #change(id: string, change: (record: ContainerRecord) => Partial<ContainerRecord>): Promise<ContainerRecord | undefined> {
    return this.store.transaction(async (records) => {
      const record = this.#records.get(id);
      if (!record) return undefined;
      const changed = { ...record, ...change(record) };
      await records.commit([{ table: 'container', key: id, value: changed }]);
      this.#records.set(id, changed);
      return changed;
    });
  }

  /** Forgets a container, in one batch with `more`. */
  async delete(id: string, more: readonly Change[]): Promise<void> {
    await this.store.transaction(async (records) => {
      await records.commit([{ table: 'container', key: id }, ...more]);
      const record = this.#records.get(id);
      this.#records.delete(id);
      if (record) this.releaseName(record.name, id);
    });
  }

  /** Runs `task` after all other tasks of this container. */
  exclusive<T>(id: string, task: () => Promise<T>): Promise<T> {
    const run = (this.#queues.get(id) ?? Promise.resolve()).then(task);
    const settled = run.then(
      () => undefined,
      () => undefined,
    );
    this.#queues.set(id, settled);
    void settled.then(() => {
      if (this.#queues.get(id) === settled) this.#queues.delete(id);
    });
    return run;
  }

  /** Resolves with the record at the container's next exit, or as it was when it is removed. */
  wait(id: string, condition: Waiter['condition'], signal?: AbortSignal): Promise<ContainerRecord> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const waiter = { condition, resolve };
      waiters.add(waiter);
      const leave = (): void => {
        waiters.delete(waiter);
        if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id);
        reject(new Error('the client has gone'));
      };
      if (signal?.aborted) leave();
      signal?.addEventListener('abort', leave);
    });
  }

  /** Wakes those who wait. Removal wakes all. */
  wake(record: ContainerRecord, condition: Waiter['condition']): void {
    const waiters = this.#waiters.get(record.id);
    for (const waiter of waiters ?? []) {
      if (condition !== 'removed' && waiter.condition !== condition) continue;
      waiters?.delete(waiter);
      waiter.resolve(record);
    }
    if (waiters?.size === 0) this.#waiters.delete(record.id);
  }
}
