// Commands on the engine as a whole.

import type { StreamMessage } from '../client/client.js';
import { FILTER, FORCE, FORMAT, INSPECT_FORMAT, PRUNE_FILTER } from './common-flags.js';
import { confirm } from './confirm.js';
import { type Command, type Commands, engine, filterQuery } from './engine.js';
import { parseTime } from './moments.js';
import { type PrunedImages, prunedImages } from './pruned-images.js';
import { formatted, renderRows } from './table.js';
import { humanSize } from './units.js';

const info: Command = {
  spec: {
    command: 'lamina info',
    usage: '[OPTIONS]',
    summary: 'Display system-wide information',
    flags: { format: INSPECT_FORMAT },
  },
  takes: [0, 0],
  async run(args) {
    const found = await (await engine()).json<Record<string, unknown>>('GET', '/info');
    const format = args.value('format');
    if (format !== undefined) process.stdout.write(`${formatted(found, format)}\n`);
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
      process.stdout.write(`${format === undefined ? plain : formatted(event, format)}\n`);
    }
    return 0;
  },
};

interface Usage {
  readonly LayersSize: number;
  readonly Images: readonly { readonly Containers: number; readonly Size: number }[];
  readonly Containers: readonly { readonly State: string; readonly SizeRw?: number }[];
  readonly Volumes: readonly { readonly UsageData?: { readonly Size: number; readonly RefCount: number } }[];
}

type UsageRow = Record<'Type' | 'TotalCount' | 'Active' | 'Size' | 'Reclaimable', string>;

function usageRow(type: string, count: number, active: number, size: number, free: number): UsageRow {
  const share = size > 0 ? ` (${Math.round((free / size) * 100)}%)` : '';
  return {
    Type: type,
    TotalCount: String(count),
    Active: String(active),
    Size: humanSize(size, 4),
    Reclaimable: `${humanSize(free, 4)}${share}`,
  };
}

function usageRows({ LayersSize: layers, Images: images, Containers: containers, Volumes: volumes }: Usage): UsageRow[] {
  const sum = (sizes: readonly number[]): number => sizes.reduce((total, each) => total + each, 0);
  const used = images.filter(({ Containers: users }) => users > 0);
  const usedSize = Math.min(layers, sum(used.map(({ Size: size }) => size)));
  const isUp = ({ State: state }: { State: string }): boolean => state === 'running' || state === 'paused';
  const sizes = (list: Usage['Containers']): number => sum(list.map(({ SizeRw: size }) => size ?? 0));
  const idle = containers.filter((each) => !isUp(each));
  const data = volumes.map(({ UsageData: usage }) => usage ?? { Size: 0, RefCount: 0 });
  const referred = data.filter(({ RefCount: references }) => references > 0);
  const bytes = (list: typeof data): number => sum(list.map(({ Size: size }) => size));
  return [
    usageRow('Images', images.length, used.length, layers, layers - usedSize),
    usageRow('Containers', containers.length, containers.length - idle.length, sizes(containers), sizes(idle)),
    usageRow('Local Volumes', volumes.length, referred.length, bytes(data), bytes(data) - bytes(referred)),
    usageRow('Build Cache', 0, 0, 0, 0),
  ];
}

const df: Command = {
  spec: { command: 'lamina system df', usage: '[OPTIONS]', summary: 'Show disk usage', flags: { format: FORMAT } },
  takes: [0, 0],
  async run(args) {
    const rows = usageRows(await (await engine()).json<Usage>('GET', '/system/df'));
    const columns = [
      ['Type', 'TYPE'],
      ['TotalCount', 'TOTAL'],
      ['Active', 'ACTIVE'],
      ['Size', 'SIZE'],
      ['Reclaimable', 'RECLAIMABLE'],
    ] as const;
    process.stdout.write(renderRows(args.value('format'), columns, rows));
    return 0;
  },
};

const prune: Command = {
  spec: {
    command: 'lamina system prune',
    usage: '[OPTIONS]',
    summary: 'Remove unused data',
    flags: {
      all: { short: 'a', help: 'Remove all unused images not just dangling ones' },
      filter: PRUNE_FILTER,
      force: FORCE,
      volumes: { help: 'Prune anonymous volumes' },
    },
  },
  takes: [0, 0],
  async run(args) {
    const kinds = [
      'all stopped containers',
      'all networks not used by at least one container',
      ...(args.has('volumes') ? ['all anonymous volumes not used by at least one container'] : []),
      args.has('all') ? 'all images without at least one container associated to them' : 'all dangling images',
    ];
    const warning = `WARNING! This will remove:\n${kinds.map((kind) => `  - ${kind}\n`).join('')}`;
    if (!args.has('force') && !(await confirm(warning))) return 0;
    const client = await engine();
    const filters = filterQuery(args, prune.spec);
    let space = 0;
    const told = (title: string, names: readonly string[] | null): void => {
      if (names && names.length > 0) process.stdout.write(`${title}:\n${names.join('\n')}\n\n`);
    };
    const removed = async <T extends { SpaceReclaimed?: number }>(kind: string, query: string | undefined): Promise<T> => {
      const answer = await client.json<T>('POST', `/${kind}/prune`, { query: { filters: query } });
      space += answer.SpaceReclaimed ?? 0;
      return answer;
    };
    type Containers = { ContainersDeleted: string[] | null; SpaceReclaimed: number };
    told('Deleted Containers', (await removed<Containers>('containers', filters)).ContainersDeleted);
    type Networks = { NetworksDeleted: string[] | null; SpaceReclaimed?: number };
    told('Deleted Networks', (await removed<Networks>('networks', filters)).NetworksDeleted);
    type Volumes = { VolumesDeleted: string[] | null; SpaceReclaimed: number };
    if (args.has('volumes')) told('Deleted Volumes', (await removed<Volumes>('volumes', filters)).VolumesDeleted);
    const dangling = filterQuery(args, prune.spec, { dangling: [String(!args.has('all'))] });
    told('Deleted Images', prunedImages(await removed<PrunedImages>('images', dangling)));
    process.stdout.write(`Total reclaimed space: ${humanSize(space, 4)}\n`);
    return 0;
  },
};

export const commands: Commands = { info, events, 'system df': df, 'system prune': prune };
