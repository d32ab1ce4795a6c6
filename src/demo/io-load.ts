// The demo's load: a process of its own, so that no mount's server measures itself. Prints as JSON, for each directory
// of the command line, the median of some short rounds of each kind of work; directories take turns in every round.

import { closeSync, ftruncateSync, openSync, readSync, statSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const ROUNDS = 3;
const ROUND_NS = 150_000_000n;
const BLOCK = 4096;
const BLOCKS = 8192;
const MB_PER_BLOCK = BLOCK / 1e6;

/** Runs `step` for the time of a round; steps per second. */
function perSecond(step: (i: number) => void): number {
  const start = process.hrtime.bigint();
  let count = 0;
  let now = start;
  while (now - start < ROUND_NS) {
    for (let i = 0; i < 64; i++) step(count++);
    now = process.hrtime.bigint();
  }
  return count / (Number(now - start) / 1e9);
}

/** One round in `directory`: random write MB/s, sequential read MB/s, files made, looked at and removed per second. */
function round(directory: string): number[] {
  const file = join(directory, 'load');
  const block = Buffer.alloc(BLOCK, 7);
  const fd = openSync(file, 'w+');
  ftruncateSync(fd, 0);
  for (let i = 0; i < BLOCKS; i++) writeSync(fd, block);
  let random = 12345;
  const write = perSecond(() => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    writeSync(fd, block, 0, BLOCK, (random % BLOCKS) * BLOCK);
  });
  const read = perSecond((i) => void readSync(fd, block, 0, BLOCK, (i % BLOCKS) * BLOCK));
  closeSync(fd);
  unlinkSync(file);
  const files = perSecond((i) => {
    const name = `${file}-${i}`;
    writeFileSync(name, 'x');
    statSync(name);
    unlinkSync(name);
  });
  return [write * MB_PER_BLOCK, read * MB_PER_BLOCK, files];
}

function main(directories: readonly string[]): void {
  const rounds = Array.from({ length: ROUNDS }, () => directories.map(round));
  const medians = directories.map((_, place) =>
    [0, 1, 2].map((kind) => rounds.map((all) => all[place]?.[kind] ?? NaN).sort((a, b) => a - b)[ROUNDS >> 1]),
  );
  process.stdout.write(JSON.stringify(medians));
}

main(process.argv.slice(2));
