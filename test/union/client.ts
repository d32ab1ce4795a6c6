// What a program does in the root, as requests: paths in, values or -errno out. Every name is looked up anew, as by a
// kernel that caches nothing, and every node handed out is counted so that it can be forgotten.

import { Opcode } from '../../src/abi/protocol.js';
import { WireClient } from './wire-client.js';

const ROOT = 1;
const ESTALE = -116;
const ENOENT = -2;

/** fuse_entry_out as far as tests look at it. */
export interface Entry {
  nodeid: number;
  ino: bigint;
  size: number;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
}

export interface Dirent {
  name: string;
  off: bigint;
  ino: bigint;
  type: number;
}

function attributes(bytes: Buffer, at: number): Omit<Entry, 'nodeid'> {
  const u32 = (offset: number): number => bytes.readUInt32LE(at + offset);
  return {
    ino: bytes.readBigUInt64LE(at),
    size: Number(bytes.readBigUInt64LE(at + 8)),
    mode: u32(60),
    nlink: u32(64),
    uid: u32(68),
    gid: u32(72),
    rdev: u32(76),
  };
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'latin1');
const words = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
const longs = (...values: bigint[]): Buffer => Buffer.from(BigUint64Array.from(values).buffer);

function dirents(bytes: Buffer, plus: boolean): (Dirent & { nodeid: number })[] {
  const found: (Dirent & { nodeid: number })[] = [];
  const skip = plus ? 128 : 0;
  for (let at = 0; at + skip + 24 <= bytes.length;) {
    const nodeid = plus ? Number(bytes.readBigUInt64LE(at)) : 0;
    const head = at + skip;
    const length = bytes.readUInt32LE(head + 16);
    const name = bytes.toString('latin1', head + 24, head + 24 + length);
    found.push({
      nodeid,
      name,
      ino: bytes.readBigUInt64LE(head),
      off: bytes.readBigUInt64LE(head + 8),
      type: bytes.readUInt32LE(head + 20),
    });
    at += skip + ((24 + length + 7) & ~7);
  }
  return found;
}

export class Client extends WireClient {
  /** Lookups owed to each node. */
  readonly counts = new Map<number, number>();

  #count(nodeid: number): void {
    if (nodeid !== 0) this.counts.set(nodeid, (this.counts.get(nodeid) ?? 0) + 1);
  }

  #entry(reply: Buffer | number): Entry | number {
    if (typeof reply === 'number') return reply;
    const nodeid = Number(reply.readBigUInt64LE(0));
    if (nodeid === 0) return ENOENT;
    this.#count(nodeid);
    return { nodeid, ...attributes(reply, 40) };
  }

  child(parent: number, name: string): Entry | number {
    return this.#entry(this.ask(Opcode.LOOKUP, parent, text(name)));
  }

  /** The entry of a path from the root, or -errno of the first step that fails. */
  lookup(path: string): Entry | number {
    let found: Entry | number = this.getattr(ROOT);
    for (const name of path.split('/').filter((each) => each !== '')) {
      if (typeof found === 'number') return found;
      found = this.child(found.nodeid, name);
    }
    return found;
  }

  getattr(node: number): Entry | number {
    const reply = this.ask(Opcode.GETATTR, node, Buffer.alloc(16));
    return typeof reply === 'number' ? reply : { nodeid: node, ...attributes(reply, 16) };
  }

  /** The nodeid of a path that must exist. */
  id(path: string): number {
    const found = this.lookup(path);
    if (typeof found === 'number') throw new Error(`${path}: errno ${-found}`);
    return found.nodeid;
  }

  #parent(path: string): [number, string] {
    const at = path.lastIndexOf('/');
    return [at < 0 ? ROOT : this.id(path.slice(0, at)), path.slice(at + 1)];
  }

  mkdir(path: string, mode = 0o755): Entry | number {
    const [parent, name] = this.#parent(path);
    return this.#entry(this.ask(Opcode.MKDIR, parent, Buffer.concat([words(mode, 0), text(name)])));
  }

  mknod(path: string, mode: number, rdev = 0): Entry | number {
    const [parent, name] = this.#parent(path);
    return this.#entry(this.ask(Opcode.MKNOD, parent, Buffer.concat([words(mode, rdev, 0, 0), text(name)])));
  }

  symlink(path: string, target: string): Entry | number {
    const [parent, name] = this.#parent(path);
    return this.#entry(this.ask(Opcode.SYMLINK, parent, Buffer.concat([text(name), text(target)])));
  }

  link(node: number, path: string): Entry | number {
    const [parent, name] = this.#parent(path);
    return this.#entry(this.ask(Opcode.LINK, parent, Buffer.concat([longs(BigInt(node)), text(name)])));
  }

  readlink(path: string): string | number {
    const reply = this.ask(Opcode.READLINK, this.id(path));
    return typeof reply === 'number' ? reply : reply.toString('latin1');
  }

  #done(reply: Buffer | number): number {
    return typeof reply === 'number' ? reply : 0;
  }

  unlink(path: string): number {
    const [parent, name] = this.#parent(path);
    return this.#done(this.ask(Opcode.UNLINK, parent, text(name)));
  }

  rmdir(path: string): number {
    const [parent, name] = this.#parent(path);
    return this.#done(this.ask(Opcode.RMDIR, parent, text(name)));
  }

  /** Both ends are looked up first, as the kernel does. */
  rename(from: string, to: string, flags = 0): number {
    const source = this.lookup(from);
    if (typeof source === 'number') return source;
    this.lookup(to);
    const [oldParent, oldName] = this.#parent(from);
    const [newParent, newName] = this.#parent(to);
    const body = Buffer.concat([longs(BigInt(newParent)), words(flags, 0), text(oldName), text(newName)]);
    return this.#done(this.ask(Opcode.RENAME2, oldParent, body));
  }

  chmod(path: string, mode: number): number {
    const body = Buffer.alloc(88);
    body.writeUInt32LE(1, 0); // FATTR_MODE
    body.writeUInt32LE(mode, 68);
    return this.#done(this.ask(Opcode.SETATTR, this.id(path), body));
  }

  /** fh, or -errno. */
  open(node: number, flags: number): bigint | number {
    const reply = this.ask(Opcode.OPEN, node, words(flags, 0));
    return typeof reply === 'number' ? reply : reply.readBigUInt64LE(0);
  }

  release(node: number, fh: bigint): void {
    this.ask(Opcode.RELEASE, node, Buffer.concat([longs(fh), words(0, 0), longs(0n)]));
  }

  readHandle(node: number, fh: bigint, size = 65536): string | number {
    const reply = this.ask(Opcode.READ, node, Buffer.concat([longs(fh, 0n), words(size, 0), longs(0n), words(0, 0)]));
    return typeof reply === 'number' ? reply : reply.toString('latin1');
  }

  read(path: string): string | number {
    const found = this.lookup(path);
    if (typeof found === 'number') return found;
    const fh = this.open(found.nodeid, 0);
    if (typeof fh === 'number') return fh;
    const content = this.readHandle(found.nodeid, fh);
    this.release(found.nodeid, fh);
    return content;
  }

  /** Opens for writing, as the kernel: once more from the lookup when the node was split. */
  write(path: string, content: string): number {
    for (let round = 0; ; round++) {
      const found = this.lookup(path);
      if (typeof found === 'number') return found;
      const fh = this.open(found.nodeid, 1);
      if (fh === ESTALE && round === 0) continue;
      if (typeof fh === 'number') return fh;
      const body = Buffer.concat([
        longs(fh, 0n),
        words(content.length, 0),
        longs(0n),
        words(0, 0),
        Buffer.from(content, 'latin1'),
      ]);
      const reply = this.ask(Opcode.WRITE, found.nodeid, body);
      this.release(found.nodeid, fh);
      return typeof reply === 'number' ? reply : reply.readUInt32LE(0);
    }
  }

  /** CREATE and RELEASE of an empty file. */
  create(path: string, mode = 0o644): Entry | number {
    const [parent, name] = this.#parent(path);
    const reply = this.ask(Opcode.CREATE, parent, Buffer.concat([words(0o302, mode, 0, 0), text(name)]));
    const entry = this.#entry(reply);
    if (typeof entry !== 'number' && typeof reply !== 'number') this.release(entry.nodeid, reply.readBigUInt64LE(128));
    return entry;
  }

  getxattr(path: string, name: string): string | number {
    const reply = this.ask(Opcode.GETXATTR, this.id(path), Buffer.concat([words(4096, 0), text(name)]));
    return typeof reply === 'number' ? reply : reply.toString('latin1');
  }

  /** One reply of READDIR or READDIRPLUS; the nodes it enters are counted. */
  page(node: number, offset: bigint, size: number, plus = false): Dirent[] | number {
    const body = Buffer.concat([longs(0n, offset), words(size, 0), longs(0n), words(0, 0)]);
    const reply = this.ask(plus ? Opcode.READDIRPLUS : Opcode.READDIR, node, body);
    if (typeof reply === 'number') return reply;
    const found = dirents(reply, plus);
    for (const { nodeid } of found) this.#count(nodeid);
    return found;
  }

  /** All of a directory by pages of `size`; `between` runs after each. */
  entries(node: number, size = 65536, plus = false, between: (page: number) => void = () => undefined): Dirent[] {
    const all: Dirent[] = [];
    for (let offset = 0n, number = 0; ; number++) {
      const found = this.page(node, offset, size, plus);
      if (typeof found === 'number') throw new Error(`readdir: errno ${-found}`);
      const last = found.at(-1);
      if (!last) return all;
      all.push(...found);
      offset = last.off;
      between(number);
    }
  }

  /** Names in a directory without the dots, sorted. */
  names(path: string): string[] {
    return this.entries(this.id(path))
      .map(({ name }) => name)
      .filter((name) => name !== '.' && name !== '..')
      .sort();
  }

  /** The whole tree below a path: content of files, target of links, '/' for directories. */
  tree(path = '', into: Record<string, string | number> = {}): Record<string, string | number> {
    for (const name of this.names(path)) {
      const below = path === '' ? name : `${path}/${name}`;
      const found = this.lookup(below);
      const type = typeof found === 'number' ? 0 : found.mode & 0o170000;
      if (type === 0o040000) {
        into[`${below}/`] = '';
        this.tree(below, into);
      } else {
        into[below] =
          typeof found === 'number'
            ? found
            : type === 0o100000
              ? this.read(below)
              : type === 0o120000
                ? this.readlink(below)
                : '?';
      }
    }
    return into;
  }

  /** Gives back every lookup. */
  /** Ends the union. Throws when it knows more than the root once all that nobody has open is forgotten. */
  override close(): void {
    const idle = !this.closed && this.native.stats().handles === 0;
    if (idle) this.forgetAll();
    const { nodes } = idle ? this.native.stats() : { nodes: 1 };
    super.close();
    if (nodes > 1) throw new Error(`${nodes} nodes are known when all is forgotten`);
  }

  forgetAll(): void {
    for (const [node, nlookup] of this.counts) this.forget(node, nlookup);
    this.counts.clear();
  }
}
