// The files by which a container finds names: /etc/hosts and /etc/resolv.conf, as Docker writes them.

import { readFileSync } from 'node:fs';

export interface HostEntry {
  readonly ip: string;
  readonly names: readonly string[];
}

const LOCAL: readonly string[] = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'ff00::\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];

/** Entries as lines of /etc/hosts. */
export function hostLines(entries: readonly HostEntry[]): string[] {
  return entries.map(({ ip, names }) => `${ip}\t${[...new Set(names)].join(' ')}`);
}

/** The host's own, for who is on its network. */
function linesOfHost(): readonly string[] {
  try {
    return readFileSync('/etc/hosts', 'utf8').replace(/\n$/, '').split('\n');
  } catch {
    return LOCAL;
  }
}

export function hostsFile(entries: readonly HostEntry[], onHost = false): string {
  return `${[...(onHost ? linesOfHost() : LOCAL), ...hostLines(entries)].join('\n')}\n`;
}

export interface Resolver {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** Servers used when the host's are all on its loopback, which a container cannot reach; Docker's choice. */
const PUBLIC: readonly string[] = ['8.8.8.8', '8.8.4.4'];

function hostResolver(): Resolver {
  let text = '';
  try {
    text = readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    // A host without one.
  }
  const words = (keyword: string): string[] =>
    text.split('\n').flatMap((line) => {
      const [first, ...rest] = line.trim().split(/\s+/);
      return first === keyword ? rest : [];
    });
  return { servers: words('nameserver'), search: words('search'), options: words('options') };
}

/**
 * @param asked what the user wants instead of the host's, part by part
 * @param isolated the container has a network namespace of its own
 */
export function resolvConf(asked: Resolver, isolated: boolean): string {
  const host = hostResolver();
  const reachable = isolated ? host.servers.filter((server) => !/^(127\.|::1$)/.test(server)) : host.servers;
  const servers = asked.servers.length > 0 ? asked.servers : reachable.length > 0 ? reachable : isolated ? PUBLIC : [];
  // `--dns-search .` means none.
  const search = asked.search.length > 0 ? asked.search.filter((domain) => domain !== '.') : host.search;
  const options = asked.options.length > 0 ? asked.options : host.options;
  return [
    ...servers.map((server) => `nameserver ${server}\n`),
    ...(search.length > 0 ? [`search ${search.join(' ')}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('');
}
