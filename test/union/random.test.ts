// Random namespace ops on a union, beside a plain model of the tree; now and then the layers are served anew. Prints its
// seed: LAMINA_SEED repeats a run.

import { Buffer } from 'node:buffer';
import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { Rename } from '../../src/native/syscalls.js';
import type { Client } from './client.js';
import { type Spec } from './disk.js';
import { Rig } from './rig.js';

const SEQUENCES = 40;
const STEPS = 60;
const REOPEN = 15;

/** A directory, or a file's content. */
type Node = Map<string, Node> | string;

function randomSource(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The model: what a plain directory would do. Values or -errno, as the client. */
class Model {
  readonly root: Map<string, Node> = new Map();

  add(path: string, content?: string): void {
    const names = path.split('/');
    const last = names.pop() ?? '';
    let at = this.root;
    for (const name of names) {
      let next = at.get(name);
      if (!(next instanceof Map)) at.set(name, (next = new Map<string, Node>()));
      at = next;
    }
    if (content !== undefined) at.set(last, content);
    else if (!(at.get(last) instanceof Map)) at.set(last, new Map());
  }

  find(path: string): Node | undefined {
    let at: Node | undefined = this.root;
    for (const name of path.split('/')) at = at instanceof Map ? at.get(name) : undefined;
    return at;
  }

  parent(path: string): Map<string, Node> | undefined {
    const cut = path.lastIndexOf('/');
    const found = cut < 0 ? this.root : this.find(path.slice(0, cut));
    return found instanceof Map ? found : undefined;
  }

  tree(at: Node = this.root, path = '', into: Record<string, string> = {}): Record<string, string> {
    if (typeof at === 'string') into[path] = at;
    else {
      if (path !== '') into[`${path}/`] = '';
      for (const [name, child] of at) this.tree(child, path === '' ? name : `${path}/${name}`, into);
    }
    return into;
  }

  rename(from: string, to: string, exchange: boolean): number {
    const [source, target] = [this.find(from), this.find(to)];
    const [oldParent, newParent] = [this.parent(from), this.parent(to)];
    if (source === undefined || !oldParent || !newParent) return -errno.ENOENT;
    const [oldName, newName] = [from.slice(from.lastIndexOf('/') + 1), to.slice(to.lastIndexOf('/') + 1)];
    if (exchange) {
      if (target === undefined) return -errno.ENOENT;
      oldParent.set(oldName, target);
    } else {
      if (target instanceof Map && target.size > 0) return -errno.ENOTEMPTY;
      oldParent.delete(oldName);
    }
    newParent.set(newName, source);
    return 0;
  }
}

const NAMES = ['a', 'b', 'c', 'd'];

/** What the kernel refuses before it asks a filesystem. */
function kernelRefuses(model: Model, from: string, to: string, exchange: boolean): boolean {
  const [source, target] = [model.find(from), model.find(to)];
  if (from === to || to.startsWith(`${from}/`) || from.startsWith(`${to}/`)) return true;
  if (exchange || target === undefined) return false;
  return source instanceof Map !== target instanceof Map;
}

class Run {
  readonly log: string[] = [];

  constructor(
    private readonly random: (below: number) => number,
    readonly model: Model,
  ) {}

  path(): string {
    return Array.from({ length: 1 + this.random(3) }, () => NAMES[this.random(NAMES.length)]).join('/');
  }

  /** One op on both; a complaint when they differ. */
  step(client: Client): string | undefined {
    const path = this.path();
    const parent = this.model.parent(path);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const node = this.model.find(path);
    if (!parent) return undefined;
    switch (this.random(7)) {
      case 0:
        return this.#same(`mkdir ${path}`, client.mkdir(path), node === undefined ? 0 : -errno.EEXIST, () =>
          parent.set(name, new Map()),
        );
      case 1:
        return this.#same(`create ${path}`, client.create(path), node === undefined ? 0 : -errno.EEXIST, () =>
          parent.set(name, ''),
        );
      case 2:
        if (typeof node !== 'string') return undefined;
        return this.#same(`unlink ${path}`, client.unlink(path), 0, () => parent.delete(name));
      case 3:
        if (!(node instanceof Map)) return undefined;
        return this.#same(`rmdir ${path}`, client.rmdir(path), node.size > 0 ? -errno.ENOTEMPTY : 0, () => parent.delete(name));
      case 4: {
        if (typeof node !== 'string') return undefined;
        const content = `w${this.log.length}`.padEnd(node.length, '.');
        return this.#same(`write ${path}`, client.write(path, content), content.length, () => parent.set(name, content));
      }
      default:
        return this.#rename(client, path, this.path());
    }
  }

  #same(op: string, got: unknown, wanted: number, apply: () => void): string | undefined {
    const result = typeof got === 'number' ? got : 0;
    this.log.push(`${op}: ${result}`);
    if (wanted >= 0 && result === wanted) apply();
    return result === wanted ? undefined : `${op}: got ${result}, wanted ${wanted}`;
  }

  #rename(client: Client, from: string, to: string): string | undefined {
    const exchange = this.random(3) === 0;
    if (!this.model.parent(to) || this.model.find(from) === undefined || kernelRefuses(this.model, from, to, exchange))
      return undefined;
    const wanted = this.model.rename(from, to, exchange);
    return this.#same(
      `rename${exchange ? ' exchange' : ''} ${from} ${to}`,
      client.rename(from, to, exchange ? Rename.EXCHANGE : 0),
      wanted,
      () => undefined,
    );
  }
}

/** Three layers of directories and files that overlap, without whiteouts, and the model of their union. */
function layers(random: (below: number) => number): { specs: Spec[]; model: Model } {
  const specs = [0, 1, 2].map((layer) => {
    const own = new Model();
    for (let i = 0; i < 16; i++) {
      const path = Array.from({ length: 1 + random(3) }, () => NAMES[random(NAMES.length)]).join('/');
      // One layer has one object at a path, and none below a file.
      const above = path.split('/').map((_, depth, names) => own.find(names.slice(0, depth).join('/')));
      if (own.find(path) !== undefined || above.slice(1).some((node) => typeof node === 'string')) continue;
      own.add(path, random(2) === 0 ? `layer ${layer}` : undefined);
    }
    return own.tree();
  });
  const model = new Model();
  for (const spec of [...specs].reverse()) {
    for (const [path, content] of Object.entries(spec))
      model.add(path.replace(/\/$/, ''), path.endsWith('/') ? undefined : content);
  }
  return { specs, model };
}

void t.test('random ops end as on a plain directory, also when mounted again', async (t) => {
  const first = Number(process.env['LAMINA_SEED'] ?? Buffer.from(String(Date.now())).readUInt32LE(6));
  t.comment(`LAMINA_SEED=${first}`);
  for (let seed = first; seed < first + SEQUENCES; seed++) {
    const random = randomSource(seed);
    const { specs, model } = layers(random);
    const rig = new Rig(t, specs);
    const run = new Run(random, model);
    let client = rig.open();
    for (let step = 1; step <= STEPS; step++) {
      const complaint = run.step(client);
      if (complaint !== undefined) return t.fail(`seed ${seed}: ${complaint}`, { ops: run.log });
      if (step % REOPEN !== 0) continue;
      if (random(2) === 0) {
        client.forgetAll();
      } else {
        client.close();
        client = rig.open();
      }
      if (!t.same(client.tree(), model.tree(), `seed ${seed}, after ${step} steps`)) return t.fail('ops', { ops: run.log });
      if (!t.same([rig.leftInWork(), client.logged], [[], []], `seed ${seed}: nothing in work, nothing logged`)) return;
    }
  }
});
