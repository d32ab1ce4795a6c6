// A union in JavaScript on the fuse-native package, read-only, as short as it can be: what the same language costs when each
// request crosses from libfuse's thread to the event loop and back. `fuse-native.js TARGET DIR...` (topmost first) returns
// when it is mounted; the server goes on in the background until it is unmounted. A target of targets.ts.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { close, lstat, open, read, readdir, readlink, type Stats, symlinkSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from './load.js';
import { minorOf } from './server.js';

const library = join(root, 'node_modules/fuse-shared-library-linux/libfuse/lib/libfuse.so');
const ENOENT = -2;
const EIO = -5;

type Reply<T extends unknown[]> = (error: number, ...values: T) => void;

const code = (error: NodeJS.ErrnoException): number => (error.errno === undefined ? EIO : error.errno);

/** The first of `dirs` that has `path`. */
function find(dirs: readonly string[], path: string, found: (at: string, stats: Stats) => void, absent: () => void): void {
  const [first, ...rest] = dirs;
  if (first === undefined) return absent();
  lstat(first + path, (error, stats) => (error ? find(rest, path, found, absent) : found(first + path, stats)));
}

/** Names of a directory in all layers. */
function merge(dirs: readonly string[], path: string, done: (names: string[]) => void): void {
  const names = new Set<string>();
  let open = dirs.length;
  for (const dir of dirs) {
    readdir(dir + path, (error, listed) => {
      if (!error) for (const name of listed) names.add(name);
      if (--open === 0) done([...names]);
    });
  }
}

function operations(dirs: readonly string[]): object {
  return {
    getattr: (path: string, reply: Reply<[Stats?]>) =>
      find(
        dirs,
        path,
        (_, stats) => reply(0, stats),
        () => reply(ENOENT),
      ),
    readdir: (path: string, reply: Reply<[string[]]>) => merge(dirs, path, (names) => reply(0, names)),
    readlink: (path: string, reply: Reply<[string?]>) =>
      find(
        dirs,
        path,
        (at) => readlink(at, (error, target) => (error ? reply(code(error)) : reply(0, target))),
        () => reply(ENOENT),
      ),
    open: (path: string, flags: number, reply: Reply<[number?]>) =>
      find(
        dirs,
        path,
        (at) => open(at, flags, (error, fd) => (error ? reply(code(error)) : reply(0, fd))),
        () => reply(ENOENT),
      ),
    read: (_: string, fd: number, buffer: Buffer, length: number, position: number, reply: (got: number) => void) =>
      read(fd, buffer, 0, length, position, (error, got) => reply(error ? code(error) : got)),
    release: (_: string, fd: number, reply: Reply<[]>) => close(fd, (error) => reply(error ? code(error) : 0)),
  };
}

interface FuseNative {
  mount(done: (error: Error | null) => void): void;
}

/** The server; says over IPC that it is mounted. */
function serve(target: string, dirs: readonly string[]): void {
  const Fuse = require('fuse-native') as new (target: string, operations: object, options: object) => FuseNative;
  new Fuse(target, operations(dirs), {}).mount((error) => {
    process.send?.(error ? error.message : 'mounted', () => process.disconnect());
    // The package does not notice that somebody else unmounted it.
    setInterval(() => minorOf(target) === undefined && process.exit(), 200);
  });
}

/** Starts the server where its libfuse 2 is found under the name that it asks for. */
async function start(args: readonly string[]): Promise<void> {
  const libraries = mkdtempSync(join(tmpdir(), 'lamina-bench-libfuse-'));
  symlinkSync(library, join(libraries, 'libfuse.so.2'));
  const server = spawn(process.execPath, [__filename, '--serve', ...args], {
    detached: true,
    env: { ...process.env, LD_LIBRARY_PATH: libraries },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const said: unknown[] = await Promise.race([once(server, 'message'), once(server, 'exit')]);
  rmSync(libraries, { recursive: true });
  if (said[0] !== 'mounted') throw new Error(`fuse-native: ${String(said[0])}`);
  server.unref();
}

if (require.main === module) {
  const [, , first = '', ...rest] = process.argv;
  if (first === '--serve') serve(rest[0] ?? '', rest.slice(1));
  else {
    start([first, ...rest]).catch((cause: unknown) => {
      console.error(cause instanceof Error ? cause.message : cause);
      process.exitCode = 1;
    });
  }
}

/** What a mount command of this target needs. */
export const needs: readonly string[] = [library];

export const command = (at: string, dirs: readonly string[]): string[] => [
  process.execPath,
  join(dirname(__filename), 'fuse-native.js'),
  at,
  ...dirs,
];
