// `lamina stats` of containers: what they use, once or again and again.

import { FORMAT } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, path } from './engine.js';
import { type Columns, renderRows } from './table.js';
import { humanSize } from './units.js';

interface Cpu {
  readonly cpu_usage: { readonly total_usage: number };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

interface Reading {
  readonly id: string;
  readonly name: string;
  readonly cpu_stats: Cpu;
  readonly precpu_stats: Cpu;
  readonly memory_stats: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly pids_stats: { readonly current?: number };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes: number; readonly tx_bytes: number }>>;
  readonly blkio_stats: { readonly io_service_bytes_recursive?: readonly { op: string; value: number }[] | null };
}

type Row = Record<'Container' | 'ID' | 'Name' | 'CPUPerc' | 'MemUsage' | 'MemPerc' | 'NetIO' | 'BlockIO' | 'PIDs', string>;

const COLUMNS: Columns<Row> = [
  ['ID', 'CONTAINER ID'],
  ['Name', 'NAME'],
  ['CPUPerc', 'CPU %'],
  ['MemUsage', 'MEM USAGE / LIMIT'],
  ['MemPerc', 'MEM %'],
  ['NetIO', 'NET I/O'],
  ['BlockIO', 'BLOCK I/O'],
  ['PIDs', 'PIDS'],
];

/** Binary units, as Docker shows memory. */
function memorySize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** power).toPrecision(4))}${units[power] ?? ''}`;
}

function processorShare({ cpu_stats: now, precpu_stats: before }: Reading): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const passed = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  return used > 0 && passed > 0 ? (used / passed) * (now.online_cpus ?? 1) * 100 : 0;
}

function rowOf(reading: Reading, truncate: boolean): Row {
  const { memory_stats: memory } = reading;
  // The page cache that can be dropped at any time does not count.
  const used = Math.max(0, (memory.usage ?? 0) - (memory.stats?.['inactive_file'] ?? 0));
  const limit = memory.limit ?? 0;
  const interfaces = Object.values(reading.networks ?? {});
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  const blocks = (op: string): number =>
    sum(
      (reading.blkio_stats.io_service_bytes_recursive ?? [])
        .filter((entry) => entry.op.toLowerCase() === op)
        .map(({ value }) => value),
    );
  const received = sum(interfaces.map(({ rx_bytes: bytes }) => bytes));
  const sent = sum(interfaces.map(({ tx_bytes: bytes }) => bytes));
  const id = truncate ? reading.id.slice(0, 12) : reading.id;
  return {
    Container: id,
    ID: id,
    Name: reading.name.replace(/^\//, ''),
    CPUPerc: `${processorShare(reading).toFixed(2)}%`,
    MemUsage: `${memorySize(used)} / ${memorySize(limit)}`,
    MemPerc: `${(limit > 0 ? (used / limit) * 100 : 0).toFixed(2)}%`,
    NetIO: `${humanSize(received)} / ${humanSize(sent)}`,
    BlockIO: `${humanSize(blocks('read'))} / ${humanSize(blocks('write'))}`,
    PIDs: String(reading.pids_stats.current ?? 0),
  };
}

const PAUSE_MS = 500;

const stats: Command = {
  spec: {
    command: 'lamina stats',
    usage: '[OPTIONS] [CONTAINER...]\n        lamina stats [--json] TARGET',
    summary: 'What containers use; of a TARGET directory, the requests its mount has served',
    flags: {
      all: { short: 'a', help: 'Show all containers (default shows just running)' },
      format: FORMAT,
      'no-stream': { help: 'Disable streaming stats and only pull the first result' },
      'no-trunc': { help: 'Do not truncate output' },
    },
  },
  takes: [0, Infinity],
  async run(args) {
    const client = await engine();
    const render = async (): Promise<string> => {
      const names =
        args.rest.length > 0
          ? args.rest
          : (await client.json<{ Id: string }[]>('GET', '/containers/json', { query: { all: args.has('all') } })).map(
              ({ Id: id }) => id,
            );
      const readings = await Promise.all(
        names.map((name) => client.json<Reading>('GET', path('/containers/', name, '/stats'), { query: { stream: '0' } })),
      );
      const rows = readings.map((reading) => rowOf(reading, !args.has('no-trunc')));
      return renderRows(args.value('format'), COLUMNS, rows);
    };
    if (args.has('no-stream')) {
      process.stdout.write(await render());
      return 0;
    }
    for (;;) {
      const text = await render();
      process.stdout.write(process.stdout.isTTY ? `\x1b[H\x1b[J${text}` : text);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  },
};

export const commands: Commands = { stats };
