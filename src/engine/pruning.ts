// One prune of a kind at a time, as Docker has it. Used by the endpoints that prune.

import { conflict } from '../container/errors.js';
import type { Engine } from './engine.js';

const running = new WeakMap<Engine, Set<string>>();

/** Errors: 409 while another of this kind runs, and those of `work`. */
export async function pruneAlone<T>(engine: Engine, kind: string, work: () => Promise<T>): Promise<T> {
  const kinds = running.get(engine) ?? new Set();
  running.set(engine, kinds);
  if (kinds.has(kind)) throw conflict('a prune operation is already running');
  kinds.add(kind);
  try {
    return await work();
  } finally {
    kinds.delete(kind);
  }
}
