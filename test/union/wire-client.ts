// The kernel's part of a mount, played in this process: FUSE requests go through a socket to the native loop, which
// answers what it can and asks the union for the rest, as for /dev/fuse. No kernel, no mount, one request at a time.

import { readSync, writeSync } from 'node:fs';
import { IN_HEADER, OUT_HEADER, Opcode } from '../../src/abi/protocol.js';
import { Loop, Mount, sys } from '../../src/native/load.js';
import type { NativeMount } from '../../src/native/mount.js';
import { Session } from '../../src/session/session.js';
import { openLayers } from '../../src/transport/layers.js';
import type { MountPlan } from '../../src/transport/plan.js';
import { SERVED_ROUTE, makeRouteRoot } from '../../src/transport/served-route.js';
import { ServedUnion } from '../../src/transport/served-union.js';
import { Union } from '../../src/union/union.js';
import { patient } from '../support/patience.js';

const ROOM = 128 * 1024;
/** A reply that is not there by then never comes. */
const REPLY_MS = patient(20_000);

export interface Caller {
  uid: number;
  gid: number;
}

/** Serves a plan, or the route that it mounts, and sends it requests. */
export class WireClient {
  readonly native: NativeMount;
  readonly union: Union;
  readonly logged: string[] = [];
  caller: Caller = { uid: 0, gid: 0 };
  readonly #session: Session;
  readonly #loop: InstanceType<typeof Loop>;
  readonly #wake: number;
  readonly #socket: number;
  readonly #reply = Buffer.alloc(ROOM);
  #unique = 0n;
  protected closed = false;

  constructor(plan: MountPlan, fdLimit = 4096) {
    const pair = sys.socketpair(true);
    if (typeof pair === 'number') throw new Error('no socket pair');
    this.#wake = sys.eventfd();
    this.#socket = pair[0];
    this.native = new Mount(fdLimit);
    this.native.attach(pair[1]);
    this.native.setOptions({ userXattr: plan.scheme === 'user', attrTimeout: plan.timeout, entryTimeout: plan.timeout });
    const log = (message: string): void => void this.logged.push(message);
    this.union = new Union(this.native, openLayers(this.native, plan), log);
    const [route] = plan.mountRoutes ? plan.routes : [];
    if (route) makeRouteRoot(this.native, route);
    else this.union.makeRoot();
    const request = new Uint8Array(ROOM);
    const reply = new Uint8Array(ROOM);
    const events = { ready: (): void => undefined, log };
    const wishes = { passthrough: false, cacheDirs: false, keepEntries: true, locks: false, posixAcl: true };
    this.#session = new Session(this.native, route ? SERVED_ROUTE : new ServedUnion(this.union), wishes, events, request, reply);
    this.#loop = new Loop({
      wakeFd: this.#wake,
      request,
      reply,
      decide: (_, opcode, node, length) => this.#session.decide(opcode, node, length),
      copyUp: (_, node, length) => this.#session.copyUp(node, length),
      tidy: () => {
        this.#session.tidy();
        return 0;
      },
      ended: () => 0,
    });
    if (this.#loop.add(0, this.native) !== 0) throw new Error('the loop does not take the mount');
  }

  #send(opcode: number, node: number, body: Uint8Array): void {
    const header = Buffer.alloc(IN_HEADER);
    header.writeUInt32LE(IN_HEADER + body.length, 0);
    header.writeUInt32LE(opcode, 4);
    header.writeBigUInt64LE(++this.#unique, 8);
    header.writeBigUInt64LE(BigInt(node), 16);
    header.writeUInt32LE(this.caller.uid, 24);
    header.writeUInt32LE(this.caller.gid, 28);
    header.writeUInt32LE(process.pid, 32);
    writeSync(this.#socket, Buffer.concat([header, body]));
    this.#serve();
  }

  /** Woken beforehand: the loop serves what there is, then returns. */
  #serve(): void {
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n);
    writeSync(this.#wake, one);
    this.#loop.run();
  }

  /** Bytes of the reply, which comes later when the request waits for a thread. */
  #receive(): number {
    for (const end = Date.now() + REPLY_MS; ; this.#serve()) {
      try {
        return readSync(this.#socket, this.#reply, 0, ROOM, null);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || Date.now() > end) throw error;
      }
    }
  }

  /** The payload of the reply, or -errno. */
  ask(opcode: number, node: number, body: Uint8Array = Buffer.alloc(0)): Buffer | number {
    this.#send(opcode, node, body);
    const got = this.#receive();
    const length = this.#reply.readUInt32LE(0);
    if (got !== length || this.#reply.readBigUInt64LE(8) !== this.#unique) throw new Error('not the reply to this request');
    const error = this.#reply.readInt32LE(4);
    return error ? error : Buffer.from(this.#reply.subarray(OUT_HEADER, length));
  }

  forget(node: number, nlookup: number): void {
    const body = Buffer.alloc(8);
    body.writeBigUInt64LE(BigInt(nlookup));
    this.#send(Opcode.FORGET, node, body);
    this.#session.tidy();
  }

  /** Safe to call twice. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#loop.remove(0);
    this.native.detach();
    sys.close(this.#socket);
    sys.close(this.#wake);
  }
}
