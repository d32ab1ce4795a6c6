// IPv4 subnets: parsing, overlap, and the choice of one that nothing on this host uses.

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { NetworkError } from './network-error.js';

export interface Subnet {
  /** First address, as a number. */
  readonly base: number;
  readonly prefix: number;
}

export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** Errors: NetworkError, Docker's words. */
export function parseSubnet(text: string): Subnet {
  const [address = '', prefix = ''] = text.split('/');
  const number = parseAddress(address);
  const bits = Number(prefix);
  if (number === undefined || !/^\d{1,2}$/.test(prefix) || bits < 1 || bits > 30) {
    throw new NetworkError('invalid', `invalid subnet ${text} : invalid CIDR block notation`);
  }
  return { base: number - (number % 2 ** (32 - bits)), prefix: bits };
}

/** A block of addresses within a subnet. Errors: NetworkError, Docker's words. */
export function parseRange(text: string, subnet: Subnet): Subnet {
  const invalid = (why: string): never => {
    throw new NetworkError('invalid', `invalid ip-range ${text}: ${why}`);
  };
  const [address = '', prefix = ''] = text.split('/');
  const base = parseAddress(address);
  const bits = Number(prefix);
  if (base === undefined || !/^\d{1,2}$/.test(prefix) || bits > 32) return invalid('invalid CIDR block notation');
  const range = { base: base - (base % 2 ** (32 - bits)), prefix: bits };
  if (bits < subnet.prefix) return invalid(`CIDR block is bigger than its parent subnet ${formatSubnet(subnet)}`);
  if (range.base !== base) return invalid(`it should be ${formatSubnet(range)}`);
  return overlaps(range, subnet) ? range : invalid(`parent subnet ${formatSubnet(subnet)} doesn't contain ip-range`);
}

/** Addresses of `part` that containers may get, without its subnet's first and last and those of `reserved`, in order. */
export function freeParts(part: Subnet, subnet: Subnet, reserved: readonly number[]): { first: number; last: number }[] {
  const end = ({ base, prefix }: Subnet): number => base + 2 ** (32 - prefix) - 1;
  let first = Math.max(part.base, subnet.base + 1);
  const last = Math.min(end(part), end(subnet) - 1);
  const parts: { first: number; last: number }[] = [];
  for (const address of [...reserved].sort((a, b) => a - b)) {
    if (address < first || address > last) continue;
    if (address > first) parts.push({ first, last: address - 1 });
    first = address + 1;
  }
  return first <= last ? [...parts, { first, last }] : parts;
}

export function formatSubnet({ base, prefix }: Subnet): string {
  return `${formatAddress(base)}/${prefix}`;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + 2 ** (32 - b.prefix) && b.base < a.base + 2 ** (32 - a.prefix);
}

/** Subnets that this host's interfaces and routes use. */
function hostSubnets(): Subnet[] {
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ family, cidr }) => (family === 'IPv4' && cidr !== null ? [parseLoose(cidr)] : []));
  // /proc/net/route: addresses and masks in hexadecimal, least significant byte first.
  const routed = readFileSync('/proc/net/route', 'latin1')
    .trim()
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, destination = '', , , , , , mask = ''] = line.split('\t');
      const flip = (hex: string): number => Buffer.from(hex, 'hex').readUInt32LE(0);
      const prefix = flip(mask).toString(2).replace(/0+$/, '').length;
      return flip(mask) === 0 ? [] : [{ base: flip(destination), prefix }];
    });
  return [...own, ...routed];
}

function parseLoose(cidr: string): Subnet {
  const [address = '', prefix = '32'] = cidr.split('/');
  const bits = Number(prefix);
  const number = parseAddress(address) ?? 0;
  return { base: number - (number % 2 ** (32 - bits)), prefix: bits };
}

/** Docker's default pools: 172.17-31.0.0/16, then 192.168.0.0/16 in pieces of /20. */
function pools(): Subnet[] {
  const large = Array.from({ length: 15 }, (_, i) => ({ base: (172 * 256 + 17 + i) * 65536, prefix: 16 }));
  const small = Array.from({ length: 16 }, (_, i) => ({ base: (192 * 256 + 168) * 65536 + i * 4096, prefix: 20 }));
  return [...large, ...small];
}

/** The first free one. Errors: NetworkError when all are used. */
export function freeSubnet(taken: readonly Subnet[]): Subnet {
  const used = [...taken, ...hostSubnets()];
  const found = pools().find((pool) => !used.some((each) => overlaps(pool, each)));
  if (found) return found;
  throw new NetworkError('failed', 'all predefined address pools have been fully subnetted: give --subnet');
}
