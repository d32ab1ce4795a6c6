// What the parts of the containers' life cycle share: one for each daemon.

import { join } from 'node:path';
import type { XattrScheme } from '../layer/format.js';
import { familiarName } from '../image/index.js';
import type { ContainerRecord, Store } from '../store/index.js';
import { DriverMounts } from './driver-mounts.js';
import { Events } from './events.js';
import type { NetworkSeam } from './network-seam.js';
import type { Registry } from './registry.js';
import { Retries } from './retries.js';
import type { SupervisorClient } from './supervisor-client.js';
import { ownScheme } from '../layer/scheme.js';

export class Context {
  readonly events = new Events();
  readonly drivers: DriverMounts;
  readonly retries: Retries;
  readonly scheme: XattrScheme = ownScheme();

  constructor(
    readonly store: Store,
    /** Directory of bundles and sockets, gone with a reboot. */
    readonly run: string,
    readonly registry: Registry,
    readonly networks: NetworkSeam,
    readonly supervisor: () => Promise<SupervisorClient>,
    readonly log: (message: string) => void,
  ) {
    this.drivers = new DriverMounts(store, log);
    this.retries = new Retries(log);
  }

  get root(): string {
    return this.store.root;
  }

  /** <root>/containers/<id>: upper, work, root (the mountpoint), log, and the engine's files in /etc. */
  directory(id: string): string {
    return join(this.root, 'containers', id);
  }

  /** The OCI bundle. */
  bundle(id: string): string {
    return join(this.run, id);
  }

  logPath(id: string): string {
    return join(this.directory(id), `${id}-json.log`);
  }

  /** That a container has come to its networks or has left them. */
  publishNetworks(action: 'connect' | 'disconnect', record: ContainerRecord): void {
    for (const { id, name, type } of this.networks.of(record))
      this.events.publish('network', action, id, { container: record.id, name, type });
  }

  publish(action: string, record: ContainerRecord, more: Readonly<Record<string, string>> = {}): void {
    const { Image: image = '', Labels: labels } = record.config;
    this.events.publish('container', action, record.id, {
      ...labels,
      image: image.startsWith('sha256:') ? image : familiarName(image),
      name: record.name,
      ...more,
    });
  }
}
