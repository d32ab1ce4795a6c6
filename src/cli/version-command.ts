// `lamina version`: what the command line is and what the engine is, in Docker's layout; `lamina --version` is one line.

import { API_VERSION, Client } from '../client/client.js';
import { isServed } from '../client/socket.js';
import { hostArchitecture } from '../native/architecture.js';
import { INSPECT_FORMAT } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { socketPath } from './socket-path.js';
import { programVersion } from './program-version.js';
import { formatted } from './table.js';

/** What /version answers; more is shown by `--format` only. */
interface ServerVersion {
  readonly Platform?: { readonly Name: string };
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion: string;
  readonly Os: string;
  readonly Arch: string;
  readonly KernelVersion: string;
}

const CLIENT = {
  Version: programVersion(),
  ApiVersion: API_VERSION,
  Os: process.platform,
  Arch: hostArchitecture,
};

/** The column in which values begin. */
const VALUES = 20;

/** Names and values, these in one column. */
function fields(indent: string, rows: readonly (readonly [name: string, value: string])[]): string {
  return rows.map(([name, value]) => `${indent}${`${name}:`.padEnd(VALUES - indent.length)}${value}\n`).join('');
}

function clientBlock(client: typeof CLIENT): string {
  const { Version: version, ApiVersion: api, Os: os, Arch: arch } = client;
  const rows = [['Version', version] as const, ['API version', api] as const, ['OS/Arch', `${os}/${arch}`] as const];
  return `Client:\n${fields(' ', rows)}`;
}

function serverBlock(server: ServerVersion): string {
  const { Platform: platform, Version: version, ApiVersion: api, MinAPIVersion: oldest } = server;
  const rows = [
    ['Version', version],
    ['API version', `${api} (minimum version ${oldest})`],
    ['OS/Arch', `${server.Os}/${server.Arch}`],
    ['Kernel version', server.KernelVersion],
  ] as const;
  return `\nServer:${platform?.Name ? ` ${platform.Name}` : ''}\n Engine:\n${fields('  ', rows)}`;
}

const version: Command = {
  spec: {
    command: 'lamina version',
    usage: '[OPTIONS]',
    summary: 'Show version information of the command line and of the engine',
    flags: { format: INSPECT_FORMAT },
  },
  takes: [0, 0],
  async run(args) {
    const socket = socketPath();
    const server = (await isServed(socket)) ? await new Client(socket).json<ServerVersion>('GET', '/version') : null;
    const format = args.value('format');
    const shown = { Client: CLIENT, Server: server };
    if (format === undefined) process.stdout.write(`${clientBlock(CLIENT)}${server ? serverBlock(server) : ''}`);
    else process.stdout.write(`${formatted(shown, format)}\n`);
    if (server) return 0;
    throw new Error(`Cannot connect to the Docker daemon at unix://${socket}. Is the docker daemon running?`);
  },
};

export const commands: Commands = { version };
