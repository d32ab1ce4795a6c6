// `lamina info`, `events`, `system df` and `system prune`: the engine as a whole.

import type { StreamMessage } from '../client/client.js';
import { FILTER, FORCE, FORMAT, INSPECT_FORMAT, PRUNE_FILTER } from './common-flags.js';
import { confirm } from './confirm.js';
import type { Command, Commands } from './command.js';
import { engine, filterQuery } from './engine.js';
import { parseTime } from './moments.js';
import { type PrunedImages, prunedImages } from './pruned-images.js';
import { df } from './disk-usage.js';
import { formatted } from './table.js';
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
      process.stdout.write(`${format === undefined ? plain : formatted(asTyped(event, format), format)}\n`);
    }
    return 0;
  },
};

/** The fields that JSON has in small letters, as templates name them. */
function asTyped(event: object, format: string): object {
  if (format === 'json') return event;
  const names = { Status: 'status', ID: 'id', From: 'from', Scope: 'scope', Time: 'time', TimeNano: 'timeNano' };
  const small = event as Readonly<Record<string, unknown>>;
  const fields = Object.entries(names).map(([name, key]) => [name, { value: small[key] ?? '', enumerable: false }] as const);
  return Object.defineProperties({ ...event }, Object.fromEntries(fields));
}

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
