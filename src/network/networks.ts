// The networks of one engine: the three that always exist (bridge, host, none) and the user's own, each a Linux bridge with a
// subnet. Kept as one JSON file in the engine's directory. Called by endpoints.ts and engine/.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, succeeds } from './command.js';
import { NetworkError } from './network-error.js';
import { DRAFT, replaceFile } from './replace-file.js';
import {
  type Subnet,
  formatAddress,
  formatSubnet,
  freeParts,
  freeSubnet,
  overlaps,
  parseAddress,
  parseRange,
  parseSubnet,
} from './subnets.js';

export interface Network {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  /** Name of the bridge device; '' when it has none. */
  readonly device: string;
  /** `172.17.0.0/16`; '' when it has none. */
  readonly subnet: string;
  readonly gateway: string;
  /** The part of the subnet that containers get addresses from; all of it when absent. */
  readonly range?: string;
  /** Addresses that no container gets, by whatever they are called. */
  readonly reserved?: Readonly<Record<string, string>>;
  /** No way out of it. */
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Kept and shown; no address goes by them. */
  readonly ipamOptions?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly created: number;
}

export interface NewNetwork {
  readonly name: string;
  readonly driver?: string;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly range?: string;
  readonly reserved?: Readonly<Record<string, string>>;
  readonly internal?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
  readonly ipamOptions?: Readonly<Record<string, string>>;
}

export const PREDEFINED: readonly string[] = ['bridge', 'host', 'none'];

/** What plugins call it; they keep its addresses in a directory of that name, and take no other names. */
export function cniName({ name, id }: Network): string {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) ? name : id;
}

function newId(): string {
  return randomBytes(32).toString('hex');
}

export class Networks {
  #networks: Network[] = [];
  /** Whose bridges are being taken away. */
  readonly #going = new Set<Network>();
  readonly #file: string;

  constructor(private readonly directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#file = join(directory, 'networks.json');
    rmSync(this.#file + DRAFT, { force: true });
    try {
      this.#networks = JSON.parse(readFileSync(this.#file, 'utf8')) as Network[];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#save([this.#plain('host', 'host'), this.#plain('none', 'null')]);
    }
  }

  /** Those that have been made. */
  all(): readonly Network[] {
    return this.#networks;
  }

  /** The default bridge is made when it is first looked at: a host without containers keeps its addresses. */
  list(): readonly Network[] {
    if (!this.#networks.some(({ name }) => name === 'bridge')) this.#add({ name: 'bridge' });
    return this.#networks;
  }

  /** By name, id or the beginning of an id. Errors: NetworkError. */
  find(reference: string): Network {
    const all = reference === 'host' || reference === 'none' ? this.#networks : this.list();
    const found = all.find(({ name, id }) => name === reference || id === reference);
    const byPrefix = /^[0-9a-f]{3,}$/.test(reference) ? all.filter(({ id }) => id.startsWith(reference)) : [];
    if (!found && byPrefix.length > 1)
      throw new NetworkError('invalid', `network ${reference} is ambiguous (${byPrefix.length} matches found on ID prefix)`);
    const network = found ?? byPrefix[0];
    if (!network) throw new NetworkError('not found', `network ${reference} not found`);
    return network;
  }

  /** Errors: NetworkError. */
  create(asked: NewNetwork): Network {
    if (asked.name.trim() === '') throw new NetworkError('invalid', `invalid name: ${asked.name}`);
    if (this.list().some(({ name }) => name === asked.name)) {
      throw new NetworkError('conflict', `network with name ${asked.name} already exists`);
    }
    const driver = asked.driver || 'bridge';
    if (driver !== 'bridge')
      throw new NetworkError('not found', `could not find plugin ${driver} in v1 plugin registry: plugin not found`);
    return this.#add(asked);
  }

  /** Takes it and its bridge away. Errors: NetworkError for one that always exists. */
  async remove(network: Network): Promise<void> {
    if (PREDEFINED.includes(network.name)) {
      throw new NetworkError('forbidden', `${network.name} is a pre-defined network and cannot be removed`);
    }
    this.mustBeThere(network);
    this.#going.add(network);
    try {
      await this.takeDown(network);
      rmSync(join(this.directory, 'ipam', cniName(network)), { recursive: true, force: true });
      this.#save(this.#networks.filter((each) => each !== network));
    } finally {
      this.#going.delete(network);
    }
  }

  /** Errors: NetworkError for one that is gone or going. */
  mustBeThere(network: Network): void {
    if (this.#networks.includes(network) && !this.#going.has(network)) return;
    throw new NetworkError('not found', `network ${network.name} not found`);
  }

  /** Its bridge and its rules, if they are there. */
  async takeDown(network: Network): Promise<void> {
    if (network.device === '') return;
    for (const rule of this.#rules(network)) {
      while (await succeeds('iptables', '-w', ...rule('-D'))) continue;
    }
    await succeeds('ip', 'link', 'delete', network.device);
  }

  /** The rules by which containers reach what is outside; once for each network and boot. */
  async ensureRules(network: Network): Promise<void> {
    for (const rule of this.#rules(network)) {
      if (!(await succeeds('iptables', '-w', ...rule('-C')))) await run('iptables', '-w', ...rule('-A'));
    }
  }

  #rules({ subnet, device, internal, id }: Network): ((verb: string) => string[])[] {
    const comment = ['-m', 'comment', '--comment', `lamina ${id.slice(0, 12)}`];
    if (internal) return [(verb) => [verb, 'FORWARD', '-i', device, '!', '-o', device, ...comment, '-j', 'DROP']];
    return [
      (verb) => ['-t', 'nat', verb, 'POSTROUTING', '-s', subnet, '!', '-o', device, ...comment, '-j', 'MASQUERADE'],
      (verb) => [verb, 'FORWARD', '-o', device, ...comment, '-j', 'ACCEPT'],
      (verb) => [verb, 'FORWARD', '-i', device, ...comment, '-j', 'ACCEPT'],
    ];
  }

  #plain(name: string, driver: 'host' | 'null'): Network {
    const none = { device: '', subnet: '', gateway: '', internal: false, labels: {}, options: {} };
    return { id: newId(), name, driver, ...none, created: Date.now() };
  }

  #add(asked: NewNetwork): Network {
    const used = this.#networks.filter(({ subnet }) => subnet !== '').map(({ subnet }) => parseSubnet(subnet));
    const subnet = asked.subnet ? parseSubnet(asked.subnet) : freeSubnet(used);
    if (used.some((other) => overlaps(subnet, other))) {
      throw new NetworkError('forbidden', `invalid pool request: Pool overlaps with other one on this address space`);
    }
    const id = newId();
    const network: Network = {
      id,
      name: asked.name,
      driver: 'bridge',
      device: `lm-${id.slice(0, 12)}`,
      subnet: formatSubnet(subnet),
      gateway: asked.gateway ? checkGateway(asked.gateway, subnet) : formatAddress(subnet.base + 1),
      ...checkShare(asked, subnet),
      internal: asked.internal ?? false,
      labels: asked.labels ?? {},
      options: asked.options ?? {},
      ...(asked.ipamOptions ? { ipamOptions: asked.ipamOptions } : {}),
      created: Date.now(),
    };
    this.#save([...this.#networks, network]);
    return network;
  }

  #save(networks: Network[]): void {
    replaceFile(this.#file, JSON.stringify(networks), true);
    this.#networks = networks;
  }
}

/** What of the subnet is given out. Errors: NetworkError when that is nothing, or not of the subnet. */
function checkShare({ range, reserved = {} }: NewNetwork, subnet: Subnet): Pick<Network, 'range' | 'reserved'> {
  for (const address of Object.values(reserved)) {
    const number = parseAddress(address);
    if (number === undefined) throw new NetworkError('invalid', `invalid auxiliary address ${address}: invalid address`);
    if (!overlaps({ base: number, prefix: 32 }, subnet)) {
      const why = `parent subnet ${formatSubnet(subnet)} doesn't contain this address`;
      throw new NetworkError('invalid', `invalid auxiliary address ${address}: ${why}`);
    }
  }
  const share = {
    ...(range ? { range: formatSubnet(parseRange(range, subnet)) } : {}),
    ...(Object.keys(reserved).length > 0 ? { reserved } : {}),
  };
  const all = { subnet: formatSubnet(subnet), ...share };
  if (shares(all).length === 0) throw new NetworkError('invalid', 'no available IPv4 addresses on this network');
  return share;
}

/** First and last addresses of the parts that containers get theirs from. */
export function shares({ subnet, range, reserved = {} }: Pick<Network, 'subnet' | 'range' | 'reserved'>): [string, string][] {
  const whole = parseSubnet(subnet);
  const numbers = Object.values(reserved).flatMap((address) => parseAddress(address) ?? []);
  const parts = freeParts(range === undefined ? whole : parseRange(range, whole), whole, numbers);
  return parts.map(({ first, last }) => [formatAddress(first), formatAddress(last)]);
}

function checkGateway(text: string, subnet: Subnet): string {
  const address = parseAddress(text);
  if (address !== undefined && address > subnet.base && address < subnet.base + 2 ** (32 - subnet.prefix) - 1) return text;
  throw new NetworkError('invalid', `no matching subnet for gateway ${text}`);
}
