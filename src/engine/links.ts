// `--link CONTAINER:ALIAS`: the names that one container alone has for others, and on the default bridge the variables by
// which it knows them. Used by network.ts, at start, and by `rm --link`.

import { basename } from 'node:path';
import { EngineError, badParameter, failure } from '../container/errors.js';
import type { Registry } from '../container/registry.js';
import type { Engine } from './engine.js';
import type { HostEntry } from '../network/name-files.js';
import type { ContainerRecord, HostConfig } from '../store/index.js';

interface Link {
  readonly to: ContainerRecord;
  readonly alias: string;
}

const HOST_LINKS = "conflicting options: host type networking can't be used with links. This would result in undefined behavior";

/** Who is in another container's network is reached by that one's address. Errors: 404; 400 for one on the host's network. */
function networkOwner(record: ContainerRecord, registry: Registry): ContainerRecord {
  const { NetworkMode: mode = '' } = record.hostConfig;
  if (mode === 'host') throw badParameter(HOST_LINKS);
  return mode.startsWith('container:') ? registry.find(mode.slice('container:'.length)) : record;
}

/** Links of a container. Errors: 400. */
export function linksOf(record: Pick<ContainerRecord, 'hostConfig' | 'networks'>, registry: Registry): Link[] {
  const asked = [...(record.hostConfig.Links ?? []), ...record.networks.flatMap(({ links }) => links ?? [])];
  return asked.map((text) => {
    const [name = '', alias] = text.split(':');
    if (name === '') throw badParameter(`bad format for links: ${text}`);
    try {
      return { to: networkOwner(registry.find(name), registry), alias: basename(alias ?? name) };
    } catch (error) {
      if (error instanceof EngineError && error.status === 400) throw error;
      throw badParameter(`could not get container for ${name}: No such container: ${name}`);
    }
  });
}

/**
 * `HostConfig.Links` by id: who is linked to stays so whatever it is called later.
 * Errors: 400 for one that is not there.
 */
export function fixedLinks(hostConfig: HostConfig, registry: Registry): HostConfig {
  if ((hostConfig.Links ?? []).length === 0) return hostConfig;
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

/** Docker's variables of links on the default bridge. Errors: 400 when one of them does not run. */
export function linkEnvironment(record: ContainerRecord, registry: Registry): string[] {
  if ((record.hostConfig.NetworkMode || 'bridge') !== 'bridge') return [];
  return linksOf(record, registry).flatMap(({ to, alias }) => {
    const ip = to.endpoints.find(({ network }) => network === 'bridge')?.ip;
    if (ip === undefined) throw badParameter(`Cannot link to a non running container: /${to.name} AS /${record.name}/${alias}`);
    const prefix = alias.toUpperCase().replace(/-/g, '_');
    const ports = Object.keys(to.config.ExposedPorts ?? {}).sort((a, b) => parseInt(a) - parseInt(b));
    const each = ports.flatMap((key) => {
      const [port = '', protocol = 'tcp'] = key.split('/');
      const name = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
      return [`${name}=${protocol}://${ip}:${port}`, `${name}_ADDR=${ip}`, `${name}_PORT=${port}`, `${name}_PROTO=${protocol}`];
    });
    const [first] = ports;
    const main = first === undefined ? [] : [`${prefix}_PORT=${first.split('/')[1] ?? 'tcp'}://${ip}:${first.split('/')[0]}`];
    const own = (to.config.Env ?? []).filter((entry) => !/^(HOME|PATH)=/.test(entry)).map((entry) => `${prefix}_ENV_${entry}`);
    return [...main, `${prefix}_NAME=/${record.name}/${alias}`, ...each, ...own];
  });
}
