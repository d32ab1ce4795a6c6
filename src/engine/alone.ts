// Work that waits for nobody: while one does it, another who wants the same is refused. Used by the endpoints that prune and
// by those that put content into volumes.

import { conflict } from '../container/errors.js';
import type { Engine } from './engine.js';

const underWay = new WeakMap<Engine, Set<string>>();

/** Errors: 409 with the words of `refusal` while other work of that name is under way, and those of `work`. */
export async function alone<T>(engine: Engine, name: string, refusal: string, work: () => Promise<T>): Promise<T> {
  const names = underWay.get(engine) ?? new Set();
  underWay.set(engine, names);
  if (names.has(name)) throw conflict(refusal);
  names.add(name);
  try {
    return await work();
  } finally {
    names.delete(name);
  }
}

/** One prune of a kind at a time, as Docker has it. Errors: 409, and those of `work`. */
export function pruneAlone<T>(engine: Engine, kind: string, work: () => Promise<T>): Promise<T> {
  return alone(engine, `prune of ${kind}`, 'a prune operation is already running', work);
}
