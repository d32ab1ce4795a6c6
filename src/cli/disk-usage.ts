// `lamina system df`: what images, containers and volumes take, in sum or one by one.

import { FORMAT } from './common-flags.js';
import type { Command } from './command.js';
import { engine } from './engine.js';
import { type Listed, rowsOf } from './image-lists.js';
import { type Row as Container, shown } from './ps.js';
import { type Columns, fillTemplate, renderRows } from './table.js';
import { humanSize } from './units.js';

interface Usage {
  readonly LayersSize: number;
  readonly Images: readonly (Listed & { readonly Containers: number; readonly SharedSize: number })[];
  readonly Containers: readonly Container[];
  readonly Volumes: readonly {
    readonly Name: string;
    readonly UsageData?: { readonly Size: number; readonly RefCount: number };
  }[];
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

type View = Readonly<Record<string, string | null>>;

const IMAGES: Columns<View> = [
  ['Repository', 'REPOSITORY'],
  ['Tag', 'TAG'],
  ['ID', 'IMAGE ID'],
  ['CreatedSince', 'CREATED'],
  ['Size', 'SIZE'],
  ['SharedSize', 'SHARED SIZE'],
  ['UniqueSize', 'UNIQUE SIZE'],
  ['Containers', 'CONTAINERS'],
];
const CONTAINERS: Columns<View> = [
  ['ID', 'CONTAINER ID'],
  ['Image', 'IMAGE'],
  ['Command', 'COMMAND'],
  ['LocalVolumes', 'LOCAL VOLUMES'],
  ['Size', 'SIZE'],
  ['RunningFor', 'CREATED'],
  ['Status', 'STATUS'],
  ['Names', 'NAMES'],
];
const VOLUMES: Columns<View> = [
  ['Name', 'VOLUME NAME'],
  ['Links', 'LINKS'],
  ['Size', 'SIZE'],
];
const CACHE: Columns<View> = [
  ['ID', 'CACHE ID'],
  ['CacheType', 'CACHE TYPE'],
  ['Size', 'SIZE'],
  ['CreatedSince', 'CREATED'],
  ['LastUsedSince', 'LAST USED'],
  ['UsageCount', 'USAGE'],
  ['Shared', 'SHARED'],
];

/** What there is, one by one; each image once, by its first name. */
function details(usage: Usage): { Images: View[]; Containers: View[]; Volumes: View[]; BuildCache: View[] } {
  const images = usage.Images.flatMap((image) => {
    const size = { SharedSize: humanSize(image.SharedSize, 4), UniqueSize: humanSize(image.Size - image.SharedSize, 4) };
    return rowsOf(image, true)
      .slice(0, 1)
      .map((row) => ({ ...row, ...size, Containers: String(image.Containers) }));
  });
  const containers = usage.Containers.map((row) => ({ ...shown(row, true), Size: humanSize(row.SizeRw ?? 0) }));
  const volumes = usage.Volumes.map(({ Name, UsageData: data }) => ({
    Name,
    Links: String(data?.RefCount ?? 0),
    Size: humanSize(data?.Size ?? 0, 4),
  }));
  return { Images: images, Containers: containers, Volumes: volumes, BuildCache: [] };
}

function detailed(usage: Usage, format: string | undefined): string {
  const found = details(usage);
  if (format === 'json') return `${JSON.stringify(found)}\n`;
  if (format !== undefined && format !== 'table') return fillTemplate(format, found);
  return [
    `Images space usage:\n\n${renderRows(undefined, IMAGES, found.Images)}`,
    `Containers space usage:\n\n${renderRows(undefined, CONTAINERS, found.Containers)}`,
    `Local Volumes space usage:\n\n${renderRows(undefined, VOLUMES, found.Volumes)}`,
    `Build cache usage: 0B\n\n${renderRows(undefined, CACHE, found.BuildCache)}`,
  ].join('\n');
}

export const df: Command = {
  spec: {
    command: 'lamina system df',
    usage: '[OPTIONS]',
    summary: 'Show disk usage',
    flags: { format: FORMAT, verbose: { short: 'v', help: 'Show detailed information on space usage' } },
  },
  takes: [0, 0],
  async run(args) {
    const usage = await (await engine()).json<Usage>('GET', '/system/df');
    const columns = [
      ['Type', 'TYPE'],
      ['TotalCount', 'TOTAL'],
      ['Active', 'ACTIVE'],
      ['Size', 'SIZE'],
      ['Reclaimable', 'RECLAIMABLE'],
    ] as const;
    const format = args.value('format');
    process.stdout.write(args.has('verbose') ? detailed(usage, format) : renderRows(format, columns, usageRows(usage)));
    return 0;
  },
};
