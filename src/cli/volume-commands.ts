// `lamina volume COMMAND`: volumes, as the engine knows them.

import { FILTER, FORMAT, QUIET, pairs } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, filterQuery, path } from './engine.js';
import { forEach } from './failures.js';
import { writeArchive } from './files.js';
import { inspectKind } from './inspect.js';
import { naturally } from './natural-order.js';
import { renderRows } from './table.js';
import { age, humanSize } from './units.js';
import { openUpload } from './upload.js';

interface Volume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Scope: string;
  readonly LastUsed?: string;
  readonly UsageData?: { readonly Size: number; readonly RefCount: number };
}

const ls: Command = {
  spec: {
    command: 'lamina volume ls',
    usage: '[OPTIONS]',
    summary: 'List volumes; with --size also what they take, who refers to them and when they were last used',
    flags: {
      filter: FILTER,
      format: FORMAT,
      json: { help: 'Print JSON' },
      quiet: QUIET,
      size: { short: 's', help: 'Show size, references and last use' },
    },
  },
  takes: [0, 0],
  offline: async () => (await import('./offline-volumes.js')).ls,
  async run(args) {
    const { Volumes: volumes } = await (
      await engine()
    ).json<{ Volumes: Volume[] }>('GET', '/volumes', {
      query: { size: args.has('size'), filters: filterQuery(args, ls.spec) },
    });
    volumes.sort((a, b) => naturally(a.Name, b.Name));
    if (args.has('json')) process.stdout.write(`${JSON.stringify(volumes, undefined, 2)}\n`);
    else if (args.has('quiet')) for (const { Name: name } of volumes) process.stdout.write(`${name}\n`);
    else {
      const rows = volumes.map((volume) => ({
        Driver: volume.Driver,
        Name: volume.Name,
        Mountpoint: volume.Mountpoint,
        Scope: volume.Scope,
        Labels: Object.entries(volume.Labels ?? {})
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
        Size: volume.UsageData ? humanSize(volume.UsageData.Size) : 'N/A',
        Links: volume.UsageData ? String(volume.UsageData.RefCount) : 'N/A',
        LastUsed: age(volume.LastUsed),
        Availability: 'N/A',
        Group: 'N/A',
        Status: 'N/A',
      }));
      const plain = [
        ['Driver', 'DRIVER'],
        ['Name', 'VOLUME NAME'],
      ] as const;
      const columns = args.has('size')
        ? ([...plain, ['Size', 'SIZE'], ['Links', 'REFS'], ['LastUsed', 'LAST USED']] as const)
        : plain;
      process.stdout.write(renderRows(args.value('format'), columns, rows));
    }
    return 0;
  },
};

const create: Command = {
  spec: {
    command: 'lamina volume create',
    usage: '[OPTIONS] [VOLUME]',
    summary: 'Create a volume',
    flags: {
      driver: { short: 'd', takes: 'DRIVER', help: 'Specify volume driver name (default local)' },
      label: { takes: 'KEY=VALUE', many: true, help: 'Set metadata for a volume' },
      opt: { short: 'o', takes: 'KEY=VALUE', many: true, help: 'Set driver specific options: type, device, o' },
    },
  },
  takes: [0, 1],
  async run(args) {
    const body = {
      Name: args.rest[0] ?? '',
      Driver: args.value('driver') ?? 'local',
      DriverOpts: pairs(args.all('opt')),
      Labels: pairs(args.all('label')),
    };
    const { Name: name } = await (await engine()).json<Volume>('POST', '/volumes/create', { body });
    process.stdout.write(`${name}\n`);
    return 0;
  },
};

const rm: Command = {
  spec: {
    command: 'lamina volume rm',
    usage: '[OPTIONS] VOLUME [VOLUME...]',
    summary: 'Remove one or more volumes that nothing refers to',
    flags: { force: { short: 'f', help: 'Do not complain of volumes that do not exist' } },
  },
  takes: [1, Infinity],
  offline: async () => (await import('./offline-volumes.js')).rm,
  async run(args) {
    const client = await engine();
    return forEach(args.rest, async (name) => {
      await client.json('DELETE', path('/volumes/', name), { query: { force: args.has('force') } });
      return name;
    });
  },
};

const exportCommand: Command = {
  spec: {
    command: 'lamina volume export',
    usage: '[OPTIONS] VOLUME',
    summary: "Write a volume's content as a tar archive",
    flags: {
      output: { short: 'o', takes: 'FILE', help: 'Write to a file, instead of STDOUT' },
      compress: { takes: 'none|gzip|zstd', help: 'Compression (default none)' },
    },
  },
  takes: [1, 1],
  async run(args) {
    const query = { compress: args.value('compress') };
    await writeArchive(
      await (await engine()).call('GET', path('/volumes/', args.rest[0] ?? '', '/export'), { query }),
      args.value('output'),
    );
    return 0;
  },
};

const importCommand: Command = {
  spec: {
    command: 'lamina volume import',
    usage: 'VOLUME [FILE|-]',
    summary: "Replace a volume's content by a tar archive's, all at once; the volume is made if it does not exist",
    flags: {},
  },
  takes: [1, 2],
  async run(args) {
    const [name = '', file = '-'] = args.rest;
    const upload = openUpload(file);
    await (await engine()).json('POST', path('/volumes/', name, '/import'), { upload });
    process.stdout.write(`${name}\n`);
    return 0;
  },
};

const clone: Command = {
  spec: {
    command: 'lamina volume clone',
    usage: 'VOLUME NEW_VOLUME',
    summary: 'Copy a volume; shares its blocks where the filesystem can',
    flags: {},
  },
  takes: [2, 2],
  async run(args) {
    const [from = '', to = ''] = args.rest;
    await (await engine()).json('POST', path('/volumes/', from, '/clone'), { body: { Name: to } });
    process.stdout.write(`${to}\n`);
    return 0;
  },
};

export const commands: Commands = {
  'volume ls': ls,
  'volume create': create,
  'volume rm': rm,
  'volume inspect': inspectKind('volume'),
  'volume export': exportCommand,
  'volume import': importCommand,
  'volume clone': clone,
};
