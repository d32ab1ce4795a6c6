// `lamina network COMMAND`.

import { FILTER, FORMAT, pairs } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, filterQuery, path } from './engine.js';
import { forEach } from './failures.js';
import { inspectKind } from './inspect.js';
import { naturally } from './natural-order.js';
import { renderRows } from './table.js';

const ls: Command = {
  spec: {
    command: 'lamina network ls',
    usage: '[OPTIONS]',
    summary: 'List networks',
    flags: {
      filter: FILTER,
      format: FORMAT,
      quiet: { short: 'q', help: 'Only display network IDs' },
      'no-trunc': { help: 'Do not truncate the output' },
    },
  },
  takes: [0, 0],
  async run(args) {
    const networks = await (
      await engine()
    ).json<{ Id: string; Name: string; Driver: string; Scope: string }[]>('GET', '/networks', {
      query: { filters: filterQuery(args, ls.spec) },
    });
    networks.sort((a, b) => naturally(a.Name, b.Name));
    const rows = networks.map(({ Id: id, Name, Driver, Scope }) => ({
      ID: args.has('no-trunc') ? id : id.slice(0, 12),
      Name,
      Driver,
      Scope,
    }));
    if (args.has('quiet')) for (const { ID: id } of rows) process.stdout.write(`${id}\n`);
    else
      process.stdout.write(
        renderRows(
          args.value('format'),
          [
            ['ID', 'NETWORK ID'],
            ['Name', 'NAME'],
            ['Driver', 'DRIVER'],
            ['Scope', 'SCOPE'],
          ],
          rows,
        ),
      );
    return 0;
  },
};

const create: Command = {
  spec: {
    command: 'lamina network create',
    usage: '[OPTIONS] NETWORK',
    summary: 'Create a network',
    flags: {
      'aux-address': { takes: 'NAME=IP', many: true, help: 'Addresses of the subnet that no container gets' },
      driver: { short: 'd', takes: 'DRIVER', help: 'Driver to manage the network (default bridge)' },
      gateway: { takes: 'IP', help: 'IPv4 gateway' },
      internal: { help: 'Restrict external access to the network' },
      'ip-range': { takes: 'CIDR', help: 'Allocate container ip from a sub-range' },
      label: { takes: 'KEY=VALUE', many: true, help: 'Set metadata on a network' },
      subnet: { takes: 'CIDR', help: 'Subnet in CIDR format' },
    },
  },
  takes: [1, 1],
  async run(args) {
    const subnet = args.value('subnet');
    const gateway = args.value('gateway');
    const range = args.value('ip-range');
    const reserved = args.all('aux-address');
    const config = {
      ...(subnet === undefined ? {} : { Subnet: subnet }),
      ...(gateway === undefined ? {} : { Gateway: gateway }),
      ...(range === undefined ? {} : { IPRange: range }),
      ...(reserved.length === 0 ? {} : { AuxiliaryAddresses: pairs(reserved) }),
    };
    const body = {
      Name: args.rest[0],
      Driver: args.value('driver') ?? 'bridge',
      Internal: args.has('internal'),
      Labels: pairs(args.all('label')),
      IPAM: { Driver: 'default', Config: Object.keys(config).length > 0 ? [config] : [] },
    };
    const { Id: id } = await (await engine()).json<{ Id: string }>('POST', '/networks/create', { body });
    process.stdout.write(`${id}\n`);
    return 0;
  },
};

const rm: Command = {
  spec: { command: 'lamina network rm', usage: 'NETWORK [NETWORK...]', summary: 'Remove one or more networks', flags: {} },
  takes: [1, Infinity],
  async run(args) {
    const client = await engine();
    return forEach(args.rest, async (name) => {
      await client.json('DELETE', path('/networks/', name));
      return name;
    });
  },
};

const connect: Command = {
  spec: {
    command: 'lamina network connect',
    usage: '[OPTIONS] NETWORK CONTAINER',
    summary: 'Connect a container to a network',
    flags: {
      alias: { takes: 'NAME', many: true, help: 'Add network-scoped alias for the container' },
      ip: { takes: 'IP', help: 'IPv4 address' },
    },
  },
  takes: [2, 2],
  async run(args) {
    const [network = '', container] = args.rest;
    const ip = args.value('ip');
    const endpoint = { Aliases: args.all('alias'), IPAMConfig: ip === undefined ? {} : { IPv4Address: ip } };
    const body = { Container: container, EndpointConfig: endpoint };
    (await (await engine()).call('POST', path('/networks/', network, '/connect'), { body })).resume();
    return 0;
  },
};

const disconnect: Command = {
  spec: {
    command: 'lamina network disconnect',
    usage: '[OPTIONS] NETWORK CONTAINER',
    summary: 'Disconnect a container from a network',
    flags: { force: { short: 'f', help: 'Force the container to disconnect from a network' } },
  },
  takes: [2, 2],
  async run(args) {
    const [network = '', container] = args.rest;
    const body = { Container: container, Force: args.has('force') };
    (await (await engine()).call('POST', path('/networks/', network, '/disconnect'), { body })).resume();
    return 0;
  },
};

export const commands: Commands = {
  'network ls': ls,
  'network create': create,
  'network rm': rm,
  'network connect': connect,
  'network disconnect': disconnect,
  'network inspect': inspectKind('network'),
};
