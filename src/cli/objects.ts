// Commands on images, volumes, networks and the engine as a whole, through the API.

import { createReadStream } from 'node:fs';
import { type StreamMessage } from '../client/client.js';
import type { Flag } from './arguments.js';
import { confirm } from './confirm.js';
import { inspectObjects } from './containers.js';
import { type Command, engine, filterQuery, forEach, path } from './engine.js';
import { writeArchive } from './files.js';
import { age, humanSize } from './units.js';
import { parseTime } from './moments.js';
import { showProgress } from './progress-lines.js';
import { pullImage, splitTag } from './pull.js';
import { fillTemplate, renderRows } from './table.js';

const FILTER: Flag = { short: 'f', takes: 'KEY=VALUE', many: true, help: 'Filter output based on conditions provided' };
const PRUNE_FILTER: Flag = { takes: 'KEY=VALUE', many: true, help: 'Provide filter values' };
const FORMAT: Flag = { takes: 'TEMPLATE', help: "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
const FORCE: Flag = { short: 'f', help: 'Do not prompt for confirmation' };
const QUIET: Flag = { short: 'q', help: 'Only display names' };

const pull: Command = {
  spec: {
    command: 'lamina pull',
    usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
    summary: 'Download an image from a registry',
    flags: { quiet: { short: 'q', help: 'Suppress verbose output' } },
  },
  takes: [1, 1],
  async run(args) {
    await pullImage(await engine(), args.rest[0] ?? '', args.has('quiet'));
    return 0;
  },
};

const save: Command = {
  spec: {
    command: 'lamina save',
    usage: '[OPTIONS] IMAGE [IMAGE...]',
    summary: 'Save one or more images to a tar archive, which docker, podman and skopeo read',
    flags: { output: { short: 'o', takes: 'FILE', help: 'Write to a file, instead of STDOUT' } },
  },
  takes: [1, Infinity],
  async run(args) {
    await writeArchive(await (await engine()).call('GET', '/images/get', { query: { names: args.rest } }), args.value('output'));
    return 0;
  },
};

const tag: Command = {
  spec: {
    command: 'lamina tag',
    usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
    summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
    flags: {},
  },
  takes: [2, 2],
  async run(args) {
    const [source = '', target = ''] = args.rest;
    await (await engine()).json('POST', path('/images/', source, '/tag'), { query: splitTag(target) });
    return 0;
  },
};

const history: Command = {
  spec: {
    command: 'lamina history',
    usage: '[OPTIONS] IMAGE',
    summary: 'Show the history of an image',
    flags: { format: FORMAT, 'no-trunc': { help: "Don't truncate output" }, quiet: { short: 'q', help: 'Only show image IDs' } },
  },
  takes: [1, 1],
  async run(args) {
    const full = args.has('no-trunc');
    const entries = await (
      await engine()
    ).json<{ Id: string; Created: number; CreatedBy: string; Size: number; Comment: string }[]>(
      'GET',
      path('/images/', args.rest[0] ?? '', '/history'),
    );
    const rows = entries.map(({ Id: id, Created: created, CreatedBy: by, Size: size, Comment: comment }) => ({
      ID: full || !id.startsWith('sha256:') ? id : id.slice(7, 19),
      CreatedSince: age(new Date(created * 1000).toISOString()),
      CreatedBy: full || by.length <= 45 ? by : `${by.slice(0, 44)}…`,
      Size: humanSize(size),
      Comment: comment,
    }));
    if (args.has('quiet')) for (const { ID: id } of rows) process.stdout.write(`${id}\n`);
    else {
      const columns = [
        ['ID', 'IMAGE'],
        ['CreatedSince', 'CREATED'],
        ['CreatedBy', 'CREATED BY'],
        ['Size', 'SIZE'],
        ['Comment', 'COMMENT'],
      ] as const;
      process.stdout.write(renderRows(args.value('format'), columns, rows));
    }
    return 0;
  },
};

const importCommand: Command = {
  spec: {
    command: 'lamina import',
    usage: '[OPTIONS] FILE|- [REPOSITORY[:TAG]]',
    summary: 'Import the contents from a tarball to create a filesystem image',
    flags: {
      change: { short: 'c', takes: 'INSTRUCTION', many: true, help: 'Apply Dockerfile instruction to the created image' },
      message: { short: 'm', takes: 'TEXT', help: 'Set commit message for imported image' },
    },
  },
  takes: [1, 2],
  async run(args) {
    const [file = '', repository] = args.rest;
    const upload = file === '-' ? process.stdin : createReadStream(file);
    const query = { fromSrc: '-', repo: repository, message: args.value('message'), changes: args.all('change') };
    for await (const { status } of (await engine()).lines('POST', '/images/create', { query, upload }))
      process.stdout.write(`${status ?? ''}\n`);
    return 0;
  },
};

interface Volume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Scope: string;
  readonly LastUsed?: string;
  readonly UsageData?: { readonly Size: number; readonly RefCount: number };
}

const volumeLs: Command = {
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
  async run(args) {
    const { Volumes: volumes } = await (
      await engine()
    ).json<{ Volumes: Volume[] }>('GET', '/volumes', {
      query: { size: args.has('size'), filters: filterQuery(args, volumeLs.spec) },
    });
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

function pairs(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) =>
      entry.includes('=') ? [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] : [entry, ''],
    ),
  );
}

const volumeCreate: Command = {
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

const volumeRm: Command = {
  spec: {
    command: 'lamina volume rm',
    usage: '[OPTIONS] VOLUME [VOLUME...]',
    summary: 'Remove one or more volumes that nothing refers to',
    flags: { force: { short: 'f', help: 'Do not complain of volumes that do not exist' } },
  },
  takes: [1, Infinity],
  async run(args) {
    const client = await engine();
    return forEach(args.rest, async (name) => {
      await client.json('DELETE', path('/volumes/', name), { query: { force: args.has('force') } });
      return name;
    });
  },
};

const volumePrune: Command = {
  spec: {
    command: 'lamina volume prune',
    usage: '[OPTIONS]',
    summary: 'Remove unused local volumes',
    flags: {
      all: { short: 'a', help: 'Remove all unused volumes, not just anonymous ones' },
      filter: PRUNE_FILTER,
      force: FORCE,
    },
  },
  takes: [0, 0],
  async run(args) {
    const what = args.has('all') ? 'all local volumes' : 'anonymous local volumes';
    if (!args.has('force') && !(await confirm(`WARNING! This will remove ${what} not used by at least one container.`))) return 0;
    const more: Record<string, string[]> = args.has('all') ? { all: ['true'] } : {};
    const { VolumesDeleted: deleted, SpaceReclaimed: space } = await (
      await engine()
    ).json<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }>('POST', '/volumes/prune', {
      query: { filters: filterQuery(args, volumePrune.spec, more) },
    });
    if (deleted && deleted.length > 0) process.stdout.write(`Deleted Volumes:\n${deleted.join('\n')}\n\n`);
    process.stdout.write(`Total reclaimed space: ${humanSize(space, 4)}\n`);
    return 0;
  },
};

const volumeExport: Command = {
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

const volumeImport: Command = {
  spec: {
    command: 'lamina volume import',
    usage: 'VOLUME [FILE|-]',
    summary: "Replace a volume's content by a tar archive's, all at once; the volume is made if it does not exist",
    flags: {},
  },
  takes: [1, 2],
  async run(args) {
    const [name = '', file = '-'] = args.rest;
    const upload = file === '-' ? process.stdin : createReadStream(file);
    await (await engine()).json('POST', path('/volumes/', name, '/import'), { upload });
    process.stdout.write(`${name}\n`);
    return 0;
  },
};

const volumeClone: Command = {
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

const networkLs: Command = {
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
      query: { filters: filterQuery(args, networkLs.spec) },
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

const networkCreate: Command = {
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

const networkRm: Command = {
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

function inspectKind(kind: string): Command {
  return {
    spec: {
      command: `lamina ${kind} inspect`,
      usage: `[OPTIONS] ${kind.toUpperCase()} [${kind.toUpperCase()}...]`,
      summary: `Display detailed information on one or more ${kind}s`,
      flags: { format: { short: 'f', takes: 'TEMPLATE', help: "Format output: 'json' or a Go template" } },
    },
    takes: [1, Infinity],
    run: (args) => inspectObjects(args, kind),
  };
}

const info: Command = {
  spec: {
    command: 'lamina info',
    usage: '[OPTIONS]',
    summary: 'Display system-wide information',
    flags: { format: { short: 'f', takes: 'TEMPLATE', help: "Format output: 'json' or a Go template" } },
  },
  takes: [0, 0],
  async run(args) {
    const found = await (await engine()).json<Record<string, unknown>>('GET', '/info');
    const format = args.value('format');
    if (format !== undefined)
      process.stdout.write(`${format === 'json' ? JSON.stringify(found) : fillTemplate(format, found)}\n`);
    else {
      const keys = [
        'Containers',
        'ContainersRunning',
        'ContainersPaused',
        'ContainersStopped',
        'Images',
        'ServerVersion',
        'Driver',
        'LoggingDriver',
        'DockerRootDir',
        'KernelVersion',
        'OperatingSystem',
        'NCPU',
        'MemTotal',
      ];
      for (const key of keys) process.stdout.write(`${key}: ${String(found[key])}\n`);
    }
    return 0;
  },
};

const events: Command = {
  spec: {
    command: 'lamina events',
    usage: '[OPTIONS]',
    summary: 'Get real time events from the engine',
    flags: {
      filter: FILTER,
      format: FORMAT,
      since: { takes: 'TIME', help: 'Show all events created since timestamp' },
      until: { takes: 'TIME', help: 'Stream events until this timestamp' },
    },
  },
  takes: [0, 0],
  async run(args) {
    const query = {
      filters: filterQuery(args, events.spec),
      since: parseTime(args.value('since')),
      until: parseTime(args.value('until')),
    };
    const format = args.value('format');
    type Event = StreamMessage & {
      Type: string;
      Action: string;
      timeNano: number;
      Actor: { ID: string; Attributes: Record<string, string> };
    };
    for await (const line of (await engine()).lines('GET', '/events', { query })) {
      const event = line as Event;
      const attributes = Object.entries(event.Actor.Attributes)
        .map(([key, value]) => `${key}=${value}`)
        .join(', ');
      const plain = `${new Date(event.timeNano / 1e6).toISOString()} ${event.Type} ${event.Action} ${event.Actor.ID}${attributes === '' ? '' : ` (${attributes})`}`;
      process.stdout.write(
        `${format === undefined ? plain : format === 'json' ? JSON.stringify(event) : fillTemplate(format, event)}\n`,
      );
    }
    return 0;
  },
};

const build: Command = {
  spec: {
    command: 'lamina build',
    usage: '[OPTIONS] PATH|-',
    summary: 'Build an image from a Dockerfile',
    flags: {
      'build-arg': { takes: 'NAME=VALUE', many: true, help: 'Set build-time variables' },
      file: { short: 'f', takes: 'FILE', help: 'Name of the Dockerfile (default PATH/Dockerfile)' },
      label: { takes: 'KEY=VALUE', many: true, help: 'Set metadata for an image' },
      'no-cache': { help: 'Do not use cache when building the image' },
      pull: { help: 'Always attempt to pull a newer version of the image' },
      quiet: { short: 'q', help: 'Suppress the build output and print image ID on success' },
      tag: { short: 't', takes: 'NAME[:TAG]', many: true, help: 'Name and optionally a tag' },
      target: { takes: 'STAGE', help: 'Set the target build stage to build' },
    },
  },
  takes: [1, 1],
  async run(args) {
    const { buildContext } = await import('./build-context.js');
    const { upload, dockerfile } = buildContext(args.rest[0] ?? '', args.value('file'));
    const query = {
      t: args.all('tag'),
      dockerfile,
      buildargs: JSON.stringify(
        Object.fromEntries(
          args
            .all('build-arg')
            .map((text) =>
              text.includes('=')
                ? [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]
                : [text, process.env[text] ?? ''],
            ),
        ),
      ),
      labels: JSON.stringify(pairs(args.all('label'))),
      nocache: args.has('no-cache'),
      pull: args.has('pull'),
      target: args.value('target'),
      q: args.has('quiet'),
    };
    const lines = (await engine()).lines('POST', '/build', { query, upload });
    await showProgress(lines, process.stdout);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = {
  pull,
  save,
  tag,
  history,
  import: importCommand,
  info,
  events,
  build,
};
export const groups: Readonly<Record<string, Readonly<Record<string, Command>>>> = {
  volume: {
    ls: volumeLs,
    create: volumeCreate,
    rm: volumeRm,
    prune: volumePrune,
    inspect: inspectKind('volume'),
    export: volumeExport,
    import: volumeImport,
    clone: volumeClone,
  },
  network: { ls: networkLs, create: networkCreate, rm: networkRm, inspect: inspectKind('network') },
  image: { inspect: inspectKind('image') },
  container: { inspect: inspectKind('container') },
};
