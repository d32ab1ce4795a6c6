// `lamina image load|ls|rm|inspect`: arguments in, Docker's output and exit codes out. Called by the command dispatcher.

import {
  ImageError,
  ImageInUse,
  InvalidReference,
  listImages,
  listedImages,
  loadImage,
  NoSuchImage,
  removeImage,
  resolveImage,
  familiarName,
} from '../image/index.js';
import type { Image, RemoveOptions } from '../image/index.js';
import { dataRoot, StoreError, withStore } from '../store/index.js';
import { inspection } from '../engine/image-view.js';
import { type CommandSpec, UsageError, helpText, parseArguments } from './arguments.js';
import { FORMAT } from './common-flags.js';
import { COLUMNS, rowsOf } from './image-output.js';
import { TemplateError, fillTemplate, renderRows } from './table.js';
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

export const LOAD: CommandSpec = {
  command: 'lamina image load',
  usage: '[OPTIONS] [FILE|DIRECTORY]',
  summary: 'Load images from a docker-save archive or an OCI layout (a directory, a tar, or standard input)',
  flags: {
    input: { short: 'i', takes: 'FILE', help: 'Read from a file, instead of STDIN' },
    name: { takes: 'NAME[:TAG]', help: 'Name the image, in place of the names in the archive' },
    quiet: { short: 'q', help: 'Suppress the progress bar' },
  },
};
const LS: CommandSpec = {
  command: 'lamina image ls',
  usage: '[OPTIONS] [NAME]',
  summary: 'List images',
  flags: {
    all: { short: 'a', help: 'Show all images' },
    format: FORMAT,
    json: { help: 'Print a line of JSON for each image' },
    'no-trunc': { help: "Don't truncate output" },
    quiet: { short: 'q', help: 'Only show image IDs' },
  },
};
const RM: CommandSpec = {
  command: 'lamina image rm',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Remove names, and images that lose their last one',
  flags: { force: { short: 'f', help: 'Force removal of an image with names in several repositories' } },
};
const INSPECT: CommandSpec = {
  command: 'lamina image inspect',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Show images in detail, as JSON',
  flags: { format: { ...FORMAT, short: 'f' }, json: { help: 'Print JSON, as without a format' } },
};
const SPECS: Readonly<Record<string, CommandSpec>> = { load: LOAD, ls: LS, rm: RM, inspect: INSPECT };

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
  const flags = parseArguments(LOAD, argv);
  const { rest } = flags;
  const named = [...flags.all('input'), ...rest];
  if (named.length > 1) throw new UsageError('one archive at a time', LOAD.command);
  const path = named[0];
  const fromStdin = path === undefined || path === '-';
  if (fromStdin && io.stdin.isTTY) throw new UsageError('requested load from stdin, but stdin is empty', LOAD.command);
  const bar = io.stdout.isTTY && !flags.has('quiet') ? new ProgressBar(io.stdout) : undefined;
  return interruptible(async (signal) => {
    const loaded = await withStore(root, (store) =>
      loadImage(store, fromStdin ? io.stdin : path, { progress: bar?.show, signal, name: flags.value('name') }),
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
  const flags = parseArguments(LS, argv);
  const { rest } = flags;
  if (rest.length > 1) throw new UsageError('give at most one name', LS.command);
  const all = await withStore(root, listImages);
  const images = flags.has('all') ? all : listedImages(all);
  const rows = images.flatMap((image) => rowsOf(image, !flags.has('no-trunc'))).filter((row) => matches(row, rest[0]));
  const format = flags.has('json') ? 'json' : flags.value('format');
  if (flags.has('quiet')) for (const id of new Set(rows.map((row) => row.ID))) io.stdout.write(`${id}\n`);
  else io.stdout.write(renderRows(format, COLUMNS, rows));
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
  const flags = parseArguments(RM, argv);
  const { rest } = flags;
  if (rest.length === 0) throw new UsageError('"lamina image rm" requires at least 1 argument.', RM.command);
  return withStore(root, (store) =>
    forEach(rest, io, async (name) => {
      const { untagged, deleted } = await removeImage(store, name, { force: flags.has('force'), inUse });
      for (const each of untagged) io.stdout.write(`Untagged: ${familiarName(each)}\n`);
      for (const each of deleted) io.stdout.write(`Deleted: ${each}\n`);
    }),
  );
}

async function inspect(argv: readonly string[], io: ImageIo, root: string): Promise<number> {
  const flags = parseArguments(INSPECT, argv);
  const { rest } = flags;
  if (rest.length === 0) throw new UsageError('"lamina image inspect" requires at least 1 argument.', INSPECT.command);
  const found: Image[] = [];
  const code = await withStore(root, (store) =>
    forEach(rest, io, async (name) => void found.push(await resolveImage(store, name))),
  );
  const format = flags.value('format');
  const shown = found.map(inspection);
  if (format === undefined || format === 'json') io.stdout.write(`${JSON.stringify(shown, null, format === 'json' ? 0 : 4)}\n`);
  else for (const image of shown) io.stdout.write(`${fillTemplate(format, image)}\n`);
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
  const spec = SPECS[verb];
  if (!spec) {
    const asked = ['', '--help', '-h'].includes(command);
    const text = `Usage:  lamina image COMMAND\n\nCommands: ${Object.keys(SPECS).join(', ')}\n`;
    (asked ? io.stdout : io.stderr).write(asked ? text : `Error: unknown command "lamina image ${command}"\n\n${text}`);
    return asked ? 0 : 125;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  const root = options.root ?? dataRoot();
  try {
    if (verb === 'load') return await load(rest, io, root);
    if (verb === 'ls') return await ls(rest, io, root);
    if (verb === 'rm') return await rm(rest, io, root, options.inUse);
    return await inspect(rest, io, root);
  } catch (error) {
    const usage = error instanceof UsageError;
    io.stderr.write(usage ? `Error: ${error.message}\nSee 'lamina image ${verb} --help'.\n` : `Error: ${explain(error)}\n`);
    return usage ? 125 : 1;
  }
}
