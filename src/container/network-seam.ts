// What the containers' life cycle needs of networks.

import type { ContainerRecord, EndpointRecord, PortBinding } from '../store/index.js';

export interface ConnectedNetwork {
  /** `host`, `none`, or the path of a network namespace. */
  readonly netns: string;
  readonly endpoints: readonly EndpointRecord[];
  readonly ports: Readonly<Record<string, readonly PortBinding[]>>;
  /** Contents of /etc/hosts and /etc/resolv.conf. */
  readonly hosts: string;
  /** Those lines of it that are the names of other containers. */
  readonly peers: readonly string[];
  /** Variables that tell of linked containers. */
  readonly environment: readonly string[];
  readonly resolvConf: string;
}

export interface NetworkSeam {
  /** Errors: EngineError; nothing is left then. */
  setUp(record: ContainerRecord): Promise<ConnectedNetwork>;
  /** Where the container's namespace is pinned; '' when it has none. */
  path(id: string): string;
  /** Variables that tell of linked containers. Errors: 400 when one of them does not run. */
  environment(record: ContainerRecord): readonly string[];
  /** What it is on while it runs, as events name it; nothing for one that is in another container's network. */
  of(record: ContainerRecord): readonly { readonly id: string; readonly name: string; readonly type: string }[];
  /** A container has come to its networks, has left them or has another name: the others learn of it. */
  announce(record: ContainerRecord): void;
  /** Idempotent. */
  tearDown(id: string): Promise<void>;
}
