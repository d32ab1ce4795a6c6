// What a container takes on disk: its writable layer, and that with its image.

import type { ContainerRecord } from '../store/index.js';
import { listImages } from '../image/index.js';
import { treeSize } from '../container/tree-size.js';
import type { Engine } from './engine.js';

export async function containerSize(engine: Engine, record: ContainerRecord): Promise<{ rw: number; root: number }> {
  const rw = await treeSize(`${engine.context.directory(record.id)}/upper`);
  const image = (await listImages(engine.context.store)).find(({ id }) => id === record.image);
  return { rw, root: rw + (image?.size ?? 0) };
}
