// `lamina image load|ls|rm|inspect`: arguments in, Docker's output and exit codes out. Called by the command dispatcher.

import {
  ImageError,
  ImageInUse,
  InvalidReference,
  listImages,
  loadImage,
  NoSuchImage,
  removeImage,
  resolveImage,
  familiarName,
} from '../image/index.js';
import type { Image, RemoveOptions } from '../image/index.js';
import { dataRoot, StoreError, withStore } from '../store/index.js';
import { COLUMNS, fill, inspection, rowsOf, table, TemplateError } from './image-output.js';
import type { Row } from './image-output.js';
import { ProgressBar } from './image-progress.js';
import type { Terminal } from './image-progress.js';

/** Where a command reads and writes; `process` is one. */
export interface ImageIo {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Terminal;
  readonly stderr: { write(text: string): unknown };
}

export interface ImageCommandOptions {
  /** The data root; `dataRoot()` by default. */
  readonly root?: string;
  /** Who uses an image's layers, for `rm`. */
  readonly inUse?: RemoveOptions['inUse'];
}

class Usage extends Error {}

/** Flags by their long name; an entry gives whether it takes a value. Positional arguments are what remains. */
interface Arguments {
  readonly flags: ReadonlyMap<string, string>;
  readonly rest: readonly string[];
}

type Spec = Readonly<Record<string, { readonly takes?: string; readonly short?: string }>>;

function parse(argv: readonly string[], spec: Spec): Arguments {
  const flags = new Map<string, string>();
  const rest: string[] = [];
  const pending = [...argv];
  for (let word = pending.shift(); word !== undefined; word = pending.shift()) {
    if (word === '--') {
      rest.push(...pending);
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      rest.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const given = equals === -1 ? word : word.slice(0, equals);
    const name = Object.keys(spec).find(
      (key) => given === `--${key}` || (spec[key]?.short !== undefined && given === `-${spec[key].short}`),
    );
    if (name === undefined) throw new Usage(`unknown flag: ${given}`);
    if (spec[name]?.takes === undefined) {
      if (equals !== -1) throw new Usage(`flag takes no argument: ${given}`);
      flags.set(name, '');
      continue;
    }
    const value = equals === -1 ? pending.shift() : word.slice(equals + 1);
    if (value === undefined) throw new Usage(`flag needs an argument: ${given}`);
    flags.set(name, value);
  }
  return { flags, rest };
}

const HELP: Readonly<Record<string, string>> = {
  load: 'Usage: lamina image load [-i FILE | FILE | DIRECTORY] [-q] [--name NAME[:TAG]]\n\nLoad images from a docker-save archive or an OCI layout (a directory, a tar, or standard input)\n',
  ls: 'Usage: lamina image ls [-q] [--no-trunc] [--json | --format json|TEMPLATE] [NAME]\n\nList images\n',
  rm: 'Usage: lamina image rm [-f] IMAGE [IMAGE...]\n\nRemove names, and images that lose their last one\n',
  inspect: 'Usage: lamina image inspect [--format TEMPLATE] IMAGE [IMAGE...]\n\nShow images in detail, as JSON\n',
};

/** Aborts on SIGINT and SIGTERM while `fn` runs, so that unfinished work is removed; gives 128 + the signal then. */
async function interruptible(fn: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const abort = new AbortController();
  let code = 0;
  const stop = (number: number) => (): void => {
    code = 128 + number;
    abort.abort();
  };
  const handlers = { SIGINT: stop(2), SIGTERM: stop(15) };
  process.on('SIGINT', handlers.SIGINT).on('SIGTERM', handlers.SIGTERM);
  try {
    return await fn(abort.signal);
  } catch (error) {
    if (abort.signal.aborted) return code;
    throw error;
  } finally {
    process.off('SIGINT', handlers.SIGINT).off('SIGTERM', handlers.SIGTERM);
  }
}

async function load(argv: readonly string[], io: ImageIo, root: string): Promise<number> {
  const { flags, rest } = parse(argv, { input: { takes: 'FILE', short: 'i' }, quiet: { short: 'q' }, name: { takes: 'NAME' } });
  const named = [...(flags.has('input') ? [flags.get('input') ?? ''] : []), ...rest];
  if (named.length > 1) throw new Usage('one archive at a time');
  const path = named[0];
  const fromStdin = path === undefined || path === '-';
  if (fromStdin && io.stdin.isTTY) throw new Usage('requested load from stdin, but stdin is empty');
  const bar = io.stdout.isTTY && !flags.has('quiet') ? new ProgressBar(io.stdout) : undefined;
  return interruptible(async (signal) => {
    const loaded = await withStore(root, (store) =>
      loadImage(store, fromStdin ? io.stdin : path, { progress: bar?.show, signal, name: flags.get('name') }),
    ).finally(() => bar?.end());
    for (const { id, names } of loaded.images) {
      if (names.length === 0) io.stdout.write(`Loaded image ID: sha256:${id}\n`);
      for (const name of names) io.stdout.write(`Loaded image: ${familiarName(name)}\n`);
    }
    for (const [kind, count] of loaded.omitted)
      io.stderr.write(`Warning: ${kind} could not be kept for ${count} entries (not permitted or not supported here)\n`);
    return 0;
  });
}

function matches(row: Row, filter: string | undefined): boolean {
  return filter === undefined || familiarName(row.Repository) === filter || `${row.Repository}:${row.Tag}` === filter;
}

async function ls(argv: readonly string[], io: ImageIo, root: string): Promise<number> {
  const spec = { quiet: { short: 'q' }, 'no-trunc': {}, json: {}, all: { short: 'a' }, format: { takes: 'TEMPLATE' } };
  const { flags, rest } = parse(argv, spec);
  if (rest.length > 1) throw new Usage('give at most one name');
  const images = await withStore(root, listImages);
  const rows = images.flatMap((image) => rowsOf(image, !flags.has('no-trunc'))).filter((row) => matches(row, rest[0]));
  const format = flags.has('json') ? 'json' : flags.get('format');
  if (flags.has('quiet')) for (const id of new Set(rows.map((row) => row.ID))) io.stdout.write(`${id}\n`);
  else if (format === 'json') for (const row of rows) io.stdout.write(`${JSON.stringify(row)}\n`);
  else if (format !== undefined && format !== 'table') for (const row of rows) io.stdout.write(`${fill(format, row)}\n`);
  else io.stdout.write(table([COLUMNS.map(([, title]) => title), ...rows.map((row) => COLUMNS.map(([key]) => row[key]))]));
  return 0;
}

/** Runs `each` on all arguments; failures are printed and make the exit code 1. */
async function forEach(names: readonly string[], io: ImageIo, each: (name: string) => Promise<void>): Promise<number> {
  let code = 0;
  for (const name of names) {
    try {
      await each(name);
    } catch (error) {
      io.stderr.write(`Error: ${explain(error)}\n`);
      code = 1;
    }
  }
  return code;
}

async function rm(argv: readonly string[], io: ImageIo, root: string, inUse: RemoveOptions['inUse']): Promise<number> {
  const { flags, rest } = parse(argv, { force: { short: 'f' } });
  if (rest.length === 0) throw new Usage('"lamina image rm" requires at least 1 argument');
  return withStore(root, (store) =>
    forEach(rest, io, async (name) => {
      const { untagged, deleted } = await removeImage(store, name, { force: flags.has('force'), inUse });
      for (const each of untagged) io.stdout.write(`Untagged: ${familiarName(each)}\n`);
      for (const each of deleted) io.stdout.write(`Deleted: ${each}\n`);
    }),
  );
}

async function inspect(argv: readonly string[], io: ImageIo, root: string): Promise<number> {
  const { flags, rest } = parse(argv, { format: { takes: 'TEMPLATE', short: 'f' }, json: {} });
  if (rest.length === 0) throw new Usage('"lamina image inspect" requires at least 1 argument');
  const found: Image[] = [];
  const code = await withStore(root, (store) =>
    forEach(rest, io, async (name) => void found.push(await resolveImage(store, name))),
  );
  const format = flags.get('format');
  const shown = found.map(inspection);
  if (format === undefined || format === 'json') io.stdout.write(`${JSON.stringify(shown, null, format === 'json' ? 0 : 4)}\n`);
  else for (const image of shown) io.stdout.write(`${fill(format, image)}\n`);
  return code;
}

/** The message of an error that is meant for the user; others keep their name, as they are our fault. */
function explain(error: unknown): string {
  const known = [ImageError, ImageInUse, InvalidReference, NoSuchImage, StoreError, TemplateError];
  if (known.some((kind) => error instanceof kind)) return (error as Error).message;
  return error instanceof Error ? `unexpected: ${error.stack ?? error.message}` : String(error);
}

/** Runs `lamina image ARGV`. Returns the exit code: 0, 1 for a failure, 125 for wrong usage. */
export async function imageCommand(argv: readonly string[], io: ImageIo, options: ImageCommandOptions = {}): Promise<number> {
  const [command = '', ...rest] = argv;
  const verb = { list: 'ls', remove: 'rm' }[command] ?? command;
  const help = HELP[verb];
  if (help === undefined || rest.includes('--help') || rest.includes('-h')) {
    const text = help ?? `Usage: lamina image COMMAND\n\nCommands: load, ls, rm, inspect\n`;
    const asked = help !== undefined || command === '' || command === '--help' || command === '-h';
    (asked ? io.stdout : io.stderr).write(asked ? text : `Error: unknown command "lamina image ${command}"\n\n${text}`);
    return asked ? 0 : 125;
  }
  const root = options.root ?? dataRoot();
  try {
    if (verb === 'load') return await load(rest, io, root);
    if (verb === 'ls') return await ls(rest, io, root);
    if (verb === 'rm') return await rm(rest, io, root, options.inUse);
    return await inspect(rest, io, root);
  } catch (error) {
    const usage = error instanceof Usage;
    io.stderr.write(usage ? `Error: ${error.message}\nSee 'lamina image ${verb} --help'.\n` : `Error: ${explain(error)}\n`);
    return usage ? 125 : 1;
  }
}
