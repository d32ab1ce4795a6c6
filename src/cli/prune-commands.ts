// `prune` of each kind of thing and of all: asks, has the engine remove what nobody needs, and tells what went.

import type { Client } from '../client/client.js';
import type { Arguments, Flag } from './arguments.js';
import type { Command, Commands } from './command.js';
import { FORCE, PRUNE_FILTER } from './common-flags.js';
import { confirm } from './confirm.js';
import { engine, filterQuery } from './engine.js';
import { humanSize } from './units.js';

interface Answer {
  readonly ContainersDeleted?: readonly string[] | null;
  readonly NetworksDeleted?: readonly string[] | null;
  readonly VolumesDeleted?: readonly string[] | null;
  readonly ImagesDeleted?: readonly { readonly Untagged?: string; readonly Deleted?: string }[] | null;
  readonly SpaceReclaimed?: number;
}

/** A line for each name and each image. */
function imageLines({ ImagesDeleted: deleted }: Answer): string[] {
  return (deleted ?? []).map(({ Untagged: untagged, Deleted: gone }) =>
    untagged === undefined ? `deleted: ${gone ?? ''}` : `untagged: ${untagged}`,
  );
}

/** How what went is called, and where the engine's answer has it. */
const KINDS = {
  containers: { title: 'Deleted Containers', gone: (answer: Answer) => answer.ContainersDeleted },
  networks: { title: 'Deleted Networks', gone: (answer: Answer) => answer.NetworksDeleted },
  volumes: { title: 'Deleted Volumes', gone: (answer: Answer) => answer.VolumesDeleted },
  images: { title: 'Deleted Images', gone: imageLines },
  build: { title: '', gone: () => null },
} as const;
type Kind = keyof typeof KINDS;

/** Has the engine prune, and prints what went. Returns how many bytes that was. */
async function prune(client: Client, kind: Kind, query: Readonly<Record<string, string | boolean | undefined>>): Promise<number> {
  const answer = await client.json<Answer>('POST', `/${kind}/prune`, { query });
  const gone = KINDS[kind].gone(answer) ?? [];
  if (gone.length > 0) process.stdout.write(`${KINDS[kind].title}:\n${gone.join('\n')}\n\n`);
  return answer.SpaceReclaimed ?? 0;
}

function tellSpace(bytes: number): void {
  process.stdout.write(`Total reclaimed space: ${humanSize(bytes, 4)}\n`);
}

/** The prune of one kind. */
interface One {
  readonly command: string;
  readonly summary: string;
  readonly kind: Kind;
  readonly flags?: Readonly<Record<string, Flag>>;
  /** What goes, as the warning has it. */
  readonly what: (args: Arguments) => string;
  /** Filters beside those that are given. Errors: what is given does not go together. */
  readonly filters?: (args: Arguments) => Readonly<Record<string, readonly string[]>>;
}

function pruneOne({ command, summary, kind, flags = {}, what, filters = () => ({}) }: One): Command {
  const spec = { command, usage: '[OPTIONS]', summary, flags: { ...flags, filter: PRUNE_FILTER, force: FORCE } };
  return {
    spec,
    takes: [0, 0],
    async run(args) {
      const more = filters(args);
      if (!args.has('force') && !(await confirm(`WARNING! This will remove ${what(args)}.`))) return 0;
      const all = kind === 'build' ? { all: args.has('all') } : {};
      const space = await prune(await engine(), kind, { ...all, filters: filterQuery(args, spec, more) });
      if (kind !== 'networks') tellSpace(space);
      return 0;
    },
  };
}

const danglingOr = (args: Arguments): Record<string, string[]> => ({ dangling: [String(!args.has('all'))] });
const unusedImages = (args: Arguments): string =>
  args.has('all') ? 'all images without at least one container associated to them' : 'all dangling images';

function everyVolume(args: Arguments): Record<string, string[]> {
  if (!args.has('all')) return {};
  if (args.all('filter').some((filter) => filter.startsWith('all=')))
    throw new Error('conflicting options: cannot specify both --all and --filter all=1');
  return { all: ['true'] };
}

const system: Command = {
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
      unusedImages(args),
    ];
    const warning = `WARNING! This will remove:\n${kinds.map((kind) => `  - ${kind}\n`).join('')}`;
    if (!args.has('force') && !(await confirm(warning))) return 0;
    const client = await engine();
    const filters = filterQuery(args, system.spec);
    let space = 0;
    for (const kind of ['containers', 'networks', ...(args.has('volumes') ? ['volumes' as const] : [])] as const)
      space += await prune(client, kind, { filters });
    space += await prune(client, 'images', { filters: filterQuery(args, system.spec, danglingOr(args)) });
    tellSpace(space);
    return 0;
  },
};

export const commands: Commands = {
  'container prune': pruneOne({
    command: 'lamina container prune',
    summary: 'Remove all stopped containers',
    kind: 'containers',
    what: () => 'all stopped containers',
  }),
  'network prune': pruneOne({
    command: 'lamina network prune',
    summary: 'Remove all unused networks',
    kind: 'networks',
    what: () => 'all custom networks not used by at least one container',
  }),
  'volume prune': pruneOne({
    command: 'lamina volume prune',
    summary: 'Remove unused local volumes',
    kind: 'volumes',
    flags: { all: { short: 'a', help: 'Remove all unused volumes, not just anonymous ones' } },
    what: (args) => `${args.has('all') ? 'all' : 'anonymous'} local volumes not used by at least one container`,
    filters: everyVolume,
  }),
  'image prune': pruneOne({
    command: 'lamina image prune',
    summary: 'Remove unused images',
    kind: 'images',
    flags: { all: { short: 'a', help: 'Remove all unused images, not just dangling ones' } },
    what: unusedImages,
    filters: danglingOr,
  }),
  'builder prune': pruneOne({
    command: 'lamina builder prune',
    summary: 'Remove build cache',
    kind: 'build',
    flags: { all: { short: 'a', help: 'Remove all unused build cache, not just dangling ones' } },
    what: (args) => (args.has('all') ? 'all build cache' : 'all dangling build cache'),
  }),
  'system prune': system,
};
