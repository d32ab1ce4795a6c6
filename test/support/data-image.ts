// An image with files in /data and nothing else, for what fills, copies, imports and removes them. Used by engine tests.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeArchive, packLayerOf } from '../../src/demo/busybox.js';
import { scratchDir } from './paths.js';

export interface DataImage {
  /** What `docker save` writes. */
  readonly archive: Buffer;
  /** A tar of /data alone. */
  readonly data: Buffer;
}

/** The image `name`:latest with `count` files: what `file` gives for each number, its path below /data and its content. */
export function makeDataImage(name: string, count: number, file: (i: number) => readonly [string, string | Buffer]): DataImage {
  const base = scratchDir();
  const data = join(base, 'root', 'data');
  try {
    for (let i = 0; i < count; i++) {
      const [path, content] = file(i);
      mkdirSync(dirname(join(data, path)), { recursive: true });
      writeFileSync(join(data, path), content);
    }
    packLayerOf(data, join(base, 'data.tar'));
    packLayerOf(dirname(data), join(base, 'layer.tar'));
    makeArchive(join(base, 'archive.tar'), join(base, 'layer.tar'), `${name}:latest`, 'test');
    return { archive: readFileSync(join(base, 'archive.tar')), data: readFileSync(join(base, 'data.tar')) };
  } finally {
    rmSync(base, { recursive: true });
  }
}
