// What a client asks of a container's place on a network: `EndpointsConfig` of create and of connect.

import { badParameter } from '../container/errors.js';
import type { NetworkJoin } from '../store/index.js';

export interface EndpointConfig {
  readonly Aliases?: readonly string[];
  readonly Links?: readonly string[];
  readonly MacAddress?: string;
  readonly DriverOpts?: Readonly<Record<string, string>>;
  readonly IPAMConfig?: {
    readonly IPv4Address?: string;
    readonly IPv6Address?: string;
    readonly LinkLocalIPs?: readonly string[];
  };
}

/** Errors: 400; what would have to happen and does not is refused. */
export function joinOf(name: string, asked: EndpointConfig, configuredMac?: string): NetworkJoin {
  const { Aliases: aliases = [], Links: links = [], IPAMConfig: ipam = {}, DriverOpts: options = {} } = asked;
  const mac = asked.MacAddress || configuredMac || undefined;
  const ip = ipam.IPv4Address || undefined;
  const refuse = (what: string): never => {
    throw badParameter(`${what} is not supported: networks have IPv4 addresses alone`);
  };
  if (ipam.IPv6Address) refuse('--ip6');
  if ((ipam.LinkLocalIPs ?? []).length > 0) refuse('--link-local-ip');
  const [option] = Object.keys(options);
  if (option !== undefined) throw badParameter(`unknown endpoint driver option ${option}`);
  if (ip !== undefined && name === 'bridge') {
    throw badParameter('user specified IP address is supported on user defined networks only');
  }
  if (aliases.length > 0 && ['bridge', 'host', 'none'].includes(name)) {
    throw badParameter('network-scoped alias is supported only for containers in user defined networks');
  }
  if (mac !== undefined && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)) throw badParameter(`${mac} is not a valid mac address`);
  return {
    name,
    aliases,
    ...(ip === undefined ? {} : { ip }),
    ...(mac === undefined ? {} : { mac }),
    ...(links.length > 0 ? { links } : {}),
  };
}
