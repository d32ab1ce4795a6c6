// `lamina diff`, `export` and `commit`: what a container has changed, its files as an archive, and as an image.

import { createWriteStream } from 'node:fs';
import { type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command, Commands } from './command.js';
import { engine, path } from './engine.js';
import { splitTag } from './pull.js';

const diff: Command = {
  spec: {
    command: 'lamina diff',
    usage: 'CONTAINER',
    summary: "Inspect changes to files or directories on a container's filesystem",
    flags: {},
  },
  takes: [1, 1],
  async run(args) {
    const changes = await (
      await engine()
    ).json<{ Path: string; Kind: number }[] | null>('GET', path('/containers/', args.rest[0] ?? '', '/changes'));
    for (const { Path: at, Kind: kind } of changes ?? []) process.stdout.write(`${'CAD'[kind] ?? '?'} ${at}\n`);
    return 0;
  },
};

/** Into a file, or to a pipe: never to a terminal. */
export async function writeArchive(source: Readable, file: string | undefined): Promise<void> {
  if (file === undefined && process.stdout.isTTY) {
    source.destroy();
    throw new Error('cowardly refusing to save to a terminal. Use the -o flag or redirect');
  }
  await (file === undefined
    ? pipeline(source, process.stdout, { end: false })
    : pipeline(source, createWriteStream(file, { mode: 0o600 })));
}

const exportCommand: Command = {
  spec: {
    command: 'lamina export',
    usage: '[OPTIONS] CONTAINER',
    summary: "Export a container's filesystem as a tar archive; without its volumes",
    flags: { output: { short: 'o', takes: 'FILE', help: 'Write to a file, instead of STDOUT' } },
  },
  takes: [1, 1],
  async run(args) {
    const response = await (await engine()).call('GET', path('/containers/', args.rest[0] ?? '', '/export'));
    await writeArchive(response, args.value('output'));
    return 0;
  },
};

const commit: Command = {
  spec: {
    command: 'lamina commit',
    usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
    summary: "Create a new image from a container's changes; volumes' data stays out",
    flags: {
      author: { short: 'a', takes: 'NAME', help: 'Author' },
      change: { short: 'c', takes: 'INSTRUCTION', many: true, help: 'Apply Dockerfile instruction to the created image' },
      message: { short: 'm', takes: 'TEXT', help: 'Commit message' },
      pause: { short: 'p', help: 'Pause container during commit (default true)' },
      'no-pause': { help: 'Do not pause the container' },
    },
  },
  takes: [1, 2],
  async run(args) {
    const [container, name = ''] = args.rest;
    const { repo, tag = repo === '' ? '' : 'latest' } = splitTag(name);
    const { Id: id } = await (
      await engine()
    ).json<{ Id: string }>('POST', '/commit', {
      query: {
        container,
        repo,
        tag,
        author: args.value('author'),
        comment: args.value('message'),
        changes: args.all('change'),
        pause: args.has('no-pause') || args.isOff('pause') ? '0' : undefined,
      },
    });
    process.stdout.write(`${id}\n`);
    return 0;
  },
};

export const commands: Commands = { diff, export: exportCommand, commit };
