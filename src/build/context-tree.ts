// The build context: the tar that the client sent, spooled to one file and indexed. Nothing of it is unpacked, so none of its
// names ever meets the host's files. Everything in it belongs to root, as Docker has it.

import { closeSync, openSync, unlinkSync } from 'node:fs';
import { read as readCallback, write as writeCallback } from 'node:fs';
import { join as joinPath, posix } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { CompressionError, plainTar } from '../image/compression.js';
import { blankHeader } from '../tar/tar-encode.js';
import { TarFormatError, type TarHeader } from '../tar/tar-header.js';
import { BuildError } from './build-error.js';
import { readItems, type TarItem, withBeginning } from './tar-items.js';
import { components, join, type SourceNode, type SourceTree } from './source-tree.js';

const read = promisify(readCallback);
const write = promisify(writeCallback);
const CHUNK = 1 << 20;

interface Node {
  header: TarHeader;
  /** Of a directory; undefined for all else. */
  children?: Map<string, Node>;
  /** Where its data is in the spool. */
  offset: number;
}

const TYPES: Readonly<Record<string, SourceNode['type']>> = { '0': 'file', '5': 'directory', '2': 'symlink' };

function directory(): Node {
  return { header: { ...blankHeader('', '5'), mode: 0o755 }, children: new Map(), offset: 0 };
}

const shown = (bytes: string): string => JSON.stringify(Buffer.from(bytes, 'latin1').toString());

export class ContextTree implements SourceTree {
  readonly #top = directory();
  #end = 0;

  private constructor(private readonly fd: number) {}

  /**
   * Reads the whole context, whatever its compression; the file in `directory` has no name.
   * Errors: BuildError for what is no archive. Owns: the caller closes it.
   */
  static async receive(source: Readable, directory: string, signal: AbortSignal): Promise<ContextTree> {
    const path = joinPath(directory, 'context');
    const tree = new ContextTree(openSync(path, 'wx+', 0o600));
    try {
      unlinkSync(path);
      const whole = Readable.from(withBeginning(source as AsyncIterable<Buffer>, 512), { objectMode: false });
      await tree.#fill(readItems(plainTar(whole, signal)), signal);
      return tree;
    } catch (error) {
      tree.close();
      signal.throwIfAborted();
      if (error instanceof TarFormatError || error instanceof CompressionError)
        throw new BuildError(`the build context is not a usable tar archive: ${error.message}`, 400);
      throw error;
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  async #fill(items: AsyncIterable<TarItem>, signal: AbortSignal): Promise<void> {
    for await (const item of items) {
      signal.throwIfAborted();
      if (Buffer.isBuffer(item)) await this.#append(item);
      else this.#add(item);
    }
  }

  async #append(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length;) {
      const { bytesWritten } = await write(this.fd, data, at, data.length - at, this.#end);
      at += bytesWritten;
      this.#end += bytesWritten;
    }
  }

  /** At the top, its parent is itself. */
  #parts(name: string): string[] {
    return components(posix.join('/', name));
  }

  /** Puts an entry in its place; its data, if it has any, is appended next. */
  #add(given: TarHeader): void {
    const header = { ...given, uid: 0, gid: 0, type: given.sparse ? '0' : given.type };
    const parts = this.#parts(header.name);
    const base = parts.pop();
    if (base === undefined) return;
    const children = this.#directory(parts);
    const there = children.get(base);
    if (header.type === '1') {
      const target = this.#find(this.#parts(header.linkname));
      if (target?.header.type !== '0')
        throw new BuildError(
          `the build context is not usable: ${shown(header.name)} is a link to ${shown(header.linkname)}, which is not before it`,
          400,
        );
      children.set(base, target);
      return;
    }
    const node: Node = { header, offset: this.#end };
    if (header.type === '5') node.children = there?.children ?? new Map<string, Node>();
    children.set(base, node);
  }

  /** Makes what is missing; what stands in the way gives way. */
  #directory(parts: readonly string[]): Map<string, Node> {
    let children = this.#top.children ?? new Map<string, Node>();
    for (const part of parts) {
      let next = children.get(part);
      if (!next?.children) children.set(part, (next = directory()));
      children = next.children ?? new Map<string, Node>();
    }
    return children;
  }

  #find(parts: readonly string[]): Node | undefined {
    let node: Node | undefined = this.#top;
    for (const part of parts) node = node?.children?.get(part);
    return node;
  }

  /** Takes a file out, as if it had not been sent. */
  remove(path: string): void {
    const parts = components(path);
    const base = parts.pop();
    if (base !== undefined) this.#find(parts)?.children?.delete(base);
  }

  async lookup(path: string): Promise<SourceNode | undefined> {
    const node = this.#find(components(path));
    return node && { type: TYPES[node.header.type] ?? 'other', linkTarget: node.header.linkname };
  }

  async list(path: string): Promise<string[]> {
    return [...(this.#find(components(path))?.children?.keys() ?? [])];
  }

  async *items(path: string, name: string): AsyncGenerator<TarItem> {
    const node = this.#find(components(path));
    if (!node) return;
    if (name !== '') yield { ...node.header, name };
    if (!node.children) yield* this.#data(node);
    for (const child of [...(node.children?.keys() ?? [])].sort()) yield* this.items(join(path, child), join(name, child));
  }

  async *#data({ header, offset }: Node): AsyncGenerator<Buffer> {
    for (let at = 0; at < header.size;) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, header.size - at));
      const { bytesRead } = await read(this.fd, chunk, 0, chunk.length, offset + at);
      if (bytesRead === 0) throw new BuildError('the build context was cut short on disk');
      yield chunk.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  /** Data of a file of at most `limit` bytes; undefined when it is none or larger. Follows no symlink. */
  async content(path: string, limit: number): Promise<Buffer | undefined> {
    const node = this.#find(components(path));
    if (node?.header.type !== '0' || node.header.sparse || node.header.size > limit) return undefined;
    const chunks: Buffer[] = [];
    for await (const chunk of this.#data(node)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
}
