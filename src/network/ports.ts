// Published ports: which host port each container port gets, and whether it is free.

import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { NetworkError } from './network-error.js';

export interface PublishedPort {
  /** `80/tcp`. */
  readonly port: string;
  readonly hostIp: string;
  /** 0 for any. */
  readonly hostPort: number;
}

export const ANY_IP = '0.0.0.0';

/** Binds a port for a moment; the kernel chooses for 0. Resolves with the port, undefined when it is taken. */
function probe(protocol: string, ip: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    if (protocol === 'udp') {
      const socket = createSocket(ip.includes(':') ? 'udp6' : 'udp4');
      socket.once('error', () => resolve(undefined));
      return socket.bind(port, ip, () => {
        const { port: bound } = socket.address();
        socket.close(() => resolve(bound));
      });
    }
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: ip, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
    });
  });
}

function clashes(a: PublishedPort, b: PublishedPort): boolean {
  const sameProtocol = a.port.split('/')[1] === b.port.split('/')[1];
  return sameProtocol && a.hostPort === b.hostPort && (a.hostIp === b.hostIp || a.hostIp === ANY_IP || b.hostIp === ANY_IP);
}

/**
 * Host ports for what a container publishes.
 * @param taken ports of other containers
 * Errors: NetworkError, Docker's words, for a port that is in use.
 */
export async function choosePorts(
  asked: readonly PublishedPort[],
  taken: readonly PublishedPort[],
  endpoint: string,
): Promise<PublishedPort[]> {
  const chosen: PublishedPort[] = [];
  const fail = (why: string): never => {
    throw new NetworkError('failed', `driver failed programming external connectivity on endpoint ${endpoint}: ${why}`);
  };
  for (const want of asked) {
    const protocol = want.port.split('/')[1] ?? 'tcp';
    for (let tries = 0; ; tries++) {
      const bound = await probe(protocol, want.hostIp, want.hostPort);
      const port = { ...want, hostPort: bound ?? want.hostPort };
      const mine = [...taken, ...chosen].some((other) => clashes(port, other));
      if (bound !== undefined && !mine) {
        chosen.push(port);
        break;
      }
      const shown = `${want.hostIp}:${want.hostPort}`;
      if (want.hostPort !== 0 && mine) fail(`Bind for ${shown} failed: port is already allocated`);
      if (want.hostPort !== 0) fail(`failed to bind host port for ${shown}: address already in use`);
      if (tries > 100) fail('no free host port: publish fewer, or name them');
    }
  }
  return chosen;
}

/** What portmap is told. */
export function portMappings(ports: readonly PublishedPort[]): object[] {
  return ports.map(({ port, hostIp, hostPort }) => ({
    hostPort,
    containerPort: Number(port.split('/')[0]),
    protocol: port.split('/')[1] ?? 'tcp',
    ...(hostIp === ANY_IP ? {} : { hostIP: hostIp }),
  }));
}
