// A build context in a git repository: one commit of it and its submodules, fetched by the git program as Docker's daemon has it
// fetched. What a URL or a repository says chooses neither a program nor a file of this host: git speaks the protocols of
// `PROTOCOLS` alone, reads no configuration but the one it makes, and asks nobody for a password.

import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { openInside } from '../native/open-inside.js';
import { AT_FDCWD, Open, Resolve } from '../native/syscalls.js';
import { packTree } from '../tar/pack-tree.js';
import { BuildError } from './build-error.js';

const PROTOCOLS = 'git:http:https:ssh';
/** Of what git says only the end is told. */
const MOST_WORDS = 16_384;

export const isGitUrl = (text: string): boolean =>
  /^(?:git:\/\/|github\.com\/|git@)/.test(text) || /^https?:\/\/.*\.git(?:#.+)?$/.test(text);

interface Repository {
  readonly remote: string;
  /** A branch, a tag, or what else the server knows. */
  readonly ref: string;
  /** '' is the top. */
  readonly directory: string;
}

/** `REMOTE#REF:DIRECTORY`. Errors: BuildError. */
function repositoryOf(text: string): Repository {
  const [remote = '', fragment = ''] = text.split(/#(.*)/s);
  const [ref = '', directory = ''] = fragment.split(/:(.*)/s);
  if (ref.startsWith('-')) throw new BuildError(`invalid refspec: ${ref}`);
  return { remote: remote.startsWith('github.com/') ? `https://${remote}` : remote, ref: ref || 'HEAD', directory };
}

function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_') || name.startsWith('GIT_SSL_'));
  return {
    ...Object.fromEntries(kept),
    HOME: '/dev/null',
    XDG_CONFIG_HOME: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: PROTOCOLS,
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSH_COMMAND: 'ssh -o BatchMode=yes',
  };
}

/** Runs git in a directory. Errors: BuildError that begins with `what` and tells what git said; the signal's reason. */
function git(directory: string, what: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd: directory, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    const stop = (): void => void child.kill();
    signal.addEventListener('abort', stop);
    let said = '';
    for (const output of [child.stdout, child.stderr])
      output.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-MOST_WORDS)));
    child.on('error', (error: NodeJS.ErrnoException) => {
      const missing = "unable to find 'git': install git on the engine's host, or clone the repository and build the directory";
      reject(new BuildError(error.code === 'ENOENT' ? missing : `${what}: git: ${error.message}`));
    });
    // Whoever git has started is gone by then too: it holds the pipes.
    child.on('close', (code, killed) => {
      signal.removeEventListener('abort', stop);
      if (signal.aborted) reject(signal.reason as Error);
      else if (code === 0) resolve();
      else reject(new BuildError(`${what}: ${said}: ${code === null ? `signal: ${killed ?? ''}` : `exit status ${code}`}`));
    });
    if (signal.aborted) stop();
  });
}

async function clone({ remote, ref }: Repository, directory: string, signal: AbortSignal): Promise<void> {
  const run = (what: string, ...args: string[]): Promise<void> => git(directory, what, args, signal);
  const fetch = (...depth: string[]): Promise<void> => run('error fetching', 'fetch', ...depth, 'origin', '--', ref);
  // A server that has only files knows no depth.
  const isPlain = /^https?:/.test(remote);
  await run(`failed to init repo at ${directory}`, 'init', '-q');
  await run(`failed add origin repo at ${remote}`, 'remote', 'add', 'origin', remote);
  await fetch('--depth', '1').catch((error: unknown) => {
    if (!isPlain || !(error instanceof BuildError)) throw error;
    return fetch();
  });
  // By its name first: then the clone is on that branch.
  await run('', 'checkout', '-q', ref).catch((error: unknown) => {
    if (!(error instanceof BuildError)) throw error;
    return run(`error checking out ${ref}`, 'checkout', '-q', 'FETCH_HEAD');
  });
  await run('error initializing submodules', 'submodule', 'update', '--init', '--recursive', '--depth=1');
}

const bytes = (text: string): string => Buffer.from(text).toString('latin1');

/** The directory that is built, wherever its symlinks lead within the clone. Errors: BuildError. Owns: the caller closes the fd. */
function openContext(clone: string, directory: string): number {
  const flags = Open.RDONLY | Open.DIRECTORY;
  const top = sys.openat2(AT_FDCWD, bytes(clone), flags, 0, 0);
  if (directory === '' || top < 0) return top;
  const fd = openInside(top, bytes(directory), flags, 0, Resolve.IN_ROOT);
  sys.close(top);
  if (fd < 0) throw new BuildError(`error setting git context, ${JSON.stringify(directory)}: ${errnoText(fd)}`);
  return fd;
}

/**
 * What `url` names, as an archive; cloned below `directory`, of which nothing is left when the archive has been read.
 * Errors: BuildError, the signal's reason.
 */
export async function* gitContext(url: string, directory: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const repository = repositoryOf(url);
  const path = join(directory, 'clone');
  mkdirSync(path);
  try {
    await clone(repository, path, signal);
    const fd = openContext(path, repository.directory);
    try {
      yield* packTree(fd, { top: '', xattr: () => undefined, signal });
    } finally {
      sys.close(fd);
    }
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}
