// A process that serves a union and does operations in it, for stages.ts to trace: the system calls between a "run" line
// and its answer are the operations' own. Lines in: {upper, work, lowers, volatile} opens layers, {ops} runs operations,
// {view: true} describes the tree. A line out for each.

import { createInterface } from 'node:readline';
import { Opcode } from '../../src/abi/protocol.js';
import { Client } from './client.js';
import { type Dirs, type Step, planOf, viewOf } from './stages.js';

const FATTR_SIZE = 8;
const O_TRUNC_WRONLY = 0o1001;

function truncate(client: Client, path: string, size: number): number {
  const body = Buffer.alloc(88);
  body.writeUInt32LE(FATTR_SIZE, 0);
  body.writeBigUInt64LE(BigInt(size), 16);
  const reply = client.ask(Opcode.SETATTR, client.id(path), body);
  return typeof reply === 'number' ? reply : 0;
}

function openTruncating(client: Client, path: string): number {
  const node = client.id(path);
  const fh = client.open(node, O_TRUNC_WRONLY);
  if (typeof fh === 'number') return fh;
  client.release(node, fh);
  return 0;
}

function perform(client: Client, [name, path, ...rest]: Step): number {
  const [first, second] = rest;
  const given = ((): unknown => {
    switch (name) {
      case 'link':
        return client.link(client.id(path), String(first));
      case 'truncate':
        return truncate(client, path, Number(first));
      case 'openTruncating':
        return openTruncating(client, path);
      case 'rename':
        return client.rename(path, String(first), Number(second ?? 0));
      case 'symlink':
        return client.symlink(path, String(first));
      case 'write':
        return client.write(path, String(first));
      case 'chmod':
        return client.chmod(path, Number(first));
      case 'mkdir':
      case 'create':
      case 'unlink':
      case 'rmdir':
        return client[name](path);
    }
  })();
  return typeof given === 'number' ? Math.min(given, 0) : 0;
}

let client: Client | undefined;

type Asked = Dirs | { ops: readonly Step[] } | { view: true };

/** What the operations ended with: the first error, else 0. */
function answer(asked: Asked): unknown {
  if ('upper' in asked) {
    client?.close();
    client = new Client(planOf(asked));
    return viewOf(client); // from here on every node is known
  }
  if (!client) throw new Error('nothing is open');
  if ('view' in asked) return viewOf(client);
  for (const step of asked.ops) {
    const result = perform(client, step);
    if (result < 0) return result;
  }
  return 0;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line) as Asked))}\n`);
});
