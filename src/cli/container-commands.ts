// Commands on containers that join no terminal: from signals and logs to limits and removal.

import { type Client } from '../client/client.js';
import { copyRaw, demultiplex } from '../client/streams.js';
import type { Arguments, Flag } from './arguments.js';
import type { Command, Commands } from './command.js';
import { engine, path } from './engine.js';
import { complain, forEach } from './failures.js';
import { inspectKind } from './inspect.js';
import { parseTime } from './moments.js';
import { table } from './table.js';

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
      link: { short: 'l', help: 'Remove the specified link' },
      volumes: { short: 'v', help: 'Remove anonymous volumes associated with the container' },
    },
  },
  takes: [1, Infinity],
  async run(args) {
    const client = await engine();
    return forEach(args.rest, async (name) => {
      try {
        const query = { force: args.has('force'), v: args.has('volumes'), link: args.has('link') };
        (await client.call('DELETE', path('/containers/', name), { query })).resume();
        return name;
      } catch (error) {
        if (!args.has('force') || (error as { status?: number }).status !== 404) throw error;
        complain(error);
        return undefined;
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
    try {
      await post(await engine(), name, 'rename', { name: to });
      return 0;
    } catch (error) {
      complain(error);
      process.stderr.write(`Error: failed to rename container named ${name}\n`);
      return 1;
    }
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
    if (key !== undefined && found.length === 0) throw new Error(`Error: No public port '${wanted ?? ''}' published for ${name}`);
    for (const { inner, HostIp: ip, HostPort: outer } of found) {
      process.stdout.write(key === undefined ? `${inner} -> ${ip}:${outer}\n` : `${ip}:${outer}\n`);
    }
    return 0;
  },
};

/** Fields of HostConfig that `update` changes, by their flags. */
const UPDATED: Readonly<Record<string, string>> = {
  'cpu-period': 'CpuPeriod',
  'cpu-quota': 'CpuQuota',
  'cpu-shares': 'CpuShares',
  cpus: 'NanoCpus',
  'cpuset-cpus': 'CpusetCpus',
  'cpuset-mems': 'CpusetMems',
  memory: 'Memory',
  'memory-reservation': 'MemoryReservation',
  'memory-swap': 'MemorySwap',
  'pids-limit': 'PidsLimit',
  restart: 'RestartPolicy',
};

const update: Command = {
  spec: {
    command: 'lamina update',
    usage: '[OPTIONS] CONTAINER [CONTAINER...]',
    summary: 'Update configuration of one or more containers',
    flags: {
      'cpu-period': { takes: 'INT', help: 'Limit CPU CFS (Completely Fair Scheduler) period' },
      'cpu-quota': { takes: 'INT', help: 'Limit CPU CFS (Completely Fair Scheduler) quota' },
      'cpu-shares': { short: 'c', takes: 'INT', help: 'CPU shares (relative weight)' },
      cpus: { takes: 'DECIMAL', help: 'Number of CPUs' },
      'cpuset-cpus': { takes: 'LIST', help: 'CPUs in which to allow execution (0-3, 0,1)' },
      'cpuset-mems': { takes: 'LIST', help: 'MEMs in which to allow execution (0-3, 0,1)' },
      memory: { short: 'm', takes: 'BYTES', help: 'Memory limit' },
      'memory-reservation': { takes: 'BYTES', help: 'Memory soft limit' },
      'memory-swap': { takes: 'BYTES', help: 'Swap limit equal to memory plus swap: -1 to enable unlimited swap' },
      'pids-limit': { takes: 'INT', help: 'Tune container pids limit (set -1 for unlimited)' },
      restart: { takes: 'POLICY', help: 'Restart policy to apply when a container exits' },
    },
  },
  takes: [1, Infinity],
  async run(args) {
    const client = await engine();
    const { ContainerFlags, hostConfig } = await import('./host-config.js');
    const host = hostConfig(new ContainerFlags(args, 'lamina update')) as Readonly<Record<string, unknown>>;
    const body = Object.fromEntries(
      Object.entries(UPDATED).flatMap(([flag, field]) => (args.has(flag) ? [[field, host[field]]] : [])),
    );
    if (Object.keys(body).length === 0) throw new Error('you must provide one or more flags when using this command');
    return forEach(args.rest, async (name) => {
      await client.json('POST', path('/containers/', name, '/update'), { body });
      return name;
    });
  },
};

export const commands: Commands = {
  rm,
  wait,
  rename,
  logs,
  top,
  port,
  update,
  'container inspect': inspectKind('container'),
  stop: simple('stop', 'Stop one or more running containers', STOP_FLAGS, stopQuery),
  restart: simple('restart', 'Restart one or more containers', STOP_FLAGS, stopQuery),
  kill: simple('kill', 'Kill one or more running containers', { signal: STOP_FLAGS.signal }, (args) => ({
    signal: args.value('signal'),
  })),
  pause: simple('pause', 'Pause all processes within one or more containers', {}, () => ({})),
  unpause: simple('unpause', 'Unpause all processes within one or more containers', {}, () => ({})),
};
