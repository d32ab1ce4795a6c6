// `lamina cp`, `diff`, `export` and `commit`.

import { spawn } from 'node:child_process';
import { type Stats, chmodSync, chownSync, createWriteStream, existsSync, lstatSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError, type Client } from '../client/client.js';
import { type Command, type Commands, engine, path } from './engine.js';
import { splitTag } from './pull.js';

interface PathStat {
  readonly name: string;
  readonly mode: number;
  readonly linkTarget: string;
}

const GO_DIRECTORY = 2 ** 31;
const GO_SYMLINK = 2 ** 27;

function splitPlace(text: string): { container: string | undefined; path: string } {
  if (text.startsWith('/') || text.startsWith('.') || text === '-') return { container: undefined, path: text };
  const colon = text.indexOf(':');
  return colon < 1
    ? { container: undefined, path: text }
    : { container: text.slice(0, colon), path: text.slice(colon + 1) || '/' };
}

async function statIn(client: Client, container: string, at: string): Promise<PathStat | undefined> {
  try {
    const response = await client.call('HEAD', path('/containers/', container, '/archive'), { query: { path: at } });
    response.resume();
    const header = response.headers['x-docker-container-path-stat'];
    return JSON.parse(Buffer.from(String(header), 'base64').toString()) as PathStat;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** Where a path of this machine leads: of a link, also one to nothing yet, what it names. Errors: a loop. */
function linkedPlace(path: string): string {
  let place = resolve(path);
  for (let hops = 0; lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink(); hops++) {
    if (hops === 40) throw new Error(`${path}: too many levels of symbolic links`);
    place = resolve(dirname(place), readlinkSync(place));
  }
  return path.endsWith('/') ? `${place}/` : place;
}

function statDestination(place: string): Stats | undefined {
  try {
    return statSync(place, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
    throw new Error(`stat ${place}: not a directory`);
  }
}

/** Errors: the directory is missing. */
function parentOf(place: string): string {
  const parent = dirname(resolve(place));
  if (!existsSync(parent)) throw new Error(`invalid output path: directory "${parent}" does not exist`);
  return parent;
}

/** GNU tar, fed or read; it knows how to be careful with names. */
function tar(args: readonly string[], cwd: string, io: { input?: Readable; output?: NodeJS.WritableStream }): Promise<void> {
  const child = spawn('tar', [...args], { cwd, stdio: [io.input ? 'pipe' : 'ignore', io.output ? 'pipe' : 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr?.on('data', (data: Buffer) => (complaint += data.toString()));
  if (io.input && child.stdin) pipeline(io.input, child.stdin).catch(() => undefined);
  const sent = io.output && child.stdout ? pipeline(child.stdout, io.output) : Promise.resolve();
  return new Promise((resolvePromise, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(complaint.trim() || `tar ended with exit code ${String(code)}`));
      sent.then(resolvePromise, reject);
    });
  });
}

/** A sed expression that gives the archive's top another name. */
function rename(from: string, to: string): string {
  const escape = (text: string): string => text.replace(/[.*[\]^$\\/&]/g, '\\$&');
  return `--transform=flags=rSH;s/^${escape(from)}\\(\\/\\|$\\)/${escape(to)}\\1/`;
}

async function copyOut(
  client: Client,
  container: string,
  from: string,
  to: string,
  archive: boolean,
  follow: boolean,
): Promise<void> {
  let source = from;
  if (follow) {
    const stat = await statIn(client, container, from);
    if (stat && (stat.mode & GO_SYMLINK) !== 0) source = resolve(dirname(from), stat.linkTarget);
  }
  // The whole root has no name that the copy could take.
  if (/^\/+$/.test(source) && to !== '-') source = '/.';
  const response = await client.call('GET', path('/containers/', container, '/archive'), { query: { path: source } });
  if (to === '-') return pipeline(response, process.stdout, { end: false });
  const stat = JSON.parse(Buffer.from(String(response.headers['x-docker-container-path-stat']), 'base64').toString()) as PathStat;
  const isDirectory = stat.mode >= GO_DIRECTORY;
  const place = linkedPlace(to);
  const target = statDestination(place);
  const owner = archive && process.geteuid?.() === 0 ? ['--same-owner', '--numeric-owner'] : ['--no-same-owner'];
  const extract = (cwd: string, more: readonly string[] = []): Promise<void> =>
    tar(['-x', '-p', ...owner, ...more, '-f', '-'], cwd, { input: response });
  if (/(^|\/)\.$/.test(source)) {
    if (target && !target.isDirectory()) throw new Error('cannot copy directory');
    if (!target) return extract(parentOf(place), [rename('.', basename(place))]);
    await extract(place);
    // The contents were asked for: the directory stays as it was.
    if (process.geteuid?.() === 0) chownSync(place, target.uid, target.gid);
    return chmodSync(place, target.mode & 0o7777);
  }
  // What a link led to has the link's name.
  if (target?.isDirectory()) return extract(place, source === from ? [] : [rename(stat.name, basename(from))]);
  if (target && isDirectory) throw new Error('cannot copy directory');
  if (!target && to.endsWith('/') && !isDirectory) throw new Error('no such directory');
  return extract(parentOf(place), [rename(stat.name, basename(place))]);
}

async function copyIn(
  client: Client,
  from: string,
  container: string,
  to: string,
  archive: boolean,
  follow: boolean,
): Promise<void> {
  let stat = await statIn(client, container, to);
  let target = to;
  if (stat && (stat.mode & GO_SYMLINK) !== 0) {
    target = stat.linkTarget.startsWith('/') ? stat.linkTarget : join(dirname(to), stat.linkTarget);
    stat = await statIn(client, container, target);
  }
  const isDirectory = stat !== undefined && stat.mode >= GO_DIRECTORY;
  const put = (at: string, upload: Readable): Promise<unknown> =>
    client.json('PUT', path('/containers/', container, '/archive'), {
      query: { path: at, noOverwriteDirNonDir: true, copyUIDGID: archive },
      upload,
    });
  if (from === '-') {
    if (!isDirectory) throw new Error(`destination "${container}:${to}" must be a directory`);
    await put(target, process.stdin);
    return;
  }
  const found = (follow || from.endsWith('/') ? statSync : lstatSync)(from, { throwIfNoEntry: false });
  if (!found) throw new Error(`lstat ${resolve(from)}: no such file or directory`);
  const contents = /(^|\/)\.$/.test(from);
  if (found.isDirectory() && stat && !isDirectory) throw new Error('cannot copy directory');
  if (!stat && to.endsWith('/') && !found.isDirectory()) throw new Error('no such directory');
  // With a slash at its end a link is the directory that it leads to, under its own name.
  const inside = contents || from.endsWith('/');
  const top = inside ? '.' : basename(resolve(from));
  const into = isDirectory ? target : dirname(target.replace(/\/+$/, '')) || '/';
  const own = contents ? '.' : basename(resolve(from));
  const name = isDirectory ? own : basename(target.replace(/\/+$/, ''));
  const child = spawn(
    'tar',
    [
      '-c',
      '--xattrs',
      '--numeric-owner',
      ...(follow ? ['-h'] : []),
      ...(name === top ? [] : [rename(top, name)]),
      '-f',
      '-',
      '--',
      top,
    ],
    { cwd: inside ? resolve(from) : dirname(resolve(from)), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await put(into, child.stdout);
}

const cp: Command = {
  spec: {
    command: 'lamina cp',
    usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        lamina cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH',
    summary: 'Copy files/folders between a container and the local filesystem; volumes are seen',
    flags: {
      archive: { short: 'a', help: 'Archive mode (copy all uid/gid information)' },
      'follow-link': { short: 'L', help: 'Always follow symbol link in SRC_PATH' },
      quiet: { short: 'q', help: 'Suppress progress output during copy' },
    },
  },
  takes: [2, 2],
  async run(args) {
    const [from, to] = args.rest.map(splitPlace);
    const archive = args.has('archive');
    const follow = args.has('follow-link');
    if (from?.container !== undefined && to?.container !== undefined)
      throw new Error('copying between containers is not supported');
    if (from?.container !== undefined) await copyOut(await engine(), from.container, from.path, to?.path ?? '', archive, follow);
    else if (to?.container !== undefined) await copyIn(await engine(), from?.path ?? '', to.container, to.path, archive, follow);
    else throw new Error('must specify at least one container source');
    return 0;
  },
};

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

export const commands: Commands = { cp, diff, export: exportCommand, commit };
