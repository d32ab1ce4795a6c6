// What disk.py wrote down, and the disks that a loss of power could have left: everything up to the last flush, and of
// what came after it any part, page by page.

import { copyFileSync, closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Random } from '../conformance/oracle/random.js';

const WRITE = 1;
const FLUSH = 2;
const MARK = 3;
const HEADER = 13;
const PAGE = 4096;

interface Entry {
  kind: number;
  offset: number;
  body: Buffer;
}

export class Recording {
  readonly #entries: Entry[] = [];

  /** `base` is the disk before the first entry. */
  constructor(
    log: string,
    private readonly base: string,
  ) {
    const bytes = readFileSync(log);
    for (let at = 0; at + HEADER <= bytes.length;) {
      const length = bytes.readUInt32LE(at + 9);
      const body = bytes.subarray(at + HEADER, at + HEADER + length);
      this.#entries.push({ kind: bytes.readUInt8(at), offset: Number(bytes.readBigUInt64LE(at + 1)), body });
      at += HEADER + length;
    }
  }

  get length(): number {
    return this.#entries.length;
  }

  get flushes(): number {
    return this.#entries.filter(({ kind }) => kind === FLUSH).length;
  }

  /** The marks that were reached before entry `end`. */
  marks(end: number): string[] {
    return this.#entries.slice(0, end).flatMap(({ kind, body }) => (kind === MARK ? [body.toString()] : []));
  }

  /** Writes to `path` a disk that lost its power before entry `end`; `seed` decides what of the last writes arrived. */
  loseAt(end: number, seed: number, path: string): void {
    const random = new Random(seed);
    const share = random.pick([0, 0.5, 0.5, 1]);
    const flushed = this.#entries.slice(0, end).findLastIndex(({ kind }) => kind === FLUSH);
    copyFileSync(this.base, path);
    const fd = openSync(path, 'r+');
    this.#entries.slice(0, end).forEach(({ kind, offset, body }, index) => {
      if (kind !== WRITE) return;
      if (index < flushed) writeSync(fd, body, 0, body.length, offset);
      else {
        for (let at = 0; at < body.length; at += PAGE) {
          if (random.chance(share)) writeSync(fd, body, at, Math.min(PAGE, body.length - at), offset + at);
        }
      }
    });
    closeSync(fd);
  }
}
