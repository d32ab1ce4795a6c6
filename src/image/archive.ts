// An image archive as named pieces that can be read at any offset: a tar (indexed once, data left where it is) or a
// directory. Streams and compressed files are first spooled to disk. Opened by load.ts, which closes it.

import { closeSync, fstatSync, constants, openSync, readSync } from 'node:fs';
import { join, posix } from 'node:path';
import { sniff, SNIFF_BYTES } from './compression.js';
import { ImageError, MAKE_AGAIN, shown } from './image-error.js';
import { spool } from './spool.js';
import { BLOCK, TarFormatError } from '../tar/tar-header.js';
import type { TarHeader } from '../tar/tar-header.js';
import { TarReader } from '../tar/tar-reader.js';

/** A run of bytes in an open file. */
export interface Piece {
  readonly fd: number;
  readonly offset: number;
  readonly size: number;
}

export interface Archive {
  /** What the user called it, for messages. */
  readonly label: string;
  /** The regular file of that name, symlinks inside the archive followed; undefined when there is none. */
  find(name: string): Piece | undefined;
  close(): void;
}

/** Reads exactly `length` bytes, fewer only at the end of the file. */
export function readAt(fd: number, into: Buffer, length: number, offset: number): number {
  let got = 0;
  while (got < length) {
    const part = readSync(fd, into, got, length - got, offset + got);
    if (part === 0) break;
    got += part;
  }
  return got;
}

interface Place {
  readonly offset: number;
  readonly size: number;
  /** Set for a link: the name it leads to. */
  readonly link?: string;
}

const normal = (name: string): string => posix.normalize(name).replace(/^(\.?\/)+|\/+$/g, '');

class TarArchive implements Archive {
  constructor(
    readonly label: string,
    private readonly fd: number,
    private readonly places: ReadonlyMap<string, Place>,
  ) {}

  find(name: string): Piece | undefined {
    let place = this.places.get(normal(name));
    for (let hops = 0; place?.link !== undefined; hops++) {
      if (hops === 16) throw new ImageError(this.label, `too many links from ${shown(name)}`, MAKE_AGAIN);
      place = this.places.get(place.link);
    }
    return place && { fd: this.fd, offset: place.offset, size: place.size };
  }

  close(): void {
    closeSync(this.fd);
  }
}

class DirectoryArchive implements Archive {
  private readonly open = new Map<string, Piece | undefined>();

  constructor(readonly label: string) {}

  find(name: string): Piece | undefined {
    const path = normal(name);
    if (!this.open.has(path)) this.open.set(path, path.startsWith('..') ? undefined : this.openFile(path));
    return this.open.get(path);
  }

  private openFile(path: string): Piece | undefined {
    let fd: number;
    try {
      // Not to hang on a fifo.
      fd = openSync(join(this.label, path), constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw new ImageError(join(this.label, path), `cannot read it: ${code ?? message}`, 'check its permissions', error);
    }
    const stat = fstatSync(fd);
    if (stat.isFile()) return { fd, offset: 0, size: stat.size };
    closeSync(fd);
    throw new ImageError(join(this.label, path), 'not a regular file', MAKE_AGAIN);
  }

  close(): void {
    for (const piece of this.open.values()) if (piece) closeSync(piece.fd);
    this.open.clear();
  }
}

function indexTar(label: string, fd: number): Map<string, Place> {
  const size = fstatSync(fd).size;
  const places = new Map<string, Place>();
  let at = 0;
  const reader = new TarReader({
    entry(header: TarHeader) {
      const name = normal(header.name);
      // A later entry of the same name replaces the earlier, as when unpacking.
      if (header.type === '0' && !header.sparse) places.set(name, { offset: at + BLOCK, size: header.size });
      else if (header.type === '2')
        places.set(name, { offset: 0, size: 0, link: normal(posix.join(posix.dirname(name), header.linkname)) });
      else if (header.type === '1') places.set(name, { offset: 0, size: 0, link: normal(header.linkname) });
    },
    data: () => undefined,
    end: () => undefined,
  });
  const block = Buffer.alloc(BLOCK);
  try {
    while (!reader.ended) {
      const got = readAt(fd, block, BLOCK, at);
      if (got === 0) break;
      reader.write(block.subarray(0, got));
      at += BLOCK + reader.skippable;
      if (at > size) throw new TarFormatError('unexpected end');
      if (reader.skippable > 0) reader.skip();
    }
    reader.finish();
  } catch (error) {
    if (!(error instanceof TarFormatError)) throw error;
    if (places.size === 0 && reader.position === 0)
      throw new ImageError(
        label,
        'not an image archive: neither a tar nor an OCI layout',
        'give what `docker save`, `podman save` or `skopeo copy` wrote',
        error,
      );
    throw new ImageError(label, `the tar is broken at byte ${reader.position}: ${error.message}`, MAKE_AGAIN, error);
  }
  return places;
}

function openPath(path: string): { fd: number; directory: boolean } {
  try {
    const fd = openSync(path, constants.O_RDONLY);
    return { fd, directory: fstatSync(fd).isDirectory() };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file or directory' : code === 'EACCES' ? 'permission denied' : message;
    throw new ImageError(path, why, 'give the path of an image archive or of an OCI layout', error);
  }
}

/** Opens a tar whose bytes are in `fd`, a regular file. Owns `fd` from here on. */
function openTar(label: string, fd: number): Archive {
  try {
    return new TarArchive(label, fd, indexTar(label, fd));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Whole archives are spooled below `staging` when they are compressed or come as a stream. `label` names it to the user. */
export async function openArchive(
  source: string | NodeJS.ReadableStream,
  label: string,
  staging: string,
  signal?: AbortSignal,
): Promise<Archive> {
  if (typeof source !== 'string') return openTar(label, await spool(label, source, staging, signal));
  const { fd, directory } = openPath(source);
  if (directory) {
    closeSync(fd);
    return new DirectoryArchive(source);
  }
  const start = Buffer.alloc(SNIFF_BYTES);
  // A fifo or a device cannot be read at an offset.
  if (fstatSync(fd).isFile()) {
    const got = readAt(fd, start, SNIFF_BYTES, 0);
    if (got === 0) {
      closeSync(fd);
      throw new ImageError(label, 'the file is empty', MAKE_AGAIN);
    }
    if (sniff(start) === 'plain') return openTar(label, fd);
  }
  return openTar(label, await spool(label, fd, staging, signal));
}
