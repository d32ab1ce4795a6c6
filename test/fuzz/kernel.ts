// The kernel's side of a mount for the fuzzer: sends any bytes, remembers what the replies gave (nodes with their lookup
// counts, open files), and complains of replies that /dev/fuse would not take or that show what is outside.

import { existsSync, readFileSync, readSync, writeSync } from 'node:fs';
import { IN_HEADER, OUT_HEADER, Opcode } from '../../src/abi/protocol.js';
import { Loop, Mount, sys } from '../../src/native/load.js';
import { type NativeMount, NodeFlag, type NodeId } from '../../src/native/mount.js';
import { Session } from '../../src/session/session.js';
import { openLayers } from '../../src/transport/layers.js';
import { addRoutes } from '../../src/transport/routes.js';
import { ServedUnion } from '../../src/transport/served-union.js';
import { Union } from '../../src/union/union.js';
import { SECRET, type World } from './world.js';
import { patient } from '../support/patience.js';

/** Bytes of the longest request that the server has room for. */
export const ROOM = 128 * 1024;
const FD_LIMIT = 64; // small, so that places are closed and opened again
const PLACES = 4; // of a directory that is held, in each of few layers, with those above it
const LIMIT_MS = patient(5000);
const NOTIFY_INVAL_INODE = 2;
const NOTICE = OUT_HEADER + 24;
const FILLER = 32 * 1024;
const silent: ReadonlySet<number> = new Set([Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.NOTIFY_REPLY]);
/** Answered or not, as it comes. */
const quiet: ReadonlySet<number> = new Set([Opcode.INTERRUPT, Opcode.SETLKW]);
const entering: ReadonlySet<number> = new Set([
  Opcode.LOOKUP,
  Opcode.MKDIR,
  Opcode.MKNOD,
  Opcode.SYMLINK,
  Opcode.LINK,
  Opcode.CREATE,
  Opcode.TMPFILE,
]);

export interface Known {
  nlookup: number;
  mode: number;
}
export interface Opened {
  node: number;
  /** 0 for passthrough, which has no handle. */
  fh: bigint;
}

/** Ids that backing.c has given out and not got back. */
function openBackingIds(): number {
  const file = process.env['LAMINA_FUZZ_BACKING'];
  return file !== undefined && existsSync(file) ? readFileSync(file).readInt32LE(0) : 0;
}

/** Word that the attributes of a node are no longer what they were, which answers no request. */
function isNotice(message: Buffer): boolean {
  return message.length === NOTICE && message.readInt32LE(4) === NOTIFY_INVAL_INODE && message.readBigUInt64LE(8) === 0n;
}

export class FuzzKernel {
  readonly native: NativeMount;
  readonly nodes = new Map<number, Known>([[1, { nlookup: 1, mode: 0o040755 }]]);
  readonly opened: Opened[] = [];
  readonly logged: string[] = [];
  readonly #session: Session;
  readonly #loop: InstanceType<typeof Loop>;
  readonly #wake = sys.eventfd();
  readonly #socket: number;
  /** The server's end, also its own; filled up to lose a reply. */
  readonly #device: number;
  /** SETLKW that wait for their answer. */
  readonly #waiting: bigint[] = [];
  readonly #reply = Buffer.alloc(ROOM + 4096);
  readonly #secret = Buffer.from(SECRET);
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  readonly #tick = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  readonly #union: Union;
  readonly #roots: number;
  /** Roots of routes, which stay with all directories that lead to them. */
  readonly #mounted: readonly NodeId[];
  unique = 0n;

  constructor(world: World) {
    const { plan } = world;
    const pair = sys.socketpair(true);
    if (typeof pair === 'number') throw new Error(`socketpair: ${pair}`);
    [this.#socket, this.#device] = pair;
    this.native = new Mount(FD_LIMIT);
    this.native.attach(pair[1]);
    this.native.setOptions({ userXattr: plan.scheme === 'user', attrTimeout: 1, entryTimeout: 1, ...plan.ids });
    const log = (message: string): void => void this.logged.push(message);
    this.#roots = plan.lowers.length + plan.routes.length + 3;
    const union = new Union(this.native, openLayers(this.native, plan), log);
    union.makeRoot();
    addRoutes(this.native, union, plan.routes, plan.lowers.length + (plan.upper === undefined ? 0 : 3));
    if (plan.readOnly) this.native.seal();
    const request = new Uint8Array(ROOM);
    const reply = new Uint8Array(ROOM);
    const wishes = {
      passthrough: plan.passthrough,
      cacheDirs: false,
      keepEntries: true,
      posixAcl: true,
      locks: plan.routes.length > 0,
    };
    this.native.setOptions({ locks: wishes.locks });
    this.#session = new Session(this.native, new ServedUnion(union), wishes, { ready: () => undefined, log }, request, reply);
    this.#loop = new Loop({
      wakeFd: this.#wake,
      request,
      reply,
      decide: (_: number, opcode: number, node: NodeId, length: number) => this.#session.decide(opcode, node, length),
      copyUp: (_: number, node: NodeId, length: bigint) => this.#session.copyUp(node, length),
      tidy: () => {
        this.#session.tidy();
        return 0;
      },
      ended: () => 0,
    });
    if (this.#loop.add(0, this.native) !== 0) throw new Error('the loop does not take the mount');
    this.#union = union;
    const ids = Array.from({ length: 64 }, (_, i) => (i + 1) as NodeId);
    this.#mounted = ids.filter((id) => this.native.nodeFlags(id) >= 0 && this.native.nodeFlags(id) & NodeFlag.mountRoot);
    if (this.#mounted.length !== plan.routes.length) throw new Error('not every route has a node');
  }

  /** Sends a message as it is and serves until it is answered. The reply with its header; undefined when there is none. */
  exchange(message: Buffer): Buffer | undefined {
    this.#serve(message);
    const opcode = message.length < IN_HEADER ? 0 : message.readUInt32LE(4);
    const unique = message.length < IN_HEADER ? 0n : message.readBigUInt64LE(8);
    // fsync and the like are answered beside the loop.
    const prompt = opcode === 0 || silent.has(opcode) || quiet.has(opcode);
    for (const end = prompt ? 0 : Date.now() + LIMIT_MS; ;) {
      const reply = this.#read();
      if (reply && !this.#isLate(reply, unique)) return reply;
      if (reply) continue;
      if (opcode === Opcode.SETLKW) this.#waiting.push(unique);
      if (Date.now() >= end) return undefined;
      Atomics.wait(this.#pause, 0, 0, 1);
    }
  }

  #serve(message?: Buffer): void {
    writeSync(this.#wake, this.#tick);
    if (message) writeSync(this.#socket, message);
    this.#loop.run();
  }

  #read(): Buffer | undefined {
    try {
      for (;;) {
        const message = this.#reply.subarray(0, readSync(this.#socket, this.#reply, 0, this.#reply.length, null));
        if (!isNotice(message)) return message;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      return undefined;
    }
  }

  /** Whether it is the answer of a lock that was waited for. */
  #isLate(reply: Buffer, awaited: bigint): boolean {
    const unique = reply.length === OUT_HEADER ? reply.readBigUInt64LE(8) : awaited;
    const at = this.#waiting.indexOf(unique);
    if (unique === awaited || at < 0) return false;
    this.#waiting.splice(at, 1);
    return true;
  }

  /** Breaks off all waits for locks; each must be answered. What is wrong, or undefined. */
  interruptWaits(): string | undefined {
    for (const unique of this.#waiting) {
      const message = Buffer.alloc(IN_HEADER + 8);
      message.writeUInt32LE(message.length, 0);
      message.writeUInt32LE(Opcode.INTERRUPT, 4);
      message.writeBigUInt64LE(unique, IN_HEADER);
      this.#serve(message);
    }
    for (const end = Date.now() + LIMIT_MS; this.#waiting.length > 0; this.#serve()) {
      for (let reply = this.#read(); reply; reply = this.#read()) {
        if (!this.#isLate(reply, 0n)) return 'an answer that nobody waits for';
      }
      if (Date.now() >= end) return `${this.#waiting.length} waits for locks are not broken off`;
      Atomics.wait(this.#pause, 0, 0, 1);
    }
    return undefined;
  }

  /**
   * Sends a message whose reply does not arrive, as when the caller is gone: the server's write fails. False, and not
   * sent, when the answer of a lock might be lost with it.
   */
  lose(message: Buffer): boolean {
    if (this.#waiting.length > 0) return false;
    for (const block of [Buffer.alloc(FILLER, 1), Buffer.alloc(OUT_HEADER - 1, 1)]) while (this.#fill(block));
    this.#serve(message);
    for (let reply = this.#read(); reply; reply = this.#read()) {
      if (reply[0] !== 1) throw new Error('a reply got through that should be lost');
    }
    return true;
  }

  #fill(block: Buffer): boolean {
    try {
      return writeSync(this.#device, block) > 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      return false;
    }
  }

  /** What is wrong with a reply, or undefined. */
  complaint(message: Buffer, reply: Buffer | undefined): string | undefined {
    if (message.length < IN_HEADER) return reply ? 'a message without a header was answered' : undefined;
    const opcode = message.readUInt32LE(4);
    if (silent.has(opcode)) return reply ? 'an answer where the kernel expects none' : undefined;
    if (!reply && quiet.has(opcode)) return undefined;
    if (!reply) return 'no answer: the caller would wait for ever';
    if (reply.length < OUT_HEADER || reply.readUInt32LE(0) !== reply.length)
      return `a reply of ${reply.length} bytes says another length`;
    if (reply.readBigUInt64LE(8) !== message.readBigUInt64LE(8)) return 'a reply to another request';
    const error = reply.readInt32LE(4);
    if (error > 0 || error <= -512 || (error !== 0 && reply.length !== OUT_HEADER))
      return `an error of ${error} with ${reply.length} bytes`;
    if (reply.includes(this.#secret)) return 'a reply shows what is outside';
    return undefined;
  }

  /** Takes note of what a reply gave. */
  learn(message: Buffer, reply: Buffer): void {
    const error = reply.readInt32LE(4);
    if (error !== 0) return;
    const opcode = message.readUInt32LE(4);
    const node = Number(message.readBigUInt64LE(16));
    const payload = reply.subarray(OUT_HEADER);
    if (entering.has(opcode)) this.#entry(payload, 0);
    if (opcode === Opcode.READDIRPLUS) this.#listing(payload);
    if (opcode === Opcode.OPEN) this.opened.push({ node, fh: payload.readBigUInt64LE(0) });
    if (opcode === Opcode.CREATE || opcode === Opcode.TMPFILE) {
      this.opened.push({ node: Number(payload.readBigUInt64LE(0)), fh: payload.readBigUInt64LE(128) });
    }
  }

  #entry(payload: Buffer, at: number): void {
    const id = Number(payload.readBigUInt64LE(at));
    if (id === 0) return;
    const known = this.nodes.get(id);
    if (known) known.nlookup++;
    else this.nodes.set(id, { nlookup: 1, mode: payload.readUInt32LE(at + 100) });
  }

  #listing(payload: Buffer): void {
    for (let at = 0; at + 152 <= payload.length;) {
      this.#entry(payload, at);
      at += 128 + ((24 + payload.readUInt32LE(at + 128 + 16) + 7) & ~7);
    }
  }

  /** What is held beyond what must be once everything was given back; undefined when nothing. */
  leftOver(): string | undefined {
    const due = new Set<number>([1]);
    for (const root of this.#mounted) for (let id = root; id !== 0; id = this.native.nodeParent(id)) due.add(id);
    const { nodes, handles, places, locks } = this.native.stats();
    if (nodes !== due.size || handles !== 0 || locks !== 0)
      return `${nodes} nodes instead of ${due.size}, ${handles} handles, ${locks} owners of locks`;
    const ids = openBackingIds();
    if (ids !== 0) return `${ids} backing ids`;
    if (this.#union.size > due.size) return `${this.#union.size} directories of the union for ${due.size} nodes`;
    const most = PLACES * (due.size + this.#roots);
    return places > most ? `${places} places, more than ${most}` : undefined;
  }

  tidy(): void {
    this.#session.tidy();
  }

  close(): void {
    this.#loop.remove(0);
    this.native.detach();
    sys.close(this.#socket);
    sys.close(this.#wake);
  }
}
