// Volumes at the command line: what `-v` and `--mount` ask for becomes routes, with named and anonymous volumes made and
// filled from the image; `lamina volume ls|rm`.

import { dataRoot, type Store, volumeRecords, withStore } from '../store/index.js';
import { openSource } from '../volume/backing.js';
import { parseMount } from '../volume/mount-flag.js';
import { openVolume, removeVolume } from '../volume/named.js';
import { fillVolume } from '../volume/content.js';
import { combineVolumes, parseVolume, type VolumeSpec } from '../volume/spec.js';
import type { RouteRequest } from '../transport/check.js';
import { readRecords } from '../transport/registry.js';
import { type CommandSpec, UsageError, helpText, parseArguments } from './arguments.js';
import { table } from './table.js';
import { ownScheme } from '../layer/scheme.js';

/** Routes ready to be mounted, and the way back when the mount then fails. */
export interface OpenedRoutes {
  routes: RouteRequest[];
  /** Removes the anonymous volumes that were made. */
  undo: () => Promise<void>;
}

class RouteOpener {
  readonly routes: RouteRequest[] = [];
  readonly #anonymous: string[] = [];

  constructor(
    private readonly root: string,
    /** What the union will show, topmost first. */
    private readonly layers: readonly string[],
  ) {}

  async open(store: Store | undefined, spec: VolumeSpec): Promise<void> {
    this.routes.push({ source: await this.#source(store, spec), destination: spec.destination, readOnly: spec.readOnly });
  }

  async #source(store: Store | undefined, spec: VolumeSpec): Promise<string> {
    if (spec.kind === 'bind' || !store) return openSource(spec.source ?? '', spec.create);
    const volume = await openVolume(this.root, volumeRecords(store), spec.source);
    if (spec.kind === 'anonymous') this.#anonymous.push(volume.name);
    if (!spec.nocopy) await fillVolume(volume.path, this.layers, spec.destination, ownScheme());
    return volume.path;
  }

  async undo(): Promise<void> {
    if (this.#anonymous.length === 0) return;
    await withStore(this.root, async (store) => {
      for (const name of this.#anonymous) await removeVolume(this.root, volumeRecords(store), name);
    });
  }
}

/** Routes for `-v` and `--mount` arguments over the given layers. Errors: VolumeSpecError, with Docker's words. */
export async function openRoutes(
  volumes: readonly string[],
  mounts: readonly string[],
  layers: readonly string[],
): Promise<OpenedRoutes> {
  const cwd = process.cwd();
  const specs = combineVolumes([
    ...volumes.map((text) => parseVolume(text, cwd)),
    ...mounts.map((text) => parseMount(text, cwd)),
  ]);
  const root = dataRoot();
  const opener = new RouteOpener(root, layers);
  const open = async (store: Store | undefined): Promise<void> => {
    for (const spec of specs) await opener.open(store, spec);
  };
  try {
    // The database is opened only when a volume of ours is asked for.
    if (specs.every((spec) => spec.kind === 'bind')) await open(undefined);
    else await withStore(root, open);
  } catch (error) {
    await opener.undo();
    throw error;
  }
  return { routes: opener.routes, undo: () => opener.undo() };
}

const LS: CommandSpec = {
  command: 'lamina volume ls',
  usage: '[OPTIONS]',
  summary: 'List volumes',
  flags: { quiet: { short: 'q', help: 'Only names' }, json: { help: 'Print JSON' } },
};
const RM: CommandSpec = {
  command: 'lamina volume rm',
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  summary: 'Remove volumes that no mount uses',
  flags: {},
};

async function ls(argv: readonly string[]): Promise<number> {
  const args = parseArguments(LS, argv);
  if (args.has('help')) {
    process.stdout.write(helpText(LS));
    return 0;
  }
  const volumes = await withStore(dataRoot(), (store) => volumeRecords(store).list());
  if (args.has('json')) process.stdout.write(`${JSON.stringify(volumes, undefined, 2)}\n`);
  else if (args.has('quiet')) for (const volume of volumes) process.stdout.write(`${volume.name}\n`);
  else
    process.stdout.write(
      table(
        ['DRIVER', 'VOLUME NAME'],
        volumes.map((volume) => ['local', volume.name]),
      ),
    );
  return 0;
}

async function rm(argv: readonly string[]): Promise<number> {
  const args = parseArguments(RM, argv);
  if (args.has('help')) {
    process.stdout.write(helpText(RM));
    return 0;
  }
  if (args.rest.length === 0) throw new UsageError('"lamina volume rm" requires at least 1 argument.', RM.command);
  let code = 0;
  for (const name of args.rest) {
    const error = await withStore(dataRoot(), (store) => removeOne(store, name));
    if (error === undefined) process.stdout.write(`${name}\n`);
    else process.stderr.write(`lamina: ${error}\n`);
    if (error !== undefined) code = 1;
  }
  return code;
}

async function removeOne(store: Store, name: string): Promise<string | undefined> {
  const volume = await volumeRecords(store).get(name);
  if (!volume) return `get ${name}: no such volume`;
  const containers = await store.transaction((records) => records.list('container'));
  const users = containers.filter(({ mounts }) => mounts.some((mount) => mount.Name === name)).map(({ id }) => id);
  if (users.length > 0) return `remove ${name}: volume is in use - [${users.join(', ')}]`;
  const user = readRecords().find((record) => record.routes.some((route) => route.source === volume.path));
  if (user) return `remove ${name}: volume is in use - [${user.target}]`;
  await removeVolume(dataRoot(), volumeRecords(store), name);
  return undefined;
}

export async function volumeCommand(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  if (command === 'ls') return ls(rest);
  if (command === 'rm') return rm(rest);
  process.stdout.write('Usage:  lamina volume ls|rm [OPTIONS]\n\nList and remove named volumes\n');
  return command === undefined || command === '--help' || command === '-h' ? 0 : 1;
}
