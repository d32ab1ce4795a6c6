// `--link CONTAINER:ALIAS`: the names that one container alone has for others, and on the default bridge the variables by
// which it knows them. Used by network.ts and at start.

import { basename } from 'node:path';
import { badParameter } from '../container/errors.js';
import type { Registry } from '../container/registry.js';
import type { HostEntry } from '../network/name-files.js';
import type { ContainerRecord } from '../store/index.js';

interface Link {
  readonly to: ContainerRecord;
  readonly alias: string;
}

/** Links of a container. Errors: 400. */
export function linksOf(record: ContainerRecord, registry: Registry): Link[] {
  const asked = [...(record.hostConfig.Links ?? []), ...record.networks.flatMap(({ links }) => links ?? [])];
  return asked.map((text) => {
    const [name = '', alias] = text.split(':');
    if (name === '') throw badParameter(`bad format for links: ${text}`);
    try {
      return { to: registry.find(name), alias: basename(alias ?? name) };
    } catch {
      throw badParameter(`could not get container for ${name}: No such container: ${name}`);
    }
  });
}

/** Addresses of those linked that run and are on one of this container's networks. */
export function linkEntries(links: readonly Link[], networks: readonly string[]): HostEntry[] {
  return links.flatMap(({ to, alias }) => {
    const endpoint = to.endpoints.find(({ networkId }) => networks.includes(networkId));
    return endpoint ? [{ ip: endpoint.ip, names: [alias, to.id.slice(0, 12), to.name] }] : [];
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
