// The kernel's side of a mount for the fuzzer: sends any bytes, remembers what the replies gave (nodes with their lookup
// counts, open files), and complains of replies that /dev/fuse would not take or that show what is outside.

import { readSync, writeSync } from 'node:fs';
import { IN_HEADER, OUT_HEADER, Opcode } from '../../src/abi/protocol.js';
import { Loop, Mount, sys } from '../../src/native/load.js';
import type { NativeMount, NodeId } from '../../src/native/mount.js';
import { Session } from '../../src/session/session.js';
import { openLayers } from '../../src/transport/layers.js';
import { addRoutes } from '../../src/transport/routes.js';
import { ServedUnion } from '../../src/transport/served-union.js';
import { Union } from '../../src/union/union.js';
import { SECRET, type World } from './world.js';

const ROOM = 128 * 1024;
const FD_LIMIT = 64; // small, so that places are closed and opened again
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

export class FuzzKernel {
  readonly native: NativeMount;
  readonly nodes = new Map<number, Known>([[1, { nlookup: 1, mode: 0o040755 }]]);
  readonly opened: Opened[] = [];
  readonly logged: string[] = [];
  readonly #session: Session;
  readonly #loop: InstanceType<typeof Loop>;
  readonly #wake = sys.eventfd();
  readonly #socket: number;
  readonly #reply = Buffer.alloc(ROOM + 4096);
  readonly #secret = Buffer.from(SECRET);
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  readonly #tick = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  /** Nodes that are there before the kernel asks. */
  readonly base: number;
  unique = 0n;

  constructor(world: World) {
    const { plan } = world;
    const pair = sys.socketpair(true);
    if (typeof pair === 'number') throw new Error(`socketpair: ${pair}`);
    this.#socket = pair[0];
    this.native = new Mount(FD_LIMIT);
    this.native.attach(pair[1]);
    this.native.setOptions({ userXattr: plan.scheme === 'user', attrTimeout: 1, entryTimeout: 1, ...plan.ids });
    const log = (message: string): void => void this.logged.push(message);
    const union = new Union(this.native, openLayers(this.native, plan), log);
    union.makeRoot();
    addRoutes(this.native, union, plan.routes, plan.lowers.length + (plan.upper === undefined ? 0 : 3));
    if (plan.readOnly) this.native.seal();
    const request = new Uint8Array(ROOM);
    const reply = new Uint8Array(ROOM);
    const wishes = { passthrough: plan.passthrough, cacheDirs: false, posixAcl: true, locks: false };
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
    this.base = this.native.stats().nodes;
  }

  /** Sends a message as it is and serves until it is answered. The reply with its header; undefined when there is none. */
  exchange(message: Buffer): Buffer | undefined {
    writeSync(this.#wake, this.#tick);
    writeSync(this.#socket, message);
    this.#loop.run();
    const opcode = message.length < IN_HEADER ? 0 : message.readUInt32LE(4);
    // fsync and the like are answered beside the loop.
    for (let end = opcode === 0 || silent.has(opcode) || quiet.has(opcode) ? 0 : Date.now() + 5000; ;) {
      try {
        const got = readSync(this.#socket, this.#reply, 0, this.#reply.length, null);
        return this.#reply.subarray(0, got);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        if (Date.now() >= end) return undefined;
        Atomics.wait(this.#pause, 0, 0, 1);
      }
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
