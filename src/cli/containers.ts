// Commands on containers that need no terminal: listing, inspecting, signals, removal.

import { type Client } from '../client/client.js';
import { copyRaw, demultiplex } from '../client/streams.js';
import type { Arguments, Flag } from './arguments.js';
import { type Command, engine, filterQuery, forEach, path } from './engine.js';
import { age, humanSize } from './units.js';
import { parseTime } from './moments.js';
import { type Columns, fillTemplate, renderRows, table } from './table.js';

const FILTER: Flag = { short: 'f', takes: 'KEY=VALUE', many: true, help: 'Filter output based on conditions provided' };
const PRUNE_FILTER: Flag = { takes: 'KEY=VALUE', many: true, help: 'Provide filter values' };
const FORMAT: Flag = { takes: 'TEMPLATE', help: "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };

interface Port {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

interface Row {
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
  readonly Mounts: readonly { readonly Name?: string; readonly Source: string }[];
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, object>> };
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function portText({ IP: ip, PrivatePort: inner, PublicPort: outer, Type: type }: Port): string {
  return outer === undefined ? `${inner}/${type}` : `${ip ?? ''}:${outer}->${inner}/${type}`;
}

/** What `ps` shows of a container. */
function shown(row: Row, truncate: boolean): Record<string, string> {
  return {
    ID: truncate ? row.Id.slice(0, 12) : row.Id,
    Image: row.Image,
    Command: JSON.stringify(truncate ? cut(row.Command, 20) : row.Command),
    CreatedAt: new Date(row.Created * 1000).toISOString().replace(/T(.*)\.000Z/, ' $1 +0000 UTC'),
    RunningFor: age(new Date(row.Created * 1000).toISOString()),
    Ports: [...row.Ports]
      .sort((a, b) => a.PrivatePort - b.PrivatePort)
      .map(portText)
      .join(', '),
    State: row.State,
    Status: row.Status,
    Size: row.SizeRw === undefined ? '0B' : `${humanSize(row.SizeRw)} (virtual ${humanSize(row.SizeRootFs ?? 0)})`,
    Names: row.Names.map((name) => name.replace(/^\//, '')).join(','),
    Labels: Object.entries(row.Labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Mounts: row.Mounts.map(({ Name, Source }) => (truncate ? cut(Name ?? Source, 15) : (Name ?? Source))).join(','),
    LocalVolumes: String(row.Mounts.filter(({ Name }) => Name !== undefined).length),
    Networks: Object.keys(row.NetworkSettings.Networks).join(','),
  };
}

/** `{{.Label "key"}}`, which JSON does not show. */
function withLabels<T extends object>(view: T, labels: Readonly<Record<string, string>>): T {
  return Object.defineProperty(view, 'Label', { value: (key: unknown) => labels[String(key)] ?? '' });
}

const PS_COLUMNS: Columns<Record<string, string>> = [
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
      query: { all: args.has('all'), size: args.has('size'), limit, filters: filterQuery(args, ps.spec) },
    });
    const views = rows.map((row) => withLabels(shown(row, !args.has('no-trunc')), row.Labels));
    if (args.has('quiet')) for (const view of views) process.stdout.write(`${view['ID'] ?? ''}\n`);
    else {
      const columns: Columns<Record<string, string>> = args.has('size') ? [...PS_COLUMNS, ['Size', 'SIZE']] : PS_COLUMNS;
      process.stdout.write(renderRows(args.value('format'), columns, views));
    }
    return 0;
  },
};

function post(
  client: Client,
  name: string,
  action: string,
  query: Readonly<Record<string, string | undefined>> = {},
): Promise<string> {
  return client.call('POST', path('/containers/', name, `/${action}`), { query }).then((response) => {
    response.resume();
    return name;
  });
}

/** A command that does one thing to each container and prints its name. */
function simple(
  name: string,
  summary: string,
  flags: Readonly<Record<string, Flag>>,
  queryOf: (args: Arguments) => Readonly<Record<string, string | undefined>>,
): Command {
  return {
    spec: { command: `lamina ${name}`, usage: '[OPTIONS] CONTAINER [CONTAINER...]', summary, flags },
    takes: [1, Infinity],
    async run(args) {
      const client = await engine();
      return forEach(args.rest, (each) => post(client, each, name, queryOf(args)));
    },
  };
}

const STOP_FLAGS = {
  signal: { short: 's', takes: 'SIGNAL', help: 'Signal to send to the container' },
  time: { short: 't', takes: 'SECONDS', help: 'Seconds to wait before killing the container' },
};
const stopQuery = (args: Arguments): Record<string, string | undefined> => ({
  signal: args.value('signal'),
  t: args.value('time'),
});

const rm: Command = {
  spec: {
    command: 'lamina rm',
    usage: '[OPTIONS] CONTAINER [CONTAINER...]',
    summary: 'Remove one or more containers',
    flags: {
      force: { short: 'f', help: 'Force the removal of a running container (uses SIGKILL)' },
      volumes: { short: 'v', help: 'Remove anonymous volumes associated with the container' },
    },
  },
  takes: [1, Infinity],
  async run(args) {
    const client = await engine();
    return forEach(args.rest, async (name) => {
      try {
        (
          await client.call('DELETE', path('/containers/', name), { query: { force: args.has('force'), v: args.has('volumes') } })
        ).resume();
        return name;
      } catch (error) {
        if (args.has('force') && (error as { status?: number }).status === 404) return undefined;
        throw error;
      }
    });
  },
};

const wait: Command = {
  spec: {
    command: 'lamina wait',
    usage: 'CONTAINER [CONTAINER...]',
    summary: 'Block until one or more containers stop, then print their exit codes',
    flags: {},
  },
  takes: [1, Infinity],
  async run(args) {
    const client = await engine();
    return forEach(args.rest, async (name) => {
      const { StatusCode: code } = await client.json<{ StatusCode: number }>('POST', path('/containers/', name, '/wait'));
      return String(code);
    });
  },
};

const rename: Command = {
  spec: { command: 'lamina rename', usage: 'CONTAINER NEW_NAME', summary: 'Rename a container', flags: {} },
  takes: [2, 2],
  async run(args) {
    const [name = '', to] = args.rest;
    await post(await engine(), name, 'rename', { name: to });
    return 0;
  },
};

const logs: Command = {
  spec: {
    command: 'lamina logs',
    usage: '[OPTIONS] CONTAINER',
    summary: 'Fetch the logs of a container',
    flags: {
      details: { help: 'Show extra details provided to logs' },
      follow: { short: 'f', help: 'Follow log output' },
      since: { takes: 'TIME', help: 'Show logs since timestamp or relative (e.g. 42m)' },
      tail: { short: 'n', takes: 'LINES', help: 'Number of lines to show from the end of the logs (default all)' },
      timestamps: { short: 't', help: 'Show timestamps' },
      until: { takes: 'TIME', help: 'Show logs before a timestamp or relative (e.g. 42m)' },
    },
  },
  takes: [1, 1],
  async run(args) {
    const client = await engine();
    const [name = ''] = args.rest;
    const { Config: config } = await client.json<{ Config: { Tty: boolean } }>('GET', path('/containers/', name, '/json'));
    const response = await client.call('GET', path('/containers/', name, '/logs'), {
      query: {
        stdout: true,
        stderr: true,
        follow: args.has('follow'),
        timestamps: args.has('timestamps'),
        details: args.has('details'),
        tail: args.value('tail') ?? 'all',
        since: parseTime(args.value('since')),
        until: parseTime(args.value('until')),
      },
    });
    await (config.Tty ? copyRaw(response, process.stdout) : demultiplex(response, process.stdout, process.stderr));
    return 0;
  },
};

/** Docker's, of a column of `top`. */
const TOP_NARROWEST = 17;

const top: Command = {
  spec: {
    command: 'lamina top',
    usage: 'CONTAINER [ps OPTIONS]',
    summary: 'Display the running processes of a container',
    flags: {},
    stopAtFirst: true,
  },
  takes: [1, Infinity],
  async run(args) {
    const [name = '', ...options] = args.rest;
    const { Titles: titles, Processes: rows } = await (
      await engine()
    ).json<{ Titles: string[]; Processes: string[][] }>('GET', path('/containers/', name, '/top'), {
      query: { ps_args: options.join(' ') },
    });
    process.stdout.write(table(titles, rows, TOP_NARROWEST));
    return 0;
  },
};

const port: Command = {
  spec: {
    command: 'lamina port',
    usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
    summary: 'List port mappings or a specific mapping for the container',
    flags: {},
  },
  takes: [1, 2],
  async run(args) {
    const [name = '', wanted] = args.rest;
    const { NetworkSettings: settings } = await (
      await engine()
    ).json<{
      NetworkSettings: { Ports: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>> };
    }>('GET', path('/containers/', name, '/json'));
    const key = wanted === undefined ? undefined : wanted.includes('/') ? wanted : `${wanted}/tcp`;
    const bound = Object.entries(settings.Ports).flatMap(([inner, list]) => (list ?? []).map((each) => ({ inner, ...each })));
    const found = bound.filter(({ inner }) => key === undefined || inner === key);
    if (key !== undefined && found.length === 0) throw new Error(`no public port '${key}' published for ${name}`);
    for (const { inner, HostIp: ip, HostPort: outer } of found) {
      process.stdout.write(key === undefined ? `${inner} -> ${ip}:${outer}\n` : `${ip}:${outer}\n`);
    }
    return 0;
  },
};

const inspect: Command = {
  spec: {
    command: 'lamina inspect',
    usage: '[OPTIONS] NAME|ID [NAME|ID...]',
    summary: 'Return low-level information on containers, images, volumes and networks',
    flags: {
      format: { short: 'f', takes: 'TEMPLATE', help: "Format output: 'json' or a Go template" },
      size: { short: 's', help: 'Display total file sizes if the type is container' },
      type: { takes: 'TYPE', help: 'Only inspect objects of the given type' },
    },
  },
  takes: [1, Infinity],
  async run(args) {
    return inspectObjects(args, args.value('type'));
  },
};

const KINDS: Readonly<Record<string, string>> = {
  container: '/containers/',
  image: '/images/',
  network: '/networks/',
  volume: '/volumes/',
};

async function inspectOne(client: Client, name: string, type: string | undefined, size: boolean): Promise<unknown> {
  for (const [kind, base] of Object.entries(KINDS)) {
    if (type !== undefined && type !== kind) continue;
    const suffix = kind === 'container' || kind === 'image' ? '/json' : '';
    try {
      return await client.json('GET', path(base, name, suffix), { query: { size: kind === 'container' && size } });
    } catch (error) {
      if (type !== undefined || (error as { status?: number }).status !== 404) throw error;
    }
  }
  throw new Error(`no such object: ${name}`);
}

/** `inspect`, of any kind or of one. */
export async function inspectObjects(args: Arguments, type: string | undefined): Promise<number> {
  const client = await engine();
  if (type !== undefined && !(type in KINDS)) throw new Error(`"${type}" is not a valid value for --type`);
  const found: unknown[] = [];
  const code = await forEach(args.rest, async (name) => {
    found.push(await inspectOne(client, name, type, args.has('size')));
    return undefined;
  });
  const format = args.value('format');
  if (format === undefined) process.stdout.write(`${JSON.stringify(found, null, 4)}\n`);
  else
    for (const each of found) process.stdout.write(`${format === 'json' ? JSON.stringify(each) : fillTemplate(format, each)}\n`);
  return code;
}

const update: Command = {
  spec: {
    command: 'lamina update',
    usage: '[OPTIONS] CONTAINER [CONTAINER...]',
    summary: 'Update configuration of one or more containers',
    flags: {
      cpus: { takes: 'DECIMAL', help: 'Number of CPUs' },
      memory: { short: 'm', takes: 'BYTES', help: 'Memory limit' },
      'pids-limit': { takes: 'INT', help: 'Tune container pids limit' },
      restart: { takes: 'POLICY', help: 'Restart policy to apply when a container exits' },
    },
  },
  takes: [1, Infinity],
  async run(args) {
    const client = await engine();
    const { createBody } = await import('./create-body.js');
    const { HostConfig: host } = createBody(args, 'lamina update', true) as { HostConfig: Record<string, unknown> };
    const fields = { cpus: 'NanoCpus', memory: 'Memory', 'pids-limit': 'PidsLimit', restart: 'RestartPolicy' };
    const body = Object.fromEntries(
      Object.entries(fields).flatMap(([flag, field]) => (args.has(flag) ? [[field, host[field]]] : [])),
    );
    return forEach(args.rest, async (name) => {
      await client.json('POST', path('/containers/', name, '/update'), { body });
      return name;
    });
  },
};

const prune: Command = {
  spec: {
    command: 'lamina container prune',
    usage: '[OPTIONS]',
    summary: 'Remove all stopped containers',
    flags: { filter: PRUNE_FILTER, force: { short: 'f', help: 'Do not prompt for confirmation' } },
  },
  takes: [0, 0],
  async run(args) {
    const { confirm } = await import('./confirm.js');
    if (!args.has('force') && !(await confirm('WARNING! This will remove all stopped containers.'))) return 0;
    const answer = await (
      await engine()
    ).json<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }>('POST', '/containers/prune', {
      query: { filters: filterQuery(args, prune.spec) },
    });
    const deleted = answer.ContainersDeleted ?? [];
    if (deleted.length > 0) process.stdout.write(`Deleted Containers:\n${deleted.join('\n')}\n\n`);
    process.stdout.write(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed, 4)}\n`);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = {
  ps,
  rm,
  wait,
  rename,
  logs,
  top,
  port,
  inspect,
  update,
  prune,
  stop: simple('stop', 'Stop one or more running containers', STOP_FLAGS, stopQuery),
  restart: simple('restart', 'Restart one or more containers', STOP_FLAGS, stopQuery),
  kill: simple('kill', 'Kill one or more running containers', { signal: STOP_FLAGS.signal }, (args) => ({
    signal: args.value('signal'),
  })),
  pause: simple('pause', 'Pause all processes within one or more containers', {}, () => ({})),
  unpause: simple('unpause', 'Unpause all processes within one or more containers', {}, () => ({})),
};
