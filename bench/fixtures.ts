// The directories the workloads run over: stacks of layers, a source tree and its archive, and the same content flat
// for targets that are no union. All made once per run, in the scratch, outside every mount.

import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './bench.js';
import type { Stack } from './targets.js';

/** Content that is the same in every run and does not compress to nothing. */
function bytes(seed: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    buffer[i] = 97 + ((state >>> 24) % 26);
  }
  return buffer;
}

/** Path and content of the i-th small file of a tree: 20 a directory, 100 to about 6,000 bytes, four levels deep. */
function smallFile(i: number): { directory: string; name: string; content: Buffer } {
  const directory = join(`p${i % 12}`, `q${Math.floor(i / 12) % 5}`, `r${Math.floor(i / 60) % 5}`);
  return { directory, name: `f${i}.c`, content: bytes(i, 100 + ((i * 7919) % 5900)) };
}

/** Writes the tree's files for which `keep` holds under `to`. */
export function writeTree(to: string, files: number, keep: (i: number) => boolean = () => true): void {
  for (let i = 0; i < files; i++) {
    if (!keep(i)) continue;
    const { directory, name, content } = smallFile(i);
    mkdirSync(join(to, directory), { recursive: true });
    writeFileSync(join(to, directory, name), content);
  }
}

/** `count` empty layer directories with upper and work beside them, topmost first. */
export function emptyStack(bench: Bench, count: number): Stack {
  const base = bench.directory();
  const lowers = Array.from({ length: count }, (_, i) => join(base, String(i)));
  const stack = { lowers, upper: join(base, 'u'), work: join(base, 'w') };
  for (const path of [...lowers, stack.upper, stack.work]) mkdirSync(path);
  return stack;
}

/** The same lowers with an upper and work of their own, so that each mount starts from the pristine image. */
export function freshUpper(bench: Bench, stack: Stack): Stack {
  const base = bench.directory();
  const fresh = { ...stack, upper: join(base, 'u'), work: join(base, 'w') };
  mkdirSync(fresh.upper);
  mkdirSync(fresh.work);
  return fresh;
}

/** Layers in each of which the directory `d` exists, with `each` files of its own; together `f0`, `f1`, ... */
export function lookupStack(bench: Bench, layers: number, each: number): Stack {
  const stack = emptyStack(bench, layers);
  stack.lowers.forEach((lower, layer) => {
    mkdirSync(join(lower, 'd'));
    for (let i = 0; i < each; i++) writeFileSync(join(lower, 'd', `f${i * layers + layer}`), 'x');
  });
  return stack;
}

/** Layers that share a tree `image` of `files` files between them: file i lies in layer i mod layers. */
export function imageStack(bench: Bench, layers: number, files: number): Stack {
  const stack = emptyStack(bench, layers);
  stack.lowers.forEach((lower, layer) => writeTree(join(lower, 'image'), files, (i) => i % layers === layer));
  return stack;
}

/** Copies the merged content of a stack into a plain directory, for targets that are no union. */
export function flatten(stack: Stack, to: string): void {
  for (const lower of [...stack.lowers].reverse()) cpSync(lower, to, { recursive: true, preserveTimestamps: true });
}
