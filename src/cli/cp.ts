// `lamina cp`: files between a container and this machine, packed and unpacked by tar.

import { spawn } from 'node:child_process';
import { type Stats, chmodSync, chownSync, existsSync, lstatSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError, type Client } from '../client/client.js';
import type { Command, Commands } from './command.js';
import { engine, path } from './engine.js';

interface PathStat {
  readonly name: string;
  readonly mode: number;
  readonly linkTarget: string;
}

const GO_DIRECTORY = 2 ** 31;
const GO_SYMLINK = 2 ** 27;

/** `DIR/.`: what is in the directory, without the directory. */
const isContents = (place: string): boolean => /(^|\/)\.$/.test(place);

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

interface CopyOptions {
  /** Keep owners. */
  readonly archive: boolean;
  /** Copy what a link leads to in place of the link. */
  readonly follow: boolean;
}

async function copyOut(client: Client, container: string, from: string, to: string, options: CopyOptions): Promise<void> {
  const { archive, follow } = options;
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
  if (isContents(source)) {
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

/** Where a path of a container leads, one link followed; `stat` when there is something. */
async function placeIn(client: Client, container: string, to: string): Promise<{ at: string; stat: PathStat | undefined }> {
  const stat = await statIn(client, container, to);
  if (!stat || (stat.mode & GO_SYMLINK) === 0) return { at: to, stat };
  const at = stat.linkTarget.startsWith('/') ? stat.linkTarget : join(dirname(to), stat.linkTarget);
  return { at, stat: await statIn(client, container, at) };
}

/** An archive of a place of this machine, whose top has the name `name` there. */
function pack(from: string, name: string, follow: boolean): Readable {
  // With a slash at its end a link is the directory that it leads to, under its own name.
  const inside = isContents(from) || from.endsWith('/');
  const top = inside ? '.' : basename(resolve(from));
  const options = [...(follow ? ['-h'] : []), ...(name === top ? [] : [rename(top, name)])];
  const child = spawn('tar', ['-c', '--xattrs', '--numeric-owner', ...options, '-f', '-', '--', top], {
    cwd: inside ? resolve(from) : dirname(resolve(from)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return child.stdout;
}

async function copyIn(client: Client, from: string, container: string, to: string, options: CopyOptions): Promise<void> {
  const { archive, follow } = options;
  const { at, stat } = await placeIn(client, container, to);
  const isDirectory = stat !== undefined && stat.mode >= GO_DIRECTORY;
  const put = async (into: string, upload: Readable): Promise<void> => {
    const query = { path: into, noOverwriteDirNonDir: true, copyUIDGID: archive };
    await client.json('PUT', path('/containers/', container, '/archive'), { query, upload });
  };
  if (from === '-') {
    if (!isDirectory) throw new Error(`destination "${container}:${to}" must be a directory`);
    return put(at, process.stdin);
  }
  const found = (follow || from.endsWith('/') ? statSync : lstatSync)(from, { throwIfNoEntry: false });
  if (!found) throw new Error(`lstat ${resolve(from)}: no such file or directory`);
  if (found.isDirectory() && stat && !isDirectory) throw new Error('cannot copy directory');
  if (!stat && to.endsWith('/') && !found.isDirectory()) throw new Error('no such directory');
  if (isDirectory) return put(at, pack(from, isContents(from) ? '.' : basename(resolve(from)), follow));
  const bare = at.replace(/\/+$/, '');
  return put(dirname(bare) || '/', pack(from, basename(bare), follow));
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
    const options = { archive: args.has('archive'), follow: args.has('follow-link') };
    if (from?.container !== undefined && to?.container !== undefined)
      throw new Error('copying between containers is not supported');
    if (from?.container !== undefined) await copyOut(await engine(), from.container, from.path, to?.path ?? '', options);
    else if (to?.container !== undefined) await copyIn(await engine(), from?.path ?? '', to.container, to.path, options);
    else throw new Error('must specify at least one container source');
    return 0;
  },
};

export const commands: Commands = { cp };
