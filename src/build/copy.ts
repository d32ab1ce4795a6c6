// COPY and ADD: finding the sources, their checksum for the cache, and the archive that puts them in place.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { plainTar, SNIFF_BYTES, sniff } from '../image/compression.js';
import { blankHeader } from '../tar/tar-encode.js';
import { decodeHeader, type TarHeader } from '../tar/tar-header.js';
import { BuildError } from './build-error.js';
import { type ContainerTree, NotADirectory, type Owner, type Place, placeOf } from './container-tree.js';
import { glob, follow, baseName, components, join, type SourceTree } from './source-tree.js';
import { type TarItem, type TarItems, withBeginning, writeItems } from './tar-items.js';
import { BadPattern, hasWildcards } from './match.js';

/** One thing to copy. */
export interface Source {
  /** Its name, when it goes into a directory. */
  readonly name: string;
  readonly isDirectory: boolean;
  /** ADD does not unpack it. */
  readonly asItIs?: boolean;
  /** `file:HEX` or `dir:HEX`. */
  readonly digest: string;
  /** The file under `name`, or what is in the directory. */
  items(name: string): TarItems;
}

export interface CopyRequest {
  readonly kind: 'COPY' | 'ADD';
  readonly sources: readonly Source[];
  /** Absolute; ends in a slash when it must be a directory. */
  readonly destination: string;
  /** undefined keeps the owners of the source. */
  readonly owner: Owner | undefined;
  readonly mode: number | undefined;
}

const ARCHIVE_BEGINNING = 512;

/** What of an entry counts for the cache: all but its times and, in the context, where nobody's files are. */
function metadata(header: TarHeader): string {
  const { name, type, mode, uid, gid, linkname, major, minor, sparse } = header;
  const xattrs = [...header.xattrs].map(([key, value]) => [key, value.toString('hex')]).sort();
  return JSON.stringify([name, type, mode & 0o7777, uid, gid, header.size, linkname, major, minor, xattrs, sparse]);
}

async function digestOf(items: TarItems): Promise<string> {
  const entries: string[] = [];
  let hash = createHash('sha256');
  const finish = (): void => void entries.push(hash.digest('hex'));
  let isFirst = true;
  for await (const item of items) {
    if (Buffer.isBuffer(item)) {
      hash.update(item);
      continue;
    }
    if (!isFirst) finish();
    isFirst = false;
    hash = createHash('sha256').update(`${metadata(item)}\n`, 'latin1');
  }
  if (!isFirst) finish();
  return createHash('sha256').update(entries.sort().join('\n')).digest('hex');
}

const shown = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();

function notFound(kind: string, path: string, isContext: boolean): BuildError {
  const where = isContext ? 'file not found in build context or excluded by .dockerignore: ' : '';
  return new BuildError(
    `${kind} failed: ${where}stat ${shown(components(path).join('/'))}: file does not exist`,
    isContext ? 400 : 500,
  );
}

async function one(tree: SourceTree, path: string, kind: string, isContext: boolean): Promise<Source> {
  const found = await follow(tree, path);
  if (!found) throw notFound(kind, path, isContext);
  const isDirectory = found.node.type === 'directory';
  const items = (name: string): TarItems => tree.items(found.path, isDirectory ? '' : name);
  const name = baseName(path);
  const digest = `${isDirectory ? 'dir' : 'file'}:${await digestOf(items(name))}`;
  return { name, isDirectory, digest, items };
}

/** Whether the path, once `..` is taken away, still begins with one. */
function leavesContext(path: string): boolean {
  let depth = 0;
  for (const part of components(path)) if ((depth += part === '..' ? -1 : 1) < 0) return true;
  return false;
}

/** Finds what the words of a COPY stand for. `paths` are bytes. Errors: BuildError. */
export async function findSources(
  tree: SourceTree,
  paths: readonly string[],
  kind: 'COPY' | 'ADD',
  isContext: boolean,
): Promise<Source[]> {
  const found: Source[] = [];
  for (const path of paths) {
    if (kind === 'ADD' && /^(?:ftp|git|ssh):\/\/|^git@/.test(path))
      throw new BuildError(
        `ADD failed: ${shown(path)} would have to be fetched, which this builder does by http and https alone: fetch it with RUN, or put it into the build context`,
        400,
      );
    if (isContext && !path.startsWith('/') && leavesContext(path))
      throw new BuildError(`${kind} failed: forbidden path outside the build context: ${shown(path)} ()`, 400);
    try {
      const names = hasWildcards(path) ? await glob(tree, path) : [path];
      for (const name of names) found.push(await one(tree, name, kind, isContext));
    } catch (error) {
      if (error instanceof BadPattern) throw new BuildError(`${kind} failed: ${shown(path)}: ${error.message}`, 400);
      throw error;
    }
  }
  return found;
}

/** A file whose content stands in the Dockerfile. */
export function inlineSource(name: string, content: string): Source {
  const data = Buffer.from(content);
  const bytes = Buffer.from(name).toString('latin1');
  const items = (as: string): TarItem[] => [{ ...blankHeader(as, '0'), size: data.length, mtime: now() }, data];
  const digest = createHash('sha256').update(`${bytes}\n`, 'latin1').update(data).digest('hex');
  return { name: bytes, isDirectory: false, digest: `file:${digest}`, items };
}

/** The checksum that stands in `created_by`. */
export function sourcesDigest(sources: readonly Source[]): string {
  const [first] = sources;
  if (first && sources.length === 1) return first.digest;
  return `multi:${createHash('sha256')
    .update(sources.map(({ digest }) => digest).join(','))
    .digest('hex')}`;
}

const now = (): bigint => BigInt(Date.now()) * 1_000_000n;

/** Headers of directories that are missing on the way to a destination. */
export function newDirectories(missing: readonly string[], owner: Owner | undefined): TarHeader[] {
  const { uid, gid } = owner ?? { uid: 0, gid: 0 };
  return missing.map((_, i) => ({
    ...blankHeader(`${missing.slice(0, i + 1).join('/')}/`, '5'),
    mode: 0o755,
    uid,
    gid,
    mtime: now(),
  }));
}

async function* adjusted(items: TarItems, { owner, mode }: CopyRequest): AsyncGenerator<TarItem> {
  for await (const item of items) {
    if (Buffer.isBuffer(item)) yield item;
    else yield { ...item, ...owner, ...(mode === undefined || item.type === '2' ? {} : { mode }) };
  }
}

async function* beginningOf(source: Source): AsyncGenerator<Buffer> {
  for await (const item of source.items(source.name)) if (Buffer.isBuffer(item)) yield item;
}

/** The archive that a file is, without its compression; undefined for any other file. */
async function archiveIn(source: Source, signal: AbortSignal): Promise<AsyncIterable<Buffer> | undefined> {
  const plain = (): AsyncGenerator<Buffer> =>
    plainTar(Readable.from(withBeginning(beginningOf(source), ARCHIVE_BEGINNING), { objectMode: false }), signal);
  let isCompressed = false;
  for await (const chunk of withBeginning(beginningOf(source), SNIFF_BYTES)) {
    isCompressed = sniff(chunk.subarray(0, SNIFF_BYTES)) !== 'plain';
    break;
  }
  try {
    for await (const chunk of withBeginning(plain(), ARCHIVE_BEGINNING)) {
      if (chunk.length < ARCHIVE_BEGINNING) return undefined;
      decodeHeader(chunk.subarray(0, ARCHIVE_BEGINNING));
      return plain();
    }
  } catch (error) {
    signal.throwIfAborted();
    // Neither a tar nor a whole compressed file: copied as it is.
    if (isCompressed || (error instanceof Error && error.name === 'TarFormatError')) return undefined;
    throw error;
  }
  return undefined;
}

function directoryAt(place: Place, request: CopyRequest): readonly string[] {
  if (place.file === undefined) return place.missing;
  throw new BuildError(
    `${request.kind} failed: cannot copy to non-directory: ${request.destination.replace(/(?<=.)\/+$/, '')}`,
    400,
  );
}

/** Puts the sources into the root. Errors: BuildError. */
export async function copyInto(root: ContainerTree, request: CopyRequest, signal: AbortSignal): Promise<void> {
  const { sources, destination, owner } = request;
  const place = await placeOf(root, destination).catch((error: unknown) => {
    if (error instanceof NotADirectory) throw new BuildError(`${request.kind} failed: ${shown(error.message)}`, 400);
    throw error;
  });
  const put = (items: TarItems): Promise<void> => root.container.write(`/${place.directory}`, writeItems(items), signal);
  const archives = new Map<Source, AsyncIterable<Buffer>>();
  for (const source of request.kind === 'ADD' ? sources : []) {
    const archive = source.isDirectory || source.asItIs ? undefined : await archiveIn(source, signal);
    if (archive) archives.set(source, archive);
  }
  const [only] = sources;
  const toFile = only && sources.length === 1 && !only.isDirectory && !archives.has(only) && !destination.endsWith('/');
  if (toFile && (place.file !== undefined || place.missing.length > 0)) {
    const parents = place.file === undefined ? place.missing.slice(0, -1) : place.missing;
    const name = place.file ?? place.missing.at(-1) ?? '';
    const path = [...parents, name].join('/');
    return put(concatenated([newDirectories(parents, owner), adjusted(only.items(path), request)]));
  }
  const parents = directoryAt(place, request);
  const prefix = parents.join('/');
  const plain = sources.filter((source) => !archives.has(source));
  await put(concatenated([newDirectories(parents, owner), ...plain.map((source) => below(prefix, source, request))]));
  for (const archive of archives.values()) await root.container.write(`/${join(place.directory, prefix)}`, archive, signal);
}

/** A source's items with the destination's missing part before their names. */
async function* below(prefix: string, source: Source, request: CopyRequest): AsyncGenerator<TarItem> {
  if (!source.isDirectory) {
    yield* adjusted(source.items(join(prefix, source.name)), request);
    return;
  }
  for await (const item of adjusted(source.items(''), request)) {
    if (Buffer.isBuffer(item)) yield item;
    else
      yield { ...item, name: join(prefix, item.name), ...(item.type === '1' ? { linkname: join(prefix, item.linkname) } : {}) };
  }
}

async function* concatenated(parts: readonly TarItems[]): AsyncGenerator<TarItem> {
  for (const part of parts) yield* part;
}
