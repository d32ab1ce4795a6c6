// Reading and writing a container's files as archives, for `cp` and `export`: the container's root as its processes see it,
// volumes and all, whether it runs or not; done by a process of its own (archive-child.ts).

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { aloneProgram } from '../native/load.js';
import type { ContainerRecord } from '../store/index.js';
import { bypassOf } from './bypass.js';
import type { Context } from './context.js';
import { EngineError, conflict } from './errors.js';
import { isUp } from './state.js';
import { mountRoot, unmountRoot } from './start.js';
import { releaseVolumes, useVolumes } from './volume-use.js';

/** Docker's X-Docker-Container-Path-Stat; `mode` has Go's bits. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

/** Where a container's root is: as a process of it sees it, or mounted at a directory of ours. */
export type RootPlace = { readonly pid: number; readonly container: string } | { readonly mountpoint: string };

export interface ArchiveRequest {
  readonly op: 'stat' | 'list' | 'get' | 'put' | 'export' | 'mkdir';
  readonly root: RootPlace;
  /** In the container. */
  readonly path: string;
  readonly keepTypes?: boolean;
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly without?: readonly string[];
}

/** `open` comes before all else but `gone`: the root is no more where it was said to be. */
export type ArchiveReport =
  | { readonly open: true }
  | { readonly gone: true }
  | { readonly stat: PathStat }
  | { readonly done: true }
  | { readonly error: string; readonly status: 400 | 403 | 404 | 500 };

/** How long the end of a container may take to be on record. */
const END_LIMIT_MS = 10_000;

type Work = Omit<ArchiveRequest, 'root'>;

export interface ArchiveStreams {
  readonly input?: Readable;
  /** Called once the path is known to be there. */
  readonly output?: (stat: PathStat | undefined) => Writable;
  readonly signal: AbortSignal;
}

/** The container ended before its root was opened; nothing has been read or written. */
class RootGone extends Error {}

interface Hearing {
  readonly onOpen: () => void;
  readonly onStat: (stat: PathStat) => void;
}

/** The reports of a child, and its end. */
function listen(child: ChildProcess, { onOpen, onStat }: Hearing): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    let complaint = '';
    (child.stdio[3] as Readable).on('data', (data: Buffer) => {
      text += data.toString();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const message = JSON.parse(text.slice(0, end)) as ArchiveReport;
        text = text.slice(end + 1);
        if ('open' in message) onOpen();
        else if ('gone' in message) reject(new RootGone());
        else if ('stat' in message) onStat(message.stat);
        else if ('error' in message) reject(new EngineError(message.status, message.error));
        else resolve();
      }
    });
    child.stderr?.on('data', (data: Buffer) => (complaint += data.toString()));
    child.on('error', reject);
    child.on('close', (code, signal) =>
      reject(
        new EngineError(500, `reading the container's files: ${complaint.trim() || `ended with ${String(signal ?? code)}`}`),
      ),
    );
  });
}

async function runChild(request: ArchiveRequest, streams: ArchiveStreams): Promise<PathStat | undefined> {
  const own = ['4', String(process.pid), process.execPath];
  const child = spawn(aloneProgram(), [...own, join(__dirname, 'archive-child.js'), JSON.stringify(request)], {
    stdio: [streams.input ? 'pipe' : 'ignore', 'pipe', 'pipe', 'pipe'],
    cwd: '/',
    signal: streams.signal,
    killSignal: 'SIGKILL',
  });
  let stat: PathStat | undefined;
  let sending: Promise<unknown> = Promise.resolve();
  const begin = (found: PathStat | undefined): void => {
    stat = found;
    if (streams.output && child.stdout)
      sending = pipeline(child.stdout, streams.output(found)).catch(() => child.kill('SIGKILL'));
  };
  const onOpen = (): void => {
    if (request.op === 'export' || request.op === 'list') begin(undefined);
    // The child may have had enough before the input ends.
    if (streams.input && child.stdin) pipeline(streams.input, child.stdin, { end: true }).catch(() => undefined);
  };
  const ended = listen(child, { onOpen, onStat: begin });
  child.stdin?.on('error', () => undefined);
  if (!streams.output) child.stdout?.resume();
  await ended;
  await sending;
  return stat;
}

/** Runs `use` with the container's root as its processes see it; that of one that does not run is mounted for it. */
export async function withRoot<T>(
  context: Context,
  { id }: ContainerRecord,
  volumes: boolean,
  use: (root: RootPlace) => Promise<T>,
): Promise<T> {
  const { registry } = context;
  const end = Date.now() + END_LIMIT_MS;
  for (let record = registry.find(id); isUp(record); record = registry.find(id)) {
    const { pid } = record.state;
    try {
      return await use(volumes ? { pid, container: id } : { mountpoint: join(context.directory(id), 'root') });
    } catch (error) {
      if (!(error instanceof RootGone)) throw error;
      if (Date.now() > end) throw conflict(`container ${id} is ending: try again`);
      // Its end is not on record yet.
      await delay(20);
    }
  }
  return registry
    .exclusive(id, async () => {
      const record = registry.find(id);
      if (isUp(record)) return use({ pid: record.state.pid, container: id });
      mkdirSync(context.run, { recursive: true });
      try {
        const mountpoint = await mountRoot(context, record, volumes ? await useVolumes(context, record) : undefined);
        return await use({ mountpoint });
      } finally {
        await unmountRoot(context, id).finally(() => releaseVolumes(context, id));
      }
    })
    .catch((error: unknown) => {
      throw error instanceof RootGone ? conflict(`container ${id} is ending: try again`) : error;
    });
}

/** Does `work` on a container's files. Errors: EngineError. */
export function archiveContainer(
  context: Context,
  record: ContainerRecord,
  work: Work,
  streams: ArchiveStreams,
): Promise<PathStat | undefined> {
  const routed = bypassOf(record.hostConfig) !== undefined;
  const without = routed ? record.mounts.filter(({ Type }) => Type !== 'tmpfs').map((mount) => mount.Destination) : [];
  return withRoot(context, record, work.op !== 'export', (root) => runChild({ ...work, root, without }, streams));
}

/** Makes directories in the root of a container that is being made. Errors: EngineError, SupervisorError. */
export async function makeInRoot(context: Context, record: ContainerRecord, paths: readonly string[]): Promise<void> {
  mkdirSync(context.run, { recursive: true });
  try {
    const mountpoint = await mountRoot(context, record);
    for (const path of paths)
      await runChild({ op: 'mkdir', path, root: { mountpoint } }, { signal: new AbortController().signal });
  } finally {
    await unmountRoot(context, record.id);
  }
}

/** What forbids writing at a path of the container: its ro root or a ro volume; undefined when nothing does. */
export function readOnlyAt(record: ContainerRecord, path: string): string | undefined {
  const clean = `/${path.split('/').filter(Boolean).join('/')}`;
  const over = record.mounts
    .filter(({ Destination: at }) => clean === at || clean.startsWith(`${at}/`))
    .sort((a, b) => b.Destination.length - a.Destination.length)[0];
  if (over) return over.RW ? undefined : 'mounted volume is marked read-only';
  return record.hostConfig.ReadonlyRootfs ? 'container rootfs is marked read-only' : undefined;
}
