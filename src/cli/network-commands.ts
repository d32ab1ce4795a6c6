// Commands on networks.

import { FILTER, FORMAT, pairs } from './common-flags.js';
import { type Command, type Commands, engine, filterQuery, forEach, path } from './engine.js';
import { inspectKind } from './inspect.js';
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
      driver: { short: 'd', takes: 'DRIVER', help: 'Driver to manage the network (default bridge)' },
      gateway: { takes: 'IP', help: 'IPv4 gateway' },
      internal: { help: 'Restrict external access to the network' },
      label: { takes: 'KEY=VALUE', many: true, help: 'Set metadata on a network' },
      subnet: { takes: 'CIDR', help: 'Subnet in CIDR format' },
    },
  },
  takes: [1, 1],
  async run(args) {
    const subnet = args.value('subnet');
    const gateway = args.value('gateway');
    const config = {
      ...(subnet === undefined ? {} : { Subnet: subnet }),
      ...(gateway === undefined ? {} : { Gateway: gateway }),
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

export const commands: Commands = {
  'network ls': ls,
  'network create': create,
  'network rm': rm,
  'network inspect': inspectKind('network'),
};
