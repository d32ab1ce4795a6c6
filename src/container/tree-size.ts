// Bytes of regular files below a directory, each inode once; a bit at a time, so that others get their turn.

import { lstat, readdir } from 'node:fs/promises';

export async function treeSize(top: string): Promise<number> {
  const seen = new Set<string>();
  const queue: Buffer[] = [Buffer.from(top)];
  let size = 0;
  for (let dir = queue.pop(); dir; dir = queue.pop()) {
    const here = dir;
    const entries = await readdir(here, { withFileTypes: true, encoding: 'buffer' }).catch(() => []);
    for (const entry of entries) {
      const path = Buffer.concat([here, Buffer.from('/'), entry.name]);
      if (entry.isDirectory()) queue.push(path);
      else if (entry.isFile()) {
        const stat = await lstat(path).catch(() => undefined);
        if (!stat || (stat.nlink > 1 && seen.has(`${stat.dev}:${stat.ino}`))) continue;
        if (stat.nlink > 1) seen.add(`${stat.dev}:${stat.ino}`);
        size += stat.size;
      }
    }
  }
  return size;
}
