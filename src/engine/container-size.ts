// What a container takes on disk: its writable layer, and that with its image.

import type { ContainerRecord } from '../store/index.js';
import type { Image } from '../image/index.js';
import { treeSize } from '../container/tree-size.js';
import type { Engine } from './engine.js';

export function writableSize(engine: Engine, { id }: ContainerRecord): Promise<number> {
  return treeSize(`${engine.context.directory(id)}/upper`);
}

/** @param image the container's; undefined when it has none any more */
export async function containerSize(
  engine: Engine,
  record: ContainerRecord,
  image: Image | undefined,
): Promise<{ rw: number; root: number }> {
  const rw = await writableSize(engine, record);
  return { rw, root: rw + (image?.size ?? 0) };
}
