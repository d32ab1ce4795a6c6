// Containers on networks: a pinned network namespace for each, an interface on each of its networks, published ports. What
// is set up is on disk before it is, so that it can be taken down after any crash.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sys } from '../native/load.js';
import { MNT_DETACH } from '../native/syscalls.js';
import { CNI_VERSION, runPlugin, type CniResult } from './cni.js';
import { run } from './command.js';
import { NetworkError } from './network-error.js';
import { type Network, type Networks, cniName, shares } from './networks.js';
import { type PublishedPort, choosePorts, portMappings } from './ports.js';
import { DRAFT, replaceFile } from './replace-file.js';

export interface EndpointRequest {
  readonly id: string;
  /** Shown when a port cannot be had. */
  readonly name: string;
  readonly networks: readonly { readonly network: Network; readonly ip?: string; readonly mac?: string }[];
  readonly ports: readonly PublishedPort[];
}

export interface Endpoint {
  readonly network: string;
  readonly networkId: string;
  readonly ip: string;
  readonly prefix: number;
  readonly gateway: string;
  readonly mac: string;
}

/** What is on disk of a container's namespace. */
interface State {
  readonly networks: readonly { readonly name: string; readonly interface: string; readonly configuration: object }[];
  readonly ports: readonly PublishedPort[];
  /** Configuration of the plugin that has published them. */
  readonly portmap: object | undefined;
}

/** One network that a container joins. */
interface Step {
  readonly network: Network;
  readonly interface: string;
  readonly configuration: { type: string };
}

/** For the plugin `host-local`. An address that is asked for may be any of the subnet. */
function rangesFor(network: Network, ip: string | undefined): object[] {
  const { subnet, gateway, range, reserved } = network;
  if (ip !== undefined || (range === undefined && reserved === undefined)) return [{ subnet, gateway }];
  return shares(network).map(([rangeStart, rangeEnd]) => ({ subnet, gateway, rangeStart, rangeEnd }));
}

/** For the plugin `bridge`, with the addresses that were asked for. */
function configurationFor(
  directory: string,
  network: Network,
  isDefault: boolean,
  { ip, mac }: { readonly ip?: string; readonly mac?: string },
): { type: string } & Record<string, unknown> {
  return {
    name: cniName(network),
    type: 'bridge',
    bridge: network.device,
    isGateway: true,
    isDefaultGateway: isDefault && !network.internal,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      dataDir: join(directory, 'ipam'),
      ranges: [rangesFor(network, ip)],
    },
    ...(ip === undefined && mac === undefined ? {} : { args: { cni: { ...(ip === undefined ? {} : { ips: [ip] }), mac } } }),
  };
}

function endpointOf(network: Network, result: CniResult): Endpoint {
  const [address = '', prefix = '0'] = (result.ips?.[0]?.address ?? '').split('/');
  const inside = result.interfaces?.find(({ sandbox }) => sandbox);
  return {
    network: network.name,
    networkId: network.id,
    ip: address,
    prefix: Number(prefix),
    gateway: result.ips?.[0]?.gateway ?? network.gateway,
    mac: inside?.mac ?? '',
  };
}

export class Endpoints {
  /** Networks whose rules are known to be there. */
  readonly #ruled = new Set<string>();
  /** One choice of ports after the other, so that what is chosen is on disk before the next looks. */
  #choices: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly directory: string,
    private readonly networks: Networks,
  ) {
    for (const name of ['netns', 'endpoints', 'ipam']) mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
    // What a killed daemon was about to say, of one that runs too.
    const endpoints = join(directory, 'endpoints');
    for (const name of readdirSync(endpoints)) if (name.endsWith(DRAFT)) rmSync(join(endpoints, name));
  }

  /** Where a container's namespace is pinned. */
  path(id: string): string {
    return join(this.directory, 'netns', id);
  }

  /** Makes the namespace and everything on it. Errors: NetworkError; nothing is left then. */
  async setUp(request: EndpointRequest): Promise<{ endpoints: Endpoint[]; ports: readonly PublishedPort[] }> {
    const { id } = request;
    try {
      const steps = request.networks.map(({ network, ...asked }, i) => ({
        network,
        interface: `eth${i}`,
        configuration: configurationFor(this.directory, network, i === 0, asked),
      }));
      // On an internal network nothing is published, as in Docker.
      const outward = steps.find(({ network }) => !network.internal);
      const state = await this.#claim({ ...request, ports: outward || steps.length === 0 ? request.ports : [] }, steps);
      const { ports } = state;
      await this.#makeNamespace(id);
      const endpoints: Endpoint[] = [];
      for (const step of steps) {
        const result = await this.#join(id, step);
        endpoints.push(endpointOf(step.network, result));
        if (ports.length > 0 && step === outward) await this.#publish(id, state, step, result);
      }
      return { endpoints, ports };
    } catch (error) {
      await this.tearDown(id);
      throw error;
    }
  }

  /** Chooses the ports, and has on disk who is to have them and be on the networks. Errors: NetworkError. */
  #claim(request: EndpointRequest, steps: readonly Step[]): Promise<Omit<State, 'portmap'>> {
    const { id, name } = request;
    const claimed = this.#choices.then(async () => {
      const taken = this.#states().flatMap((state) => state.ports);
      const ports = await choosePorts(request.ports, taken, `${name} (${id})`);
      for (const { network } of steps) this.networks.mustBeThere(network);
      const state = { networks: steps.map(({ network, ...rest }) => ({ name: network.name, ...rest })), ports };
      this.#save(id, { ...state, portmap: undefined });
      return state;
    });
    this.#choices = claimed.catch(() => undefined);
    return claimed;
  }

  /** Ids of containers that are on a network or on their way there. */
  users(network: Network): string[] {
    return this.ids().filter((id) => this.#load(id)?.networks.some(({ name }) => name === network.name));
  }

  /** Puts a container that has a namespace on one more network. Errors: NetworkError. */
  async connect(id: string, network: Network, asked: { readonly ip?: string; readonly mac?: string }): Promise<Endpoint> {
    this.networks.mustBeThere(network);
    const state = this.#load(id) ?? { networks: [], ports: [], portmap: undefined };
    const taken = new Set(state.networks.map((each) => each.interface));
    const name = Array.from({ length: taken.size + 1 }, (_, i) => `eth${i}`).find((each) => !taken.has(each)) ?? '';
    const step = {
      network,
      interface: name,
      configuration: configurationFor(this.directory, network, taken.size === 0, asked),
    };
    this.#save(id, {
      ...state,
      networks: [...state.networks, { name: network.name, interface: name, configuration: step.configuration }],
    });
    try {
      return endpointOf(network, await this.#join(id, step));
    } catch (error) {
      this.#save(id, state);
      throw error;
    }
  }

  /** Takes a container off a network. */
  async disconnect(id: string, network: Network): Promise<void> {
    const state = this.#load(id);
    const found = state?.networks.find(({ name }) => name === network.name);
    if (!state || !found) return;
    const configuration = found.configuration as { type: string };
    await runPlugin(configuration, { command: 'DEL', container: id, netns: this.path(id), interface: found.interface });
    this.#save(id, { ...state, networks: state.networks.filter((each) => each !== found) });
  }

  /** Takes down what a container has; one that has nothing is no error. */
  async tearDown(id: string): Promise<void> {
    const state = this.#load(id);
    const netns = this.path(id);
    const attempt = (configuration: object, name: string): Promise<unknown> =>
      runPlugin(configuration as { type: string }, { command: 'DEL', container: id, netns, interface: name }).catch(
        () => undefined,
      );
    if (state?.portmap) await attempt(state.portmap, 'eth0');
    for (const each of state?.networks ?? []) await attempt(each.configuration, each.interface);
    sys.umount2(Buffer.from(netns).toString('latin1'), MNT_DETACH);
    rmSync(netns, { force: true });
    rmSync(this.#file(id), { force: true });
  }

  /** Ids of containers that have something here. */
  ids(): string[] {
    const names = ['endpoints', 'netns'].flatMap((name) => readdirSync(join(this.directory, name)));
    return [...new Set(names.map((name) => name.replace(/\.json$/, '')))];
  }

  #file(id: string): string {
    return join(this.directory, 'endpoints', `${id}.json`);
  }

  #save(id: string, state: State): void {
    replaceFile(this.#file(id), JSON.stringify(state), false);
  }

  #load(id: string): State | undefined {
    try {
      return JSON.parse(readFileSync(this.#file(id), 'utf8')) as State;
    } catch {
      return undefined;
    }
  }

  #states(): State[] {
    return this.ids().flatMap((id) => this.#load(id) ?? []);
  }

  /** unshare(1) pins it, and ip(8) inside it brings the loopback up: one short process. */
  async #makeNamespace(id: string): Promise<void> {
    const path = this.path(id);
    writeFileSync(path, '', { mode: 0o444 });
    await run('unshare', `--net=${path}`, 'ip', 'link', 'set', 'lo', 'up');
  }

  async #join(id: string, step: Step): Promise<CniResult> {
    const call = { command: 'ADD', container: id, netns: this.path(id), interface: step.interface } as const;
    const [result] = await Promise.all([runPlugin(step.configuration, call), this.#ensureRules(step.network)]);
    return result;
  }

  async #ensureRules(network: Network): Promise<void> {
    if (this.#ruled.has(network.id)) return;
    await this.networks.ensureRules(network);
    this.#ruled.add(network.id);
  }

  async #publish(id: string, state: Omit<State, 'portmap'>, { network, ...step }: Step, result: CniResult): Promise<void> {
    const portmap = {
      name: cniName(network),
      type: 'portmap',
      capabilities: { portMappings: true },
      snat: true,
      runtimeConfig: { portMappings: portMappings(state.ports) },
    };
    this.#save(id, { ...state, portmap });
    const prevResult = { cniVersion: CNI_VERSION, ...result };
    await runPlugin({ ...portmap, prevResult } as { type: string }, {
      command: 'ADD',
      container: id,
      netns: this.path(id),
      interface: step.interface,
    });
  }
}

/** Nobody but root can make bridges. Errors: NetworkError. */
export function mustBeRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new NetworkError('failed', 'a bridge network needs root: use --network none or --network host');
}
