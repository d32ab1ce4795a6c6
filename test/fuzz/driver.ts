// Fuzzes one mount: node driver.js SEED REQUESTS MODE. Ends with 0, or says what is wrong and ends with 1; a crash ends it
// otherwise. The number of the request under way stands in the file that LAMINA_FUZZ_AT names. Started by wire.test.ts.

import { closeSync, openSync, writeSync } from 'node:fs';
import { IN_HEADER, Opcode } from '../../src/abi/protocol.js';
import { FuzzKernel, ROOM } from './kernel.js';
import { Random } from './random.js';
import { Requests } from './requests.js';
import { type FuzzMode, World } from './world.js';

/** Requests after which everything is given back and counted. */
const CHAPTER = 3000;
const MOST_NODES = 400;
/** One reply in so many does not arrive. */
const LOST = 40;
const later: ReadonlySet<number> = new Set([
  Opcode.SETLKW,
  Opcode.FSYNC,
  Opcode.FSYNCDIR,
  Opcode.COPY_FILE_RANGE,
  Opcode.COPY_FILE_RANGE_64,
  Opcode.INIT,
]);

class Fuzz {
  readonly #random: Random;
  readonly #kernel: FuzzKernel;
  readonly #requests: Requests;
  readonly #at: number | undefined;
  sent = 0;

  constructor(world: World, seed: number) {
    this.#random = new Random(seed);
    this.#kernel = new FuzzKernel(world);
    this.#requests = new Requests(this.#random, this.#kernel);
    const file = process.env['LAMINA_FUZZ_AT'];
    this.#at = file === undefined ? undefined : openSync(file, 'w');
    this.#init();
  }

  #init(): void {
    const body = Buffer.alloc(64);
    body.writeUInt32LE(7, 0);
    body.writeUInt32LE(45, 4);
    body.writeUInt32LE(0xffffffff, 12);
    body.writeUInt32LE(0xffffffff, 16);
    this.#send(this.#requests.message(Opcode.INIT, 0, body));
  }

  #send(message: Buffer): Buffer | undefined {
    if (this.#at !== undefined) writeSync(this.#at, `${this.sent} ${message.toString('hex', 0, 400)}`.padEnd(900), 0);
    this.sent++;
    const reply = this.#kernel.exchange(message);
    const complaint = this.#kernel.complaint(message, reply);
    if (complaint !== undefined) throw new Error(`request ${this.sent}: ${complaint}: ${message.toString('hex', 0, 200)}`);
    if (reply) this.#kernel.learn(message, reply);
    return reply;
  }

  /** The caller is gone before the answer. Whoever waits for a lock, or for fsync, is answered by another way. */
  #lose(message: Buffer): boolean {
    const opcode = message.length < IN_HEADER ? 0 : message.readUInt32LE(4);
    if (later.has(opcode) || !this.#kernel.lose(message)) return false;
    this.sent++;
    return true;
  }

  /** Follows what a request took back, true or not. */
  #note(message: Buffer): void {
    if (message.length < IN_HEADER || message.length > ROOM || message.readUInt32LE(0) !== message.length) return;
    const { nodes, opened } = this.#kernel;
    const opcode = message.readUInt32LE(4);
    const body = message.subarray(IN_HEADER);
    const forget = (id: bigint, count: bigint): void => {
      const known = nodes.get(Number(id));
      if (!known || id === 1n) return;
      known.nlookup = BigInt(known.nlookup) > count ? known.nlookup - Number(count) : 0;
      if (known.nlookup === 0) nodes.delete(Number(id));
    };
    if (opcode === Opcode.FORGET && body.length >= 8) forget(message.readBigUInt64LE(16), body.readBigUInt64LE(0));
    if (opcode === Opcode.BATCH_FORGET && body.length >= 8) {
      const count = Math.min(body.readUInt32LE(0), Math.floor((body.length - 8) / 16));
      for (let i = 0; i < count; i++) forget(body.readBigUInt64LE(8 + 16 * i), body.readBigUInt64LE(16 + 16 * i));
    }
    if (opcode === Opcode.RELEASE && body.length >= 24) {
      const fh = body.readBigUInt64LE(0);
      const node = Number(message.readBigUInt64LE(16));
      // Relay handles are known by their number, passthrough opens by their node.
      const relayed = fh !== 0n && fh >> 63n === 0n;
      const at = opened.findIndex((each) => each.fh === fh && (relayed || each.node === node));
      if (at >= 0) opened.splice(at, 1);
    }
  }

  run(requests: number): void {
    while (this.sent < requests) {
      const end = Math.min(this.sent + CHAPTER, requests);
      while (this.sent < end) {
        const message = this.#requests.next();
        if (!this.#random.once(LOST) || !this.#lose(message)) this.#send(message);
        this.#note(message);
        if (this.#kernel.nodes.size > MOST_NODES) this.#giveBack(true);
      }
      this.#giveBack(false);
      this.#balance();
    }
  }

  /** Forgets and releases what was given, all or half of it. */
  #giveBack(half: boolean): void {
    const { nodes, opened } = this.#kernel;
    const waits = this.#kernel.interruptWaits();
    if (waits !== undefined) throw new Error(`request ${this.sent}: ${waits}`);
    for (const { node, fh } of opened.splice(0)) {
      const body = Buffer.alloc(24);
      body.writeBigUInt64LE(fh);
      this.#send(this.#requests.message(Opcode.RELEASE, node, body));
    }
    for (const [id, { nlookup }] of [...nodes]) {
      if (id === 1 || (half && this.#random.once(2))) continue;
      const body = Buffer.alloc(8);
      body.writeBigUInt64LE(BigInt(nlookup));
      this.#send(this.#requests.message(Opcode.FORGET, id, body));
      nodes.delete(id);
    }
    this.#kernel.tidy();
  }

  /** With everything given back, nothing is held but what the mount started with. */
  #balance(): void {
    const leftOver = this.#kernel.leftOver();
    if (leftOver !== undefined) throw new Error(`after ${this.sent} requests, all given back: ${leftOver}`);
    if (this.#kernel.logged.length > 0) throw new Error(`unexpected: ${this.#kernel.logged[0] ?? ''}`);
  }

  end(): void {
    this.#kernel.close();
    if (this.#at !== undefined) closeSync(this.#at);
  }
}

const [seed = 1, requests = 1000] = process.argv.slice(2).map(Number);
const world = new World(process.argv[4] as FuzzMode);
let complaint: string | undefined;
let fuzz: Fuzz | undefined;
try {
  fuzz = new Fuzz(world, seed);
  fuzz.run(requests);
} catch (error) {
  complaint = (error as Error).stack;
}
fuzz?.end();
const touched = world.touched();
world.dispose();
if (touched.length > 0) complaint = `${complaint ?? ''}\ntouched:\n${touched.slice(0, 8).join('\n')}`;
if (complaint !== undefined) process.stdout.write(`${complaint}\n`);
process.exitCode = complaint === undefined ? 0 : 1;
