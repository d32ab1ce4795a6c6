// `lamina ps`.

import { FILTER, FORMAT } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, filterQuery } from './engine.js';
import { type Columns, renderRows } from './table.js';
import { age, humanSize } from './units.js';

interface Port {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

export interface Row {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly Command: string;
  readonly Created: number;
  readonly Ports: readonly Port[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly State: string;
  readonly Status: string;
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Mounts: readonly { readonly Name?: string; readonly Driver?: string; readonly Source: string }[];
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, object>> };
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function portText({ IP: ip, PrivatePort: inner, PublicPort: outer, Type: type }: Port): string {
  return outer === undefined ? `${inner}/${type}` : `${ip ?? ''}:${outer}->${inner}/${type}`;
}

/** Docker's order: what is only offered comes first. */
function byPublished(a: Port, b: Port): number {
  const open = Number(a.PublicPort !== undefined) - Number(b.PublicPort !== undefined);
  return open === 0 ? a.PrivatePort - b.PrivatePort : open;
}

type View = Record<string, string | null>;

/** What `ps` shows of a container. */
export function shown(row: Row, truncate: boolean): View {
  return {
    ID: truncate ? row.Id.slice(0, 12) : row.Id,
    Image: truncate ? row.Image.replace(/^sha256:(.{12}).*/, '$1') : row.Image,
    Command: JSON.stringify(truncate ? cut(row.Command, 20) : row.Command),
    CreatedAt: new Date(row.Created * 1000).toISOString().replace(/T(.*)\.000Z/, ' $1 +0000 UTC'),
    RunningFor: age(new Date(row.Created * 1000).toISOString()),
    Ports: [...row.Ports].sort(byPublished).map(portText).join(', '),
    State: row.State,
    Status: row.Status,
    Size: row.SizeRw === undefined ? '0B' : `${humanSize(row.SizeRw)} (virtual ${humanSize(row.SizeRootFs ?? 0)})`,
    Names: row.Names.map((name) => name.replace(/^\//, ''))
      .filter((name) => !truncate || !name.includes('/'))
      .join(','),
    Labels: Object.entries(row.Labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Mounts: row.Mounts.map(({ Name, Source }) => (truncate ? cut(Name ?? Source, 15) : (Name ?? Source))).join(','),
    LocalVolumes: String(row.Mounts.filter(({ Driver }) => Driver === 'local').length),
    Platform: null,
    Networks: Object.keys(row.NetworkSettings.Networks).join(','),
  };
}

/** `{{.Label "key"}}`, which JSON does not show. */
function withLabels<T extends object>(view: T, labels: Readonly<Record<string, string>>): T {
  return Object.defineProperty(view, 'Label', { value: (key: unknown) => labels[String(key)] ?? '' });
}

const PS_COLUMNS: Columns<View> = [
  ['ID', 'CONTAINER ID'],
  ['Image', 'IMAGE'],
  ['Command', 'COMMAND'],
  ['RunningFor', 'CREATED'],
  ['Status', 'STATUS'],
  ['Ports', 'PORTS'],
  ['Names', 'NAMES'],
];

const ps: Command = {
  spec: {
    command: 'lamina ps',
    usage: '[OPTIONS]',
    summary: 'List containers',
    flags: {
      all: { short: 'a', help: 'Show all containers (default shows just running)' },
      filter: FILTER,
      format: FORMAT,
      last: { short: 'n', takes: 'INT', help: 'Show n last created containers (includes all states)' },
      latest: { short: 'l', help: 'Show the latest created container (includes all states)' },
      'no-trunc': { help: "Don't truncate output" },
      quiet: { short: 'q', help: 'Only display container IDs' },
      size: { short: 's', help: 'Display total file sizes' },
    },
  },
  takes: [0, 0],
  async run(args) {
    const client = await engine();
    const limit = args.has('latest') ? '1' : args.value('last');
    const rows = await client.json<Row[]>('GET', '/containers/json', {
      query: {
        all: args.has('all'),
        size: args.has('size') || /\.Size\b|\bjson \./.test(args.value('format') ?? ''),
        limit,
        filters: filterQuery(args, ps.spec),
      },
    });
    const views = rows.map((row) => withLabels(shown(row, !args.has('no-trunc')), row.Labels));
    if (args.has('quiet')) for (const view of views) process.stdout.write(`${view['ID'] ?? ''}\n`);
    else {
      const columns: Columns<View> = args.has('size') ? [...PS_COLUMNS, ['Size', 'SIZE']] : PS_COLUMNS;
      process.stdout.write(renderRows(args.value('format'), columns, views));
    }
    return 0;
  },
};

export const commands: Commands = { ps };
