// `lamina image ls` and `rm`: the engine is asked, and tells others of what it removes.

import { FILTER, FORMAT, QUIET } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, filterQuery, path } from './engine.js';
import { complain } from './failures.js';
import { splitTag } from './pull.js';
import { type Columns, renderRows } from './table.js';
import { age, humanSize } from './units.js';

export interface Listed {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly Created: number;
  readonly Size: number;
}

/** One row of `image ls`: an image has one for each of its names. */
export type Row = Readonly<Record<'Repository' | 'Tag' | 'ID' | 'CreatedAt' | 'CreatedSince' | 'Size' | 'Digest', string>> &
  Readonly<Record<string, string>>;

export const COLUMNS: Columns<Row> = [
  ['Repository', 'REPOSITORY'],
  ['Tag', 'TAG'],
  ['ID', 'IMAGE ID'],
  ['CreatedSince', 'CREATED'],
  ['Size', 'SIZE'],
];

const NONE = '<none>';

/** One row for each name of an image. */
export function rowsOf(image: Listed, truncate: boolean): Row[] {
  const shared = {
    ID: truncate ? image.Id.slice(7, 19) : image.Id,
    CreatedAt: new Date(image.Created * 1000).toISOString().replace(/T(.*)\.\d+Z$/, ' $1 +0000 UTC'),
    CreatedSince: age(new Date(image.Created * 1000).toISOString()),
    Size: humanSize(image.Size),
    Containers: 'N/A',
    SharedSize: 'N/A',
    UniqueSize: 'N/A',
  };
  const digests = new Map((image.RepoDigests ?? []).map((name) => name.split('@') as [string, string]));
  const names = (image.RepoTags ?? []).filter((name) => name !== `${NONE}:${NONE}`);
  const rows = names.map((name) => {
    const { repo, tag = NONE } = splitTag(name);
    return { ...shared, Repository: repo, Tag: tag, Digest: digests.get(repo) ?? NONE };
  });
  return rows.length > 0 ? rows : [{ ...shared, Repository: NONE, Tag: NONE, Digest: NONE }];
}

const ls: Command = {
  spec: {
    command: 'lamina image ls',
    usage: '[OPTIONS] [REPOSITORY[:TAG]]',
    summary: 'List images',
    flags: {
      all: { short: 'a', help: 'Show all images (default hides intermediate images)' },
      digests: { help: 'Show digests' },
      filter: FILTER,
      format: FORMAT,
      json: { help: 'Print a line of JSON for each image' },
      'no-trunc': { help: "Don't truncate output" },
      quiet: { ...QUIET, help: 'Only show image IDs' },
    },
  },
  takes: [0, 1],
  offline: async () => (await import('./offline-images.js')).ls,
  async run(args) {
    const [name] = args.rest;
    const filters = filterQuery(args, ls.spec, name === undefined ? {} : { reference: [name] });
    const images = await (await engine()).json<Listed[]>('GET', '/images/json', { query: { all: args.has('all'), filters } });
    const rows = images.flatMap((image) => rowsOf(image, !args.has('no-trunc')));
    if (args.has('quiet')) for (const { ID: id } of rows) process.stdout.write(`${id}\n`);
    else {
      const [repository, tag, ...rest] = COLUMNS;
      const digest = args.has('digests') ? ([['Digest', 'DIGEST']] as const) : [];
      const columns = [repository, tag, ...digest, ...rest].filter((column) => column !== undefined);
      process.stdout.write(renderRows(args.has('json') ? 'json' : args.value('format'), columns, rows));
    }
    return 0;
  },
};

const rm: Command = {
  spec: {
    command: 'lamina image rm',
    usage: '[OPTIONS] IMAGE [IMAGE...]',
    summary: 'Remove one or more images',
    flags: {
      force: { short: 'f', help: 'Force removal of the image' },
      'no-prune': { help: 'Do not delete untagged parents' },
    },
  },
  takes: [1, Infinity],
  offline: async () => (await import('./offline-images.js')).rm,
  async run(args) {
    const client = await engine();
    let code = 0;
    for (const name of args.rest) {
      try {
        const query = { force: args.has('force'), noprune: args.has('no-prune') };
        type Removed = { readonly Untagged?: string; readonly Deleted?: string };
        for (const { Untagged: untagged, Deleted: deleted } of await client.json<Removed[]>('DELETE', path('/images/', name), {
          query,
        }))
          process.stdout.write(deleted === undefined ? `Untagged: ${untagged ?? ''}\n` : `Deleted: ${deleted}\n`);
      } catch (error) {
        complain(error);
        const missing = (error as { status?: number }).status === 404;
        if (!missing || !args.has('force')) code = 1;
      }
    }
    return code;
  },
};

export const commands: Commands = { 'image ls': ls, 'image rm': rm };
