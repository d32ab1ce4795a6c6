// `-p` and `--expose`: Docker's grammar of ports, `[IP:][HOSTPORT[-END]:]PORT[-END][/PROTOCOL]`.

import { isIP } from 'node:net';

/** A port specification that is none; Docker's words. */
export class PortError extends Error {
  override readonly name = 'VolumeSpecError';
}

interface Range {
  readonly first: number;
  readonly last: number;
}

function parseRange(text: string, what: string): Range {
  const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last ?? first) };
  if (first === undefined || range.first > 65535 || range.last > 65535) throw new PortError(`invalid ${what}: ${text}`);
  if (range.last < range.first) throw new PortError(`invalid range specified for port: ${text}`);
  return range;
}

interface Parsed {
  readonly ip: string;
  readonly host: Range | undefined;
  readonly container: Range;
  readonly protocol: string;
}

function parseSpec(text: string): Parsed {
  const [rest = '', protocol = 'tcp', ...more] = text.split('/');
  if (more.length > 0 || !['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase()))
    throw new PortError(`invalid proto: ${protocol}`);
  const bracketed = /^\[([0-9a-fA-F:.]+)\]:(.*)$/.exec(rest);
  const parts = bracketed ? [bracketed[1] ?? '', ...(bracketed[2] ?? '').split(':')] : rest.split(':');
  const container = parts.at(-1) ?? '';
  const host = parts.length > 1 ? parts.at(-2) : undefined;
  const ip = parts.length > 2 ? parts.slice(0, -2).join(':') : '';
  if (container === '') throw new PortError(`no port specified: ${text}<empty>`);
  if (ip !== '' && isIP(ip) === 0) throw new PortError(`invalid IP address: ${ip}`);
  return {
    ip,
    host: host ? parseRange(host, 'hostPort') : undefined,
    container: parseRange(container, 'containerPort'),
    protocol: protocol.toLowerCase(),
  };
}

export interface PortRequest {
  /** `80/tcp`, as in `ExposedPorts`. */
  readonly exposed: Record<string, object>;
  readonly bindings: Record<string, { HostIp: string; HostPort: string }[]>;
}

/** Errors: PortError. */
export function parsePorts(published: readonly string[], exposed: readonly string[]): PortRequest {
  const out: PortRequest = { exposed: {}, bindings: {} };
  for (const text of exposed) {
    if (text.includes(':')) throw new PortError(`invalid port format for --expose: ${text}`);
    const { container, protocol } = parseSpec(text);
    for (let port = container.first; port <= container.last; port++) out.exposed[`${port}/${protocol}`] = {};
  }
  for (const text of published) {
    const { ip, host, container, protocol } = parseSpec(text);
    const length = container.last - container.first;
    if (host && host.last - host.first !== length && length > 0)
      throw new PortError(`invalid ranges specified for container and host Ports: ${text}`);
    for (let i = 0; i <= length; i++) {
      const key = `${container.first + i}/${protocol}`;
      const many = host && length === 0 && host.last > host.first;
      const hostPort = host ? (many ? `${host.first}-${host.last}` : String(host.first + i)) : '';
      out.exposed[key] = {};
      (out.bindings[key] ??= []).push({ HostIp: ip, HostPort: hostPort });
    }
  }
  return out;
}
