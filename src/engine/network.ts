// The seam between containers and networks: what a container's record asks, in the words of network/.

import type { NetworkSeam, ConnectedNetwork } from '../container/network-seam.js';
import { badParameter, EngineError } from '../container/errors.js';
import { isUp } from '../container/state.js';
import type { Registry } from '../container/registry.js';
import { type Endpoint, Endpoints, mustBeRoot } from '../network/endpoints.js';
import { linkEntries, linkEnvironment, linksOf } from './links.js';
import { rewritePeers } from '../container/hosts-peers.js';
import { type HostEntry, hostLines, hostsFile, resolvConf } from '../network/name-files.js';
import { type Network, Networks } from '../network/networks.js';
import { ANY_IP, type PublishedPort } from '../network/ports.js';
import type { ContainerRecord, EndpointRecord, NetworkJoin, PortBinding } from '../store/index.js';

/** What `-p` and `-P` ask. Errors: 400. */
function publishedPorts(record: ContainerRecord): PublishedPort[] {
  const { PortBindings: bindings, PublishAllPorts: all } = record.hostConfig;
  const asked = Object.entries(bindings ?? {}).flatMap(([port, bound]) =>
    (bound ?? []).map(({ HostIp: ip, HostPort: host }) => {
      const hostPort = Number((host ?? '').split('-')[0] || 0);
      if (!Number.isInteger(hostPort) || hostPort > 65535)
        throw badParameter(`invalid port specification: ${JSON.stringify(host)}`);
      return { port: port.includes('/') ? port : `${port}/tcp`, hostIp: ip || ANY_IP, hostPort };
    }),
  );
  const named = new Set(asked.map(({ port }) => port));
  const exposed = all ? Object.keys(record.config.ExposedPorts ?? {}).filter((port) => !named.has(port)) : [];
  return [...asked, ...exposed.map((port) => ({ port, hostIp: ANY_IP, hostPort: 0 }))];
}

function bindingsOf(ports: readonly PublishedPort[]): Record<string, PortBinding[]> {
  const bindings: Record<string, PortBinding[]> = {};
  for (const { port, hostIp, hostPort } of ports) {
    (bindings[port] ??= []).push({ HostIp: hostIp, HostPort: String(hostPort) });
  }
  return bindings;
}

/** Networks that are not the container's own. */
function isShared(mode = 'bridge'): boolean {
  return mode === 'host' || mode === 'none' || mode.startsWith('container:');
}

const forbidden = (message: string): EngineError => new EngineError(403, message);

export class EngineNetworks implements NetworkSeam {
  readonly networks: Networks;
  readonly #endpoints: Endpoints;

  constructor(
    directory: string,
    private readonly registry: Registry,
    /** Where a container's files are. */
    private readonly directoryOf: (id: string) => string,
  ) {
    this.networks = new Networks(directory);
    this.#endpoints = new Endpoints(directory, this.networks);
  }

  path(id: string): string {
    return this.#endpoints.path(id);
  }

  of(record: ContainerRecord): { id: string; name: string; type: string }[] {
    const names = new Set(record.networks.map(({ name }) => name));
    return this.networks.all().flatMap(({ id, name, driver }) => (names.has(name) ? [{ id, name, type: driver }] : []));
  }

  async setUp(record: ContainerRecord): Promise<ConnectedNetwork> {
    const mode = record.hostConfig.NetworkMode ?? 'bridge';
    if (mode === 'host') return this.#plain(record, 'host');
    if (mode === 'none') return this.#plain(record, 'none');
    if (mode.startsWith('container:')) return this.#shared(record, mode.slice('container:'.length));
    mustBeRoot();
    const { endpoints, ports } = await this.#endpoints.setUp({
      id: record.id,
      name: record.name,
      networks: record.networks.map(({ name, ip, mac }) => ({
        network: this.networks.find(name),
        ...(ip === undefined ? {} : { ip }),
        ...(mac === undefined ? {} : { mac }),
      })),
      ports: publishedPorts(record),
    });
    const joined = endpoints.map((endpoint) => this.#recordOf(record, endpoint));
    return { netns: this.path(record.id), endpoints: joined, ports: bindingsOf(ports), ...this.#files(record, joined, true) };
  }

  async tearDown(id: string): Promise<void> {
    await this.#endpoints.tearDown(id);
  }

  /** Puts a container on one more network, at once when it runs. Errors: EngineError, NetworkError. */
  async connect(record: ContainerRecord, network: Network, join: NetworkJoin): Promise<void> {
    if (isShared(record.hostConfig.NetworkMode) || isShared(network.name))
      throw badParameter(
        `container ${record.name} cannot be connected to ${network.name}: its network is ${record.hostConfig.NetworkMode ?? ''}`,
      );
    if (record.networks.some(({ name }) => name === network.name))
      throw forbidden(`endpoint with name ${record.name} already exists in network ${network.name}`);
    const networks = [...record.networks, join];
    const endpoints = isUp(record) ? [await this.#endpoints.connect(record.id, network, join)] : [];
    const added = endpoints.map((endpoint) => ({ ...endpoint, aliases: join.aliases }));
    await this.registry.update(record.id, { networks, endpoints: [...record.endpoints, ...added] });
    this.#rewrite([network.id]);
  }

  /** Errors: EngineError, NetworkError. */
  async disconnect(record: ContainerRecord, network: Network): Promise<void> {
    const networks = record.networks.filter(({ name }) => name !== network.name);
    if (networks.length === record.networks.length)
      throw forbidden(`container ${record.id} is not connected to network ${network.name}`);
    if (isUp(record)) await this.#endpoints.disconnect(record.id, network);
    const endpoints = record.endpoints.filter(({ networkId }) => networkId !== network.id);
    const left = await this.registry.update(record.id, { networks, endpoints });
    this.#rewrite([network.id]);
    if (left) this.#rewriteOne(left);
  }

  environment(record: ContainerRecord): string[] {
    return linkEnvironment(record, this.registry);
  }

  announce(record: ContainerRecord): void {
    // Of one that has ended, the networks that it was on are those that it is to join.
    const named = this.networks.list().filter(({ name }) => record.networks.some((each) => each.name === name));
    this.#rewrite([...new Set([...record.endpoints.map(({ networkId }) => networkId), ...named.map(({ id }) => id)])]);
  }

  /** Tells those who run on these networks who else is there. */
  #rewrite(ids: readonly string[]): void {
    for (const record of this.registry.list()) {
      if (record.endpoints.some(({ networkId }) => ids.includes(networkId))) this.#rewriteOne(record);
    }
  }

  #rewriteOne(record: ContainerRecord): void {
    if (isUp(record)) rewritePeers(this.directoryOf(record.id), hostLines(this.#peers(record, record.endpoints)));
  }

  /** What remains of containers that are not `live` is taken down. */
  async sweep(live: (id: string) => boolean): Promise<void> {
    for (const id of this.#endpoints.ids()) if (!live(id)) await this.#endpoints.tearDown(id);
  }

  /** Containers with an address on a network. */
  membersOf(network: Network): { record: ContainerRecord; endpoint: EndpointRecord }[] {
    return this.registry.list().flatMap((record) => {
      const endpoint = record.endpoints.find(({ networkId }) => networkId === network.id);
      return endpoint ? [{ record, endpoint }] : [];
    });
  }

  /** Containers that are on a network or about to be. */
  usersOf(network: Network): ContainerRecord[] {
    return this.#endpoints.users(network).flatMap((id) => this.registry.get(id) ?? []);
  }

  #recordOf(record: ContainerRecord, endpoint: Endpoint): EndpointRecord {
    const aliases = record.networks.find(({ name }) => name === endpoint.network)?.aliases ?? [];
    return { ...endpoint, aliases };
  }

  #plain(record: ContainerRecord, netns: 'host' | 'none'): ConnectedNetwork {
    return { netns, endpoints: [], ports: {}, ...this.#files(record, [], netns === 'none') };
  }

  /** The namespace of another container that runs. */
  #shared(record: ContainerRecord, reference: string): ConnectedNetwork {
    const other = this.registry.find(reference);
    if (other.id === record.id) throw badParameter('cannot join own network');
    if (!isUp(other)) throw badParameter(`cannot join network of a non running container: ${other.id}`);
    return { netns: `/proc/${other.state.pid}/ns/net`, endpoints: [], ports: {}, ...this.#files(record, other.endpoints, true) };
  }

  #files(
    record: ContainerRecord,
    endpoints: readonly EndpointRecord[],
    isolated: boolean,
  ): { hosts: string; peers: string[]; environment: string[]; resolvConf: string } {
    const { ExtraHosts: extra, Dns: servers, DnsSearch: search, DnsOptions: options } = record.hostConfig;
    const gateway = endpoints[0]?.gateway ?? '127.0.0.1';
    const added = (extra ?? []).map((text): HostEntry => {
      const [, name = '', ip = ''] = /^([^:=]+)[:=](.*)$/.exec(text) ?? [];
      if (name === '' || ip === '') throw badParameter(`bad format for add-host: ${JSON.stringify(text)}`);
      return { ip: ip === 'host-gateway' ? gateway : ip, names: [name] };
    });
    const hostname = record.config.Hostname ?? record.id.slice(0, 12);
    const { Domainname: domain } = record.config;
    const own = endpoints.map(({ ip, network, aliases }): HostEntry => {
      const [short = hostname] = hostname.split('.');
      const names = domain ? [`${hostname}.${domain}`, hostname] : [hostname, short];
      return { ip, names: network === 'bridge' ? names : [...new Set([...names, record.name, ...aliases])] };
    });
    const peers = this.#peers(record, endpoints);
    return {
      hosts: hostsFile([...added, ...own, ...peers], record.hostConfig.NetworkMode === 'host'),
      peers: hostLines(peers),
      environment: this.environment(record),
      resolvConf: resolvConf({ servers: servers ?? [], search: search ?? [], options: options ?? [] }, isolated),
    };
  }

  /** Those linked, and on the user's own networks everyone. */
  #peers(record: ContainerRecord, endpoints: readonly EndpointRecord[]): HostEntry[] {
    const links = linkEntries(
      linksOf(record, this.registry),
      endpoints.map(({ networkId }) => networkId),
    );
    const others = endpoints
      .filter(({ network }) => network !== 'bridge')
      .flatMap(({ network }) => this.membersOf(this.networks.find(network)))
      .filter((member) => member.record.id !== record.id)
      .map(({ record: peer, endpoint: { ip, aliases, network } }) => {
        const names = [peer.name, ...aliases, peer.id.slice(0, 12)];
        return { ip, names: [...names, ...names.map((name) => `${name}.${network}`)] };
      });
    return [...links, ...others];
  }
}
