// One live mount: answers the requests that need a decision by asking its Filesystem, and keeps the caches that live
// beside it. The loop calls it on the worker's thread.

import { LRUCache } from 'lru-cache';
import { ErrnoError, errno } from '../abi/errno.js';
import { readInit, writeInit } from '../abi/init.js';
import { InitFlag, OUT_HEADER, Opcode, opcodeName } from '../abi/protocol.js';
import { RequestReader, readCreation, readReaddir, readRenaming } from '../abi/requests.js';
import type { NativeMount, NodeId } from '../native/mount.js';
import type { Filesystem } from './filesystem.js';
import { MAX_WRITE, negotiate, type Wishes } from './negotiate.js';

/** Backing files kept registered with the kernel although nobody has them open. */
const BACKING_IDS = 2048;

export interface SessionEvents {
  /** INIT is answered: the mount is usable. `refusal` says why not. */
  ready(refusal?: string): void;
  log(message: string): void;
}

export class Session {
  readonly #reader: RequestReader;
  readonly #payload: Uint8Array;
  readonly #backingIds: LRUCache<NodeId, true>;
  #refused: NodeId[] = [];
  /** INIT came. */
  #begun = false;

  /** `request` and `reply` are the loop's buffers. */
  constructor(
    readonly native: NativeMount,
    private readonly filesystem: Filesystem,
    private readonly wishes: Wishes,
    private readonly events: SessionEvents,
    request: Uint8Array,
    reply: Uint8Array,
  ) {
    this.#reader = new RequestReader(request);
    this.#payload = reply.subarray(OUT_HEADER);
    native.bindReply(this.#payload);
    this.#backingIds = new LRUCache<NodeId, true>({
      max: BACKING_IDS,
      dispose: (_, id) => {
        if (!native.evictBackingId(id)) this.#refused.push(id);
      },
    });
  }

  /** Payload length in the reply buffer, or -errno. Throws nothing. */
  decide(opcode: number, node: NodeId, length: number): number {
    try {
      return this.#decide(opcode, node, length);
    } catch (error) {
      if (error instanceof ErrnoError) return error.errno;
      this.events.log(`${opcodeName(opcode)} on node ${node}: ${(error as Error).stack ?? String(error)}`);
      return -errno.EIO;
    }
  }

  #decide(opcode: number, node: NodeId, length: number): number {
    const reader = this.#reader;
    switch (opcode) {
      case Opcode.LOOKUP:
        return this.filesystem.lookup(node, reader.name(0, length));
      case Opcode.READDIR:
      case Opcode.READDIRPLUS: {
        const { offset, size } = readReaddir(reader);
        return this.filesystem.readdir(node, offset, size, opcode === Opcode.READDIRPLUS);
      }
      case Opcode.UNLINK:
        return this.filesystem.unlink(node, reader.name(0, length));
      case Opcode.RMDIR:
        return this.filesystem.rmdir(node, reader.name(0, length));
      case Opcode.RENAME:
      case Opcode.RENAME2:
        return this.filesystem.rename(node, readRenaming(reader, opcode, length));
      case Opcode.LINK:
        return this.filesystem.link(reader.u53(0) as NodeId, node, reader.name(8, length));
      case Opcode.INIT:
        return this.#init(length);
      default:
        return this.#create(opcode, node, length);
    }
  }

  #create(opcode: number, node: NodeId, length: number): number {
    const what = readCreation(this.#reader, opcode, length);
    if (!what) return -errno.ENOSYS;
    const { uid, gid } = this.#reader.caller();
    const owner = { uid, gid, group: this.#reader.creationGroup(length), umask: what.umask };
    if (opcode === Opcode.TMPFILE) return this.filesystem.tmpfile(node, what, owner);
    if (what.name === '') return -errno.EINVAL;
    return opcode === Opcode.CREATE ? this.filesystem.create(node, what, owner) : this.filesystem.make(node, what, owner);
  }

  #init(length: number): number {
    if (this.#begun) return -errno.EINVAL;
    this.#begun = true;
    const answer = negotiate(readInit(this.#reader.body(length)), this.wishes);
    if (typeof answer === 'string') {
      this.events.ready(answer);
      return -errno.EPROTO;
    }
    this.native.setOptions({
      passthrough: (answer.flags & InitFlag.PASSTHROUGH) !== 0n,
      cacheDirs: (answer.flags & InitFlag.NO_OPENDIR_SUPPORT) !== 0n,
      maxWrite: MAX_WRITE,
    });
    const written = writeInit(this.#payload, answer);
    this.events.ready();
    return written;
  }

  copyUp(node: NodeId, length: bigint): number {
    try {
      return this.filesystem.copyUp(node, length);
    } catch (error) {
      if (error instanceof ErrnoError) return error.errno;
      this.events.log(`copy-up of node ${node}: ${(error as Error).stack ?? String(error)}`);
      return -errno.EIO;
    }
  }

  /** Follows what the native side did since the last call. */
  tidy(): void {
    this.filesystem.dropUntaken();
    this.filesystem.forget(this.native.takeDropped());
    for (const id of this.native.takeRegistered()) this.#backingIds.set(id, true);
    const refused = this.#refused;
    this.#refused = [];
    // In use or used of late: a second chance, as the newest.
    for (const id of refused) this.#backingIds.set(id, true);
  }
}
