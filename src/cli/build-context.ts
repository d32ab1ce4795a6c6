// The context of a build as it is sent: the directory without what .dockerignore leaves out, an archive from stdin, or a
// Dockerfile alone. A Dockerfile from elsewhere is put into it under a name that nobody has, as Docker's command line does.

import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { isGitUrl } from '../build/git-context.js';
import { IgnoreRules } from '../build/ignore.js';
import { isUrl } from '../build/open-url.js';
import { sniff } from '../image/compression.js';
import { sys } from '../native/load.js';
import { AT_FDCWD, Open } from '../native/syscalls.js';
import { packTree } from '../tar/pack-tree.js';
import { END_OF_ARCHIVE, blankHeader, encodeHeader, padding } from '../tar/tar-encode.js';
import { BLOCK, TarFormatError, decodeHeader } from '../tar/tar-header.js';
import { reasonOf } from './upload.js';

interface BuildContext {
  /** undefined where the engine fetches what is built. */
  readonly upload?: Readable;
  readonly remote?: string;
  /** Path of the Dockerfile in it. */
  readonly dockerfile: string;
}

/** What is sent beside the directory, or in place of a file of it. */
interface Extra {
  readonly name: string;
  readonly content: Buffer;
}

const IGNORE = '.dockerignore';
const unprepared = (why: string): Error => new Error(`unable to prepare context: ${why}`);

/**
 * @param file what `-f` said; '' when it said nothing
 * Errors: in Docker's words, which name what is missing.
 */
export async function buildContext(directory: string, file: string, compress: boolean): Promise<BuildContext> {
  if (directory === '-') return fromStdin(file);
  if (!existsSync(directory) && (isUrl(directory) || isGitUrl(directory))) return { remote: directory, dockerfile: file };
  const context = await fromDirectory(directory, file);
  return compress && context.upload ? { ...context, upload: context.upload.pipe(createGzip()) } : context;
}

async function fromDirectory(directory: string, file: string): Promise<BuildContext> {
  if (directory === '' || !existsSync(directory)) throw unprepared(`path ${JSON.stringify(directory)} not found`);
  const top = realpathSync(directory);
  if (!statSync(top).isDirectory()) throw unprepared(`context must be a directory: ${top}`);
  if (file === '-') return withDockerfile(top, await allOf(process.stdin), undefined);
  const path = evaluated(file === '' ? defaultDockerfile(top) : resolve(file));
  const dockerfile = relative(top, path);
  if (!dockerfile.startsWith('../')) return { upload: packed(top, rulesFor(top, path), [dockerfile, IGNORE], []), dockerfile };
  try {
    return withDockerfile(top, readFileSync(file), path);
  } catch (error) {
    throw new Error(`unable to open Dockerfile: open ${file}: ${reasonOf(error)}`);
  }
}

function defaultDockerfile(top: string): string {
  const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  const [path, lower] = [join(top, 'Dockerfile'), join(top, 'dockerfile')];
  return !isThere(path) && isThere(lower) ? lower : path;
}

/** The path without symlinks. Errors: the first thing on the way that is not there. */
function evaluated(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const { code, path: at = path } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP') throw unprepared('unable to evaluate symlinks in Dockerfile path: EvalSymlinks: too many links');
    // Of a symlink that leads nowhere, what it names is missing.
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink()) return evaluated(resolve(dirname(at), readlinkSync(at)));
    throw unprepared(`unable to evaluate symlinks in Dockerfile path: lstat ${at}: ${reasonOf(error)}`);
  }
}

/** The lines of FILE.dockerignore, else of the context's. */
function rulesFor(top: string, dockerfile: string | undefined): IgnoreRules {
  const own = `${dockerfile ?? ''}${IGNORE}`;
  const path = dockerfile !== undefined && existsSync(own) ? own : join(top, IGNORE);
  return new IgnoreRules(existsSync(path) ? readFileSync(path, 'latin1') : '');
}

/** The directory with a Dockerfile that is not in it, which COPY does not see. */
function withDockerfile(top: string, content: Buffer, path: string | undefined): BuildContext {
  const dockerfile = `.dockerfile.${randomBytes(10).toString('hex')}`;
  const ignore = join(top, IGNORE);
  const lines = Buffer.from(`\n${IGNORE}\n${dockerfile}\n`);
  const extra = [
    { name: dockerfile, content },
    { name: IGNORE, content: existsSync(ignore) ? Buffer.concat([readFileSync(ignore), lines]) : lines },
  ];
  return { upload: packed(top, rulesFor(top, path), [], extra), dockerfile };
}

/** @param always paths that go along whatever the rules say: the engine reads them and leaves them out of what COPY sees. */
function packed(top: string, rules: IgnoreRules, always: readonly string[], extra: readonly Extra[]): Readable {
  const kept = always.map((name) => Buffer.from(name).toString('latin1'));
  const replaced = extra.map(({ name }) => name);
  const keeps = (path: string): boolean =>
    !replaced.includes(path) &&
    (kept.some((each) => each === path || each.startsWith(`${path}/`)) || !rules.excludes(path) || rules.mayHoldExceptions(path));
  const fd = sys.openat2(AT_FDCWD, Buffer.from(top).toString('latin1'), Open.RDONLY | Open.DIRECTORY, 0, 0);
  if (fd < 0) throw new Error(`${top}: cannot be read`);
  const pack = packTree(fd, {
    top: '',
    xattr: () => undefined,
    crossMounts: true,
    entries: (_, at, names) => names.filter((name) => keeps(at === '' ? name : `${at}/${name}`)).map((name) => ({ name })),
  });
  return Readable.from(closing(extra, pack, fd), { objectMode: false });
}

async function* closing(extra: readonly Extra[], pack: AsyncIterable<Buffer>, fd: number): AsyncGenerator<Buffer> {
  try {
    yield* entries(extra);
    yield* pack;
  } finally {
    sys.close(fd);
  }
}

function* entries(extra: readonly Extra[]): Generator<Buffer> {
  for (const { name, content } of extra) {
    const mtime = BigInt(Math.floor(Date.now() / 1000)) * 1_000_000_000n;
    yield Buffer.concat([
      encodeHeader({ ...blankHeader(name, '0'), mode: 0o600, size: content.length, mtime }),
      content,
      padding(content.length),
    ]);
  }
}

/** An archive is sent on as it comes; all else is a Dockerfile without a context. */
async function fromStdin(file: string): Promise<BuildContext> {
  if (file === '-') throw new Error("invalid argument: can't use stdin for both build context and dockerfile");
  const chunks = process.stdin[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const start = await beginning(chunks);
  if (isArchive(start)) {
    return { upload: Readable.from(rest(start, chunks), { objectMode: false }), dockerfile: file === '' ? 'Dockerfile' : file };
  }
  if (file !== '') throw unprepared('ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles');
  const content = await allOf(rest(start, chunks));
  const tar = [...entries([{ name: 'Dockerfile', content }]), END_OF_ARCHIVE];
  return { upload: Readable.from(tar, { objectMode: false }), dockerfile: 'Dockerfile' };
}

/** At least a header block, if there is that much. */
async function beginning(chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  let start = Buffer.alloc(0);
  while (start.length < BLOCK) {
    const next = await chunks.next();
    if (next.done) break;
    start = Buffer.concat([start, next.value]);
  }
  return start;
}

async function* rest(start: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield start;
  yield* { [Symbol.asyncIterator]: () => chunks };
}

function isArchive(start: Buffer): boolean {
  if (sniff(start) !== 'plain') return true;
  if (start.length < BLOCK) return false;
  try {
    decodeHeader(start.subarray(0, BLOCK));
    return true;
  } catch (error) {
    if (!(error instanceof TarFormatError)) throw error;
    return false;
  }
}

async function allOf(source: AsyncIterable<Buffer | string>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
