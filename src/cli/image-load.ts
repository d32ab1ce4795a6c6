// `lamina image load`: images of an archive come into the data root, whether an engine runs or not.

import { familiarName, loadImage } from '../image/index.js';
import { dataRoot, withStore } from '../store/index.js';
import { UsageError } from './arguments.js';
import type { Command, Commands } from './command.js';
import { tellOfImages } from './image-failures.js';
import { ProgressBar } from './image-progress.js';

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

const load: Command = {
  spec: {
    command: 'lamina image load',
    usage: '[OPTIONS] [FILE|DIRECTORY]',
    summary: 'Load images from a docker-save archive or an OCI layout (a directory, a tar, or standard input)',
    flags: {
      input: { short: 'i', takes: 'FILE', help: 'Read from a file, instead of STDIN' },
      name: { takes: 'NAME[:TAG]', help: 'Name the image, in place of the names in the archive' },
      quiet: { short: 'q', help: 'Suppress the progress bar' },
    },
  },
  tell: tellOfImages,
  async run(args) {
    const named = [...args.all('input'), ...args.rest];
    if (named.length > 1) throw new UsageError('one archive at a time', load.spec.command);
    const path = named[0];
    const source = path === undefined || path === '-' ? process.stdin : path;
    if (source === process.stdin && process.stdin.isTTY)
      throw new UsageError('requested load from stdin, but stdin is empty', load.spec.command);
    const bar = process.stdout.isTTY && !args.has('quiet') ? new ProgressBar(process.stdout) : undefined;
    return interruptible(async (signal) => {
      const options = { progress: bar?.show, signal, name: args.value('name') };
      const loaded = await withStore(dataRoot(), (store) => loadImage(store, source, options)).finally(() => bar?.end());
      for (const { id, names } of loaded.images) {
        if (names.length === 0) process.stdout.write(`Loaded image ID: sha256:${id}\n`);
        for (const name of names) process.stdout.write(`Loaded image: ${familiarName(name)}\n`);
      }
      for (const [kind, count] of loaded.omitted)
        process.stderr.write(`Warning: ${kind} could not be kept for ${count} entries (not permitted or not supported here)\n`);
      return 0;
    });
  },
};

export const commands: Commands = { 'image load': load };
