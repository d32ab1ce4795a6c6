// One layer's tar into a directory of its own: a small one here and now, a large one by a process of its own
// (unpack-child.ts), because it is made of calls that block. Called by publication.ts, which owns the directories.

import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { isHostRoot } from '../native/host-root.js';
import { ApartDied, ApartError, FIRST_FILE_FD, runApart } from '../process/apart.js';
import { prefixed } from './compression.js';
import { ImageError } from './image-error.js';
import { type LayerOptions, type StoredLayer, compressionOf, streamLayer, streamTar } from './layer-stream.js';
import { TAR_SPLIT } from './tar-split.js';
import { Unpacker } from './unpack.js';

/** Bytes of a tar that are unpacked in place: some milliseconds' worth, where a process takes 50 to start. */
const SMALL = 1 << 19;
/** The same of a compressed one: headers, which take the time, shrink to a twentieth. */
const SMALL_COMPRESSED = 1 << 15;

export interface LayerTarget {
  /** Gets the record of the tar, and the tree in its empty `diff`. */
  readonly home: string;
  /** An empty directory on the same filesystem, for what later entries replace. */
  readonly trash: string;
  /** Directories of the layers below, topmost first. */
  readonly lower: readonly string[];
  /** Names the layer in errors. */
  readonly label: string;
}

/** A layer of an archive, or a plain tar of which nothing is known. */
export type LayerInput = StoredLayer | AsyncIterable<Buffer>;

export interface UnpackedLayer {
  /** Hex sha256 of the plain tar. */
  readonly diffId: string;
  /** Bytes of regular files, each once. */
  readonly size: number;
  /** Whether the tree depends on the layers below too. */
  readonly dependent: boolean;
  /** See `Omissions`. */
  readonly omitted: readonly (readonly [kind: string, count: number])[];
}

export type UnpackOptions = Pick<LayerOptions, 'progress' | 'signal'>;

/** For unpack-child.ts, whose stdin is the tar when nothing is stored. */
export interface UnpackWork {
  readonly target: LayerTarget;
  readonly stored?: StoredLayer;
}

/** Unpacks in this process. Errors: ImageError, those of the disk and of the tar's source, the signal's reason. */
export async function unpackHere(target: LayerTarget, input: LayerInput, options: UnpackOptions): Promise<UnpackedLayer> {
  const { home, lower, label } = target;
  const dir = openDirectory(join(home, 'diff'));
  const trash = openDirectory(target.trash);
  const unpacker = new Unpacker({ dir, trash, privileged: isHostRoot(), lower, label });
  const stream = { label, split: join(home, TAR_SPLIT), ...options };
  try {
    const diffId = await ('piece' in input ? streamLayer(input, stream, unpacker) : streamTar(input, stream, unpacker));
    unpacker.finish();
    const { size, dependent, omitted } = unpacker;
    return { diffId, size, dependent, omitted: [...omitted.counts] };
  } finally {
    unpacker.close();
    closeSync(dir);
    closeSync(trash);
  }
}

function openDirectory(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

/** Unpacks where it keeps nobody waiting. Errors: those of `unpackHere`, ApartDied. */
export function unpackLayer(target: LayerTarget, input: LayerInput, options: UnpackOptions): Promise<UnpackedLayer> {
  if (!('piece' in input)) return unpackStream(target, input, options);
  const { fd, size } = input.piece;
  const small = compressionOf(input.piece) === 'plain' ? SMALL : SMALL_COMPRESSED;
  if (size <= small) return unpackHere(target, input, options);
  const stored = { ...input, piece: { ...input.piece, fd: FIRST_FILE_FD } };
  return unpackApart({ target, stored }, { ...options, files: [fd] });
}

async function unpackStream(target: LayerTarget, tar: AsyncIterable<Buffer>, options: UnpackOptions): Promise<UnpackedLayer> {
  const source = tar[Symbol.asyncIterator]();
  const start: Buffer[] = [];
  try {
    for (let length = 0; length <= SMALL;) {
      const next = await source.next();
      if (next.done) return await unpackHere(target, Readable.from(start), options);
      start.push(next.value);
      length += next.value.length;
    }
    const input = Readable.from(prefixed(Buffer.concat(start), source), { objectMode: false });
    return await unpackApart({ target }, { ...options, input });
  } finally {
    await source.return?.();
  }
}

interface Apart extends UnpackOptions {
  readonly files?: readonly number[];
  readonly input?: Readable;
}

async function unpackApart(work: UnpackWork, { progress, ...options }: Apart): Promise<UnpackedLayer> {
  const told = (done: unknown): unknown => progress?.(Number(done));
  try {
    return await runApart<UnpackedLayer>(join(__dirname, 'unpack-child.js'), work, { ...options, told });
  } catch (error) {
    if (error instanceof ApartError && error.name === ImageError.name) throw ImageError.met(error);
    if (error instanceof ApartDied) throw new ApartDied(`${work.target.label}: ${error.message}; load it again`);
    throw error;
  }
}
