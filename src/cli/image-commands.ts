// `lamina pull`, `push`, `save`, `tag`, `history` and `import`: images, as the engine knows them.

import { FORMAT } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, path } from './engine.js';
import { writeArchive } from './files.js';
import { inspectKind } from './inspect.js';
import { showProgress, untilDone } from './progress-lines.js';
import { pullImage, splitTag } from './pull.js';
import { registryHeaders } from './registry-headers.js';
import { renderRows } from './table.js';
import { age, humanSize } from './units.js';
import { openUpload } from './upload.js';

const pull: Command = {
  spec: {
    command: 'lamina pull',
    usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
    summary: 'Download an image from a registry',
    flags: { quiet: { short: 'q', help: 'Suppress verbose output' } },
  },
  takes: [1, 1],
  async run(args) {
    await pullImage(await engine(), args.rest[0] ?? '', args.has('quiet'));
    return 0;
  },
};

const save: Command = {
  spec: {
    command: 'lamina save',
    usage: '[OPTIONS] IMAGE [IMAGE...]',
    summary: 'Save one or more images to a tar archive, which docker, podman and skopeo read',
    flags: { output: { short: 'o', takes: 'FILE', help: 'Write to a file, instead of STDOUT' } },
  },
  takes: [1, Infinity],
  async run(args) {
    await writeArchive(await (await engine()).call('GET', '/images/get', { query: { names: args.rest } }), args.value('output'));
    return 0;
  },
};

const tag: Command = {
  spec: {
    command: 'lamina tag',
    usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
    summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
    flags: {},
  },
  takes: [2, 2],
  async run(args) {
    const [source = '', target = ''] = args.rest;
    await (await engine()).json('POST', path('/images/', source, '/tag'), { query: splitTag(target) });
    return 0;
  },
};

const history: Command = {
  spec: {
    command: 'lamina history',
    usage: '[OPTIONS] IMAGE',
    summary: 'Show the history of an image',
    flags: { format: FORMAT, 'no-trunc': { help: "Don't truncate output" }, quiet: { short: 'q', help: 'Only show image IDs' } },
  },
  takes: [1, 1],
  async run(args) {
    const full = args.has('no-trunc');
    const entries = await (
      await engine()
    ).json<{ Id: string; Created: number; CreatedBy: string; Size: number; Comment: string }[]>(
      'GET',
      path('/images/', args.rest[0] ?? '', '/history'),
    );
    const rows = entries.map(({ Id: id, Created: created, CreatedBy: by, Size: size, Comment: comment }) => ({
      ID: full || !id.startsWith('sha256:') ? id : id.slice(7, 19),
      CreatedAt: new Date(created * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
      CreatedSince: age(new Date(created * 1000).toISOString()),
      CreatedBy: full || by.length <= 45 ? by : `${by.slice(0, 44)}…`,
      Size: humanSize(size),
      Comment: comment,
    }));
    if (args.has('quiet')) for (const { ID: id } of rows) process.stdout.write(`${id}\n`);
    else {
      const columns = [
        ['ID', 'IMAGE'],
        ['CreatedSince', 'CREATED'],
        ['CreatedBy', 'CREATED BY'],
        ['Size', 'SIZE'],
        ['Comment', 'COMMENT'],
      ] as const;
      process.stdout.write(renderRows(args.value('format'), columns, rows));
    }
    return 0;
  },
};

const importCommand: Command = {
  spec: {
    command: 'lamina import',
    usage: '[OPTIONS] FILE|URL|- [REPOSITORY[:TAG]]',
    summary: 'Import the contents from a tarball to create a filesystem image',
    flags: {
      change: { short: 'c', takes: 'INSTRUCTION', many: true, help: 'Apply Dockerfile instruction to the created image' },
      message: { short: 'm', takes: 'TEXT', help: 'Set commit message for imported image' },
    },
  },
  takes: [1, 2],
  async run(args) {
    const [file = '', repository] = args.rest;
    const isUrl = /^https?:\/\//.test(file);
    const upload = isUrl ? undefined : openUpload(file);
    const query = { fromSrc: isUrl ? file : '-', repo: repository, message: args.value('message'), changes: args.all('change') };
    for await (const { status } of (await engine()).lines('POST', '/images/create', { query, ...(upload ? { upload } : {}) }))
      process.stdout.write(`${status ?? ''}\n`);
    return 0;
  },
};

const push: Command = {
  spec: {
    command: 'lamina push',
    usage: '[OPTIONS] NAME[:TAG]',
    summary: 'Upload an image to a registry',
    flags: {
      'all-tags': { short: 'a', help: 'Push all tags of an image to the repository' },
      quiet: { short: 'q', help: 'Suppress verbose output' },
    },
  },
  takes: [1, 1],
  async run(args) {
    const { repo, tag: given } = splitTag(args.rest[0] ?? '');
    const tag = args.has('all-tags') ? undefined : (given ?? 'latest');
    const headers = await registryHeaders(repo);
    const lines = (await engine()).lines('POST', path('/images/', repo, '/push'), { query: { tag }, headers });
    if (!args.has('quiet')) await showProgress(lines, process.stdout);
    else {
      await untilDone(lines);
      process.stdout.write(`${args.rest[0] ?? ''}\n`);
    }
    return 0;
  },
};

export const commands: Commands = {
  pull,
  save,
  tag,
  history,
  import: importCommand,
  push,
  'image inspect': inspectKind('image'),
};
