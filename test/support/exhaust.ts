// Takes what room a filesystem has left.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Takes every inode, or every byte, of the filesystem of `directory`, which it makes. */
export function exhaust(directory: string, what: 'inodes' | 'bytes'): void {
  mkdirSync(directory);
  try {
    for (let size = what === 'bytes' ? 1 << 20 : 0, i = 0; ; i++) {
      try {
        writeFileSync(join(directory, String(i)), Buffer.alloc(size));
      } catch (error) {
        if (size < 2 || (error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        size = Math.floor(size / 2);
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
