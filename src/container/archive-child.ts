// Entry point of a short-lived process that reads or writes a container's root, so that neither a mount that hangs nor a
// container that swaps its symlinks touches the daemon: `archive-child.js REQUEST`. The archive is on stdin or stdout; what
// the caller is to know (a path's stat, an error) is a JSON line on fd 3. Paths are resolved by openat2(RESOLVE_IN_ROOT).

import { constants, fstatSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { once } from 'node:events';
import { errno, errnoText } from '../abi/errno.js';
import { Extractor } from '../image/extract.js';
import { sys } from '../native/load.js';
import { openInside } from '../native/open-inside.js';
import { Mode, Open, Resolve, STAT_WORDS, Stat } from '../native/syscalls.js';
import { packObject, packTree } from '../tar/pack-tree.js';
import { TarReader } from '../tar/tar-reader.js';
import { cleanPath } from '../volume/clean-path.js';
import { makeInside } from './make-inside.js';
import type { ArchiveReport, ArchiveRequest, PathStat, RootPlace } from './archive.js';

const REPORT_FD = 3;
/** Go's os.FileMode bits of what is no regular file. */
const GO_TYPE: Readonly<Record<number, number>> = {
  [Mode.DIR]: 2 ** 31,
  [Mode.LNK]: 2 ** 27,
  [Mode.BLK]: 2 ** 26,
  [Mode.CHR]: 2 ** 26 + 2 ** 21,
  [Mode.FIFO]: 2 ** 25,
  [Mode.SOCK]: 2 ** 24,
};
const stat = new BigInt64Array(STAT_WORDS);

class Failure extends Error {
  constructor(
    readonly status: 400 | 403 | 404 | 500,
    message: string,
  ) {
    super(message);
  }
}

function report(message: ArchiveReport): void {
  writeSync(REPORT_FD, `${JSON.stringify(message)}\n`);
}

function bytes(path: string): string {
  return Buffer.from(path).toString('latin1');
}

function open(root: number, path: string, flags: number): number {
  return openInside(root, bytes(path), flags, 0, Resolve.IN_ROOT);
}

function missing(path: string, result: number): Failure {
  const absent = result === -errno.ENOENT || result === -errno.ENOTDIR;
  return new Failure(absent ? 404 : 500, absent ? `Could not find the file ${path}` : `${path}: ${errnoText(result)}`);
}

interface Found {
  /** The directory it is in; itself when `base` is empty. */
  readonly parent: number;
  readonly base: string;
  readonly name: string;
  readonly mode: number;
}

/** Symlinks are followed up to the last component, and that too when the path says that it is a directory: `d/`, `d/.`. */
function find(root: number, path: string): Found {
  const clean = cleanPath(`/${path}`);
  const base = basename(clean);
  if (base === '') return { parent: root, base: '', name: '/', mode: Mode.DIR };
  if (/\/\.?$/.test(path)) {
    const itself = open(root, clean, Open.PATH | Open.DIRECTORY);
    if (itself === -errno.ENOTDIR) throw new Failure(400, `${path}: not a directory`);
    if (itself < 0) throw missing(path, itself);
    sys.statx(itself, '', stat);
    return { parent: itself, base: '', name: base, mode: Number(stat[Stat.mode]) };
  }
  const parent = open(root, clean.slice(0, -base.length), Open.PATH | Open.DIRECTORY);
  if (parent < 0) throw missing(path, parent);
  const result = sys.statx(parent, bytes(base), stat);
  if (result < 0) throw missing(path, result);
  return { parent, base, name: base, mode: Number(stat[Stat.mode]) };
}

function pathStat({ parent, base, name, mode }: Found): PathStat {
  sys.statx(parent, bytes(base), stat);
  const special = (mode & 0o4000 ? 2 ** 23 : 0) + (mode & 0o2000 ? 2 ** 22 : 0) + (mode & 0o1000 ? 2 ** 20 : 0);
  const target = (mode & Mode.FMT) === Mode.LNK ? sys.readlinkat(parent, bytes(base)) : '';
  return {
    name,
    size: Number(stat[Stat.size]),
    mode: (mode & 0o777) + (GO_TYPE[mode & Mode.FMT] ?? 0) + special,
    mtime: new Date(Number((stat[Stat.mtime] ?? 0n) / 1_000_000n)).toISOString(),
    linkTarget: typeof target === 'string' ? Buffer.from(target, 'latin1').toString() : '',
  };
}

async function send(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
}

async function get(root: number, path: string): Promise<void> {
  const contents = /(^|\/)\.$/.test(path);
  const found = find(root, path);
  report({ stat: pathStat(found) });
  const isDirectory = (found.mode & Mode.FMT) === Mode.DIR;
  if (!isDirectory) return send(packObject(found.parent, bytes(found.base), bytes(found.base), { crossMounts: true }));
  const fd = sys.openat2(
    found.parent,
    found.base === '' ? '.' : bytes(found.base),
    Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW,
    0,
    0,
  );
  if (fd < 0) throw missing(path, fd);
  const top = contents ? '.' : bytes(found.name);
  await send(packTree(fd, { top, crossMounts: true }));
}

/** Names in a directory, bytes as latin1, as JSON on stdout. */
async function list(root: number, path: string): Promise<void> {
  const fd = open(root, path, Open.RDONLY | Open.DIRECTORY);
  if (fd < 0) throw missing(path, fd);
  const listing = sys.readdir(fd);
  await send([Buffer.from(JSON.stringify(typeof listing === 'number' ? [] : listing.names))]);
}

async function put(root: number, request: ArchiveRequest): Promise<void> {
  const fd = open(root, request.path, Open.PATH);
  if (fd === -errno.ENOTDIR) throw new Failure(400, `${request.path}: not a directory`);
  if (fd < 0) throw missing(request.path, fd);
  sys.statx(fd, '', stat);
  if ((Number(stat[Stat.mode]) & Mode.FMT) !== Mode.DIR) throw new Failure(400, 'extraction point is not a directory');
  const extractor = new Extractor(fd, {
    keepTypes: request.keepTypes ?? false,
    keepTop: true,
    ...(request.owner ? { owner: request.owner } : {}),
  });
  const reader = new TarReader(extractor);
  try {
    for await (const chunk of process.stdin) reader.write(chunk as Buffer);
    reader.finish();
    extractor.finish();
  } finally {
    extractor.close();
  }
}

function mkdir(root: number, path: string): void {
  const error = makeInside(root, bytes(path));
  if (error === -errno.ENOTDIR) throw new Failure(500, `Cannot mkdir: ${path} is not a directory`);
  if (error) throw new Failure(500, `mkdir ${path}: ${errnoText(error)}`);
}

/** Everything of the root's own mount; `without` are destinations of volumes that the mount itself presents. */
async function whole(root: number, without: readonly string[]): Promise<void> {
  const hidden = new Set(without.map((path) => bytes(path.replace(/^\//, ''))));
  await send(
    packTree(root, {
      top: '',
      entries: (_, path, names) => (hidden.has(path) ? [] : names.map((name) => ({ name }))),
    }),
  );
}

/**
 * The root, undefined when it is gone. The process is held by its directory in /proc: another one that is given its pid
 * meanwhile is not found through it. A mountpoint without its mount is an empty directory of the host's.
 */
function openRoot(place: RootPlace): number | undefined {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  if ('mountpoint' in place) {
    const root = openSync(place.mountpoint, flags);
    return fstatSync(root).dev === statSync(dirname(place.mountpoint)).dev ? undefined : root;
  }
  const held = openSync(`/proc/${place.pid}`, flags);
  const groups = readFileSync(`/proc/self/fd/${held}/cgroup`, 'latin1');
  return groups.includes(place.container) ? openSync(`/proc/self/fd/${held}/root`, flags) : undefined;
}

function tryRoot(place: RootPlace): number | undefined {
  try {
    return openRoot(place);
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'ENOTCONN'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

async function main(): Promise<void> {
  const request = JSON.parse(process.argv[2] ?? '{}') as ArchiveRequest;
  const root = tryRoot(request.root);
  if (root === undefined) return report({ gone: true });
  report({ open: true });
  switch (request.op) {
    case 'stat':
      return report({ stat: pathStat(find(root, request.path)) });
    case 'list':
      return list(root, request.path);
    case 'get':
      return get(root, request.path);
    case 'put':
      return put(root, request);
    case 'export':
      return whole(root, request.without ?? []);
    case 'mkdir':
      return mkdir(root, request.path);
  }
}

main().then(
  () => report({ done: true }),
  (error: unknown) => {
    const known = error instanceof Failure;
    const bad = error instanceof Error && ['ExtractError', 'TarFormatError'].includes(error.name);
    report({ error: error instanceof Error ? error.message : String(error), status: known ? error.status : bad ? 400 : 500 });
    process.exitCode = 1;
  },
);
