// `lamina info`, `events` and `system df`: the engine as a whole.

import type { StreamMessage } from '../client/client.js';
import { FILTER, FORMAT, INSPECT_FORMAT } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, filterQuery } from './engine.js';
import { parseTime } from './moments.js';
import { df } from './disk-usage.js';
import { formatted } from './table.js';

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

export const commands: Commands = { info, events, 'system df': df };
