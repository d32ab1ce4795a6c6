// `--link CONTAINER:ALIAS`: the names that one container alone has for others, and on the default bridge the variables by
// which it knows them. Used by network.ts, at start, and by `rm --link`.

import { basename } from 'node:path';
import { EngineError, badParameter, failure } from '../container/errors.js';
import { networkOwner } from '../container/namespaces.js';
import type { Registry } from '../container/registry.js';
import type { Engine } from './engine.js';
import type { HostEntry } from '../network/name-files.js';
import { PREDEFINED } from '../network/networks.js';
import type { ContainerRecord, HostConfig } from '../store/index.js';

interface Link {
  readonly to: ContainerRecord;
  readonly alias: string;
}

const HOST_LINKS = "conflicting options: host type networking can't be used with links. This would result in undefined behavior";

/** undefined when it is to nobody. Errors: 400. */
function linkOf(text: string, registry: Registry): Link | undefined {
  const [name = '', alias] = text.split(':');
  if (name === '') throw badParameter(`bad format for links: ${text}`);
  try {
    const to = registry.find(name);
    if (to.hostConfig.NetworkMode === 'host') throw badParameter(HOST_LINKS);
    // Who is in another container's network is reached by that one's address.
    const owner = networkOwner(to, (reference) => registry.find(reference));
    return { to: owner, alias: basename(alias ?? name) };
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return undefined;
    throw error;
  }
}

/** On a network of the user's own links wait for their containers, and Docker's client says them twice. */
const isOwnNetwork = (mode = ''): boolean => !PREDEFINED.includes(mode || 'bridge') && !mode.startsWith('container:');

/** Links of a container; on the user's own networks to those that are there by now. Errors: 400. */
export function linksOf(record: Pick<ContainerRecord, 'hostConfig' | 'networks'>, registry: Registry): Link[] {
  const { Links: asked, NetworkMode: mode } = record.hostConfig;
  const fixed = (isOwnNetwork(mode) ? [] : (asked ?? [])).map((text) => {
    const link = linkOf(text, registry);
    if (link) return link;
    const [name = ''] = text.split(':');
    throw badParameter(`could not get container for ${name}: No such container: ${name}`);
  });
  const waiting = [...(isOwnNetwork(mode) ? (asked ?? []) : []), ...record.networks.flatMap(({ links = [] }) => links)];
  return [...fixed, ...[...new Set(waiting)].flatMap((text) => linkOf(text, registry) ?? [])];
}

/**
 * `HostConfig.Links` by id: who is linked to stays so whatever it is called later.
 * Errors: 400 for one that is not there.
 */
export function fixedLinks(hostConfig: HostConfig, registry: Registry): HostConfig {
  if ((hostConfig.Links ?? []).length === 0 || isOwnNetwork(hostConfig.NetworkMode)) return hostConfig;
  const links = linksOf({ hostConfig, networks: [] }, registry);
  return { ...hostConfig, Links: links.map(({ to, alias }) => `${to.id}:${alias}`) };
}

/** Links that `inspect` shows, `/CONTAINER:/OWN NAME/ALIAS`; those to containers that are gone are not among them. */
export function shownLinks({ name, hostConfig }: ContainerRecord, registry: Registry): string[] {
  return (hostConfig.Links ?? []).flatMap((text) => {
    const [to = '', alias = to] = text.split(':');
    const found = registry.get(to);
    return found ? [`/${found.name}:/${name}/${alias}`] : [];
  });
}

/** The names that containers have by the links of others, `/OTHER/ALIAS`, by id. */
export function namesByLinks(registry: Registry): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const { name, hostConfig } of registry.list()) {
    for (const text of hostConfig.Links ?? []) {
      const [to = '', alias = to] = text.split(':');
      names.set(to, [...(names.get(to) ?? []), `/${name}/${alias}`]);
    }
  }
  return names;
}

/**
 * Takes away the link by which a container is called OTHER/ALIAS.
 * Errors: 404 when it is not; 500, Docker's words, for the container's own name.
 */
export async function removeLink({ context: { registry }, networks }: Engine, reference: string): Promise<void> {
  const { id } = registry.find(reference);
  const [name = '', alias] = reference.replace(/^\//, '').split('/');
  if (alias === undefined) throw failure('Conflict, cannot remove the default link name of the container');
  const { id: from } = registry.find(name);
  await registry.exclusive(from, async () => {
    const { hostConfig } = registry.find(from);
    const left = (hostConfig.Links ?? []).filter((text) => text !== `${id}:${alias}`);
    const changed = await registry.update(from, { hostConfig: { ...hostConfig, Links: left } });
    if (changed) networks.announce(changed);
  });
}

/** Addresses of those linked that run and are on one of this container's networks. */
export function linkEntries(links: readonly Link[], networks: readonly string[]): HostEntry[] {
  return links.flatMap(({ to, alias }) => {
    const endpoint = to.endpoints.find(({ networkId }) => networks.includes(networkId));
    return endpoint ? [{ ip: endpoint.ip, names: [alias, to.config.Hostname || to.id.slice(0, 12), to.name] }] : [];
  });
}

interface Port {
  readonly number: number;
  readonly protocol: string;
}

/** Of one number tcp comes first. */
function portsOf({ config }: ContainerRecord): Port[] {
  const all = Object.keys(config.ExposedPorts ?? {}).map((key): Port => {
    const [number = '', protocol = 'tcp'] = key.split('/');
    return { number: Number(number), protocol };
  });
  return all.sort((a, b) => a.number - b.number || Number(a.protocol !== 'tcp') - Number(b.protocol !== 'tcp'));
}

/** Ports whose numbers follow each other, from the first on: what is said of them as one. */
function runsOf(ports: readonly Port[]): (readonly [first: Port, last: Port])[] {
  const runs: [Port, Port][] = [];
  for (const port of ports) {
    const run = runs.at(-1);
    if (run && port.number <= run[1].number + 1) run[1] = port;
    else runs.push([port, port]);
  }
  return runs.filter(([first, last]) => first !== last);
}

/** Docker's variables of links on the default bridge. Errors: 400 when one of them does not run. */
export function linkEnvironment(record: ContainerRecord, registry: Registry): string[] {
  if ((record.hostConfig.NetworkMode || 'bridge') !== 'bridge') return [];
  return linksOf(record, registry).flatMap(({ to, alias }) => {
    const ip = to.endpoints.find(({ network }) => network === 'bridge')?.ip;
    if (ip === undefined) throw badParameter(`Cannot link to a non running container: /${to.name} AS /${record.name}/${alias}`);
    const prefix = alias.toUpperCase().replace(/-/g, '_');
    const ports = portsOf(to);
    const nameOf = ({ number, protocol }: Port): string => `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
    const urlOf = ({ number, protocol }: Port): string => `${protocol}://${ip}:${number}`;
    const common = (port: Port): string[] => [`${nameOf(port)}_ADDR=${ip}`, `${nameOf(port)}_PROTO=${port.protocol}`];
    const runs = runsOf(ports).flatMap(([first, last]) => {
      const end = `${prefix}_PORT_${first.number}_${last.protocol.toUpperCase()}`;
      const begin = [`${nameOf(first)}_START=${urlOf(first)}`, `${nameOf(first)}_PORT_START=${first.number}`];
      return [...begin, ...common(first), `${end}_END=${urlOf(last)}`, `${end}_PORT_END=${last.number}`];
    });
    const each = ports.flatMap((port) => [
      `${nameOf(port)}=${urlOf(port)}`,
      ...common(port),
      `${nameOf(port)}_PORT=${port.number}`,
    ]);
    const [first] = ports;
    const main = first === undefined ? [] : [`${prefix}_PORT=${urlOf(first)}`];
    const own = (to.config.Env ?? []).filter((entry) => !/^(HOME|PATH)=/.test(entry)).map((entry) => `${prefix}_ENV_${entry}`);
    return [...new Set([...main, ...runs, ...each, `${prefix}_NAME=/${record.name}/${alias}`, ...own])];
  });
}
