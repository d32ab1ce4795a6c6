// O_DIRECT through every way that data can take: what each call ends with and what is in the file afterwards are as on the
// filesystem below, whose rules for offsets and lengths hold. Beside it maps and reads and writes that are not direct.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { mustCommand } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { cat, close, ftruncate, fstat, mmap, mread, msync, munmap, mwrite, open, pread, pwrite } from '../support/ops.js';
import type { Op } from '../support/ops.js';
import { dread, dwrite, setfl } from '../support/ops-objects.js';
import { Root } from '../support/roots.js';

const PAGE = 4096;
const OFFSETS = [0, PAGE, 512, 100, 3 * PAGE, 5 * PAGE + 512, 64 * PAGE];
const LENGTHS = [PAGE, 2 * PAGE, 512, 100, 0];
// Memory off by less than a sector is judged by the disk's driver, of which a server learns nothing.
const SKEWS = [0, 512];

const each = (make: (off: number, len: number, skew: number) => Op[]): Op[] =>
  OFFSETS.flatMap((off) => LENGTHS.flatMap((len) => SKEWS.flatMap((skew) => make(off, len, skew))));

const TAKEN_UP = 'taken up and left off by an open file';
const NEVER_DIRECT = 'the same, not taken up';
const takenUp = (flags: string): readonly Op[] => [
  open('g', 'f', 'RDWR'),
  pwrite('g', 7, 'not direct'),
  setfl('g', flags),
  dread('g', 0, PAGE),
  dread('g', 7, 10),
  dwrite('g', 7, 'x', 10),
  dwrite('g', 512, 'direct', 512),
  setfl('g', ''),
  dwrite('g', 7, 'not direct again', 16),
  dread('g', 7, 20),
  cat('f'),
];

const WORKS: Readonly<Record<string, readonly Op[]>> = {
  'reads by an fd for reading': [open('k', 'f', 'RDONLY|DIRECT'), ...each((off, len, skew) => [dread('k', off, len, skew)])],
  'writes, each read by others': [
    open('k', 'f', 'RDWR|DIRECT'),
    open('g', 'f', 'RDWR'),
    ...each((off, len, skew) => [
      dwrite('k', off, `${len}${off}`, len, skew),
      pread('g', off, 150),
      dread('k', 0, 3 * PAGE, skew),
    ]),
    fstat('k'),
    cat('f'),
  ],
  'in a new file, longer and shorter': [
    open('k', 'n', 'RDWR|DIRECT|CREAT|EXCL'),
    dwrite('k', 0, 'ab', 2 * PAGE),
    ftruncate('k', 5000),
    dread('k', PAGE, PAGE),
    dread('k', 5000, 10),
    dread('k', 2 * PAGE, PAGE),
    dwrite('k', 4 * PAGE, 'cd', 512, 512),
    dread('k', 0, 8 * PAGE),
    cat('n'),
  ],
  'beside a map of the same file': [
    open('k', 'f', 'RDWR|DIRECT'),
    open('g', 'f', 'RDWR'),
    mmap('m', 'k', 3 * PAGE, 'rw', true),
    mread('m', 0, 100),
    mwrite('m', 50, 'by the map'),
    msync('m'),
    dread('k', 0, PAGE),
    mwrite('m', 2 * PAGE + 70, 'at the end'),
    msync('m'),
    pread('g', 2 * PAGE, 200),
    munmap('m'),
    dwrite('k', 0, 'direct', PAGE, 512),
    mmap('m', 'k', 3 * PAGE, 'rw', true),
    mread('m', 0, PAGE),
    mwrite('m', 10, 'and the map again'),
    munmap('m'),
    close('k'),
    cat('f'),
  ],
  'a stream whose last block is not whole': [
    open('g', 's', 'RDWR|CREAT|EXCL'),
    open('k', 's', 'WRONLY|DIRECT'),
    dwrite('k', 0, 'one', PAGE),
    mmap('m', 'g', 2 * PAGE, 'rw', true),
    mread('m', 0, 10),
    dwrite('k', PAGE, 'two', 100),
    setfl('k', ''),
    dwrite('k', PAGE, 'two', 100),
    fstat('g'),
    pread('g', PAGE, 200),
    mread('m', PAGE, 100),
    mwrite('m', 5, 'by the map'),
    msync('m'),
    setfl('k', 'DIRECT'),
    dwrite('k', PAGE, 'two', 100),
    dwrite('k', 2 * PAGE, 'three', 512),
    dread('k', 0, PAGE),
    close('k'),
    pread('g', 0, PAGE),
    cat('s'),
    open('k', 'f', 'WRONLY|DIRECT|TRUNC'),
    dwrite('k', 0, 'new', PAGE),
    setfl('k', ''),
    dwrite('k', PAGE, 'end', 3),
    cat('f'),
    open('k', 'e', 'WRONLY|DIRECT|APPEND|CREAT'),
    dwrite('k', 0, 'one', PAGE),
    setfl('k', 'APPEND'),
    dwrite('k', 0, 'two', 10),
    cat('e'),
  ],
  [TAKEN_UP]: takenUp('DIRECT'),
  [NEVER_DIRECT]: takenUp(''),
  appending: [
    open('k', 'a', 'RDWR|DIRECT|APPEND|CREAT'),
    dwrite('k', 0, 'one', PAGE),
    dwrite('k', 0, 'two', 512),
    dwrite('k', 0, 'bad', 100),
    fstat('k'),
    cat('a'),
  ],
};

function fill(directory: string): void {
  for (const name of Object.keys(WORKS)) {
    mkdirSync(join(directory, name), { recursive: true });
    writeFileSync(
      join(directory, name, 'f'),
      Buffer.from(Array.from({ length: 3 * PAGE - 900 }, (_, i) => (i * 7 + (i >> 8)) & 0x7f)),
    );
  }
}

/** A union whose layers lie on a kernel overlay, which the kernel does not pass through to. */
async function relayedUnion(root: Root): Promise<string> {
  const store = root.path('store');
  for (const name of ['upper', 'work', 'merged', 'base']) mkdirSync(root.path('store', name), { recursive: true });
  const options = `lowerdir=${store}/base,upperdir=${store}/upper,workdir=${store}/work`;
  await mustCommand(['mount', '-t', 'overlay', 'overlay', '-o', options, `${store}/merged`]);
  const layer = (name: string): string => root.path('store', 'merged', name);
  for (const name of ['l', 'u', 'w']) mkdirSync(layer(name));
  fill(layer('l'));
  const done = await root.lamina('mount', '--lower', layer('l'), '--upper', layer('u'), '--work', layer('w'), root.target);
  if (done.code !== 0) throw new Error(done.stderr);
  return '.';
}

async function union(root: Root): Promise<string> {
  fill(root.path('lower'));
  await root.mount();
  return '.';
}

async function volume(root: Root, tier: string): Promise<string> {
  fill(root.path('volume'));
  await root.mount('-v', `${root.path('volume')}:/data`, '--bypass', tier);
  return 'data';
}

async function plain(root: Root): Promise<string> {
  fill(root.path('lower'));
  await mustCommand(['mount', '--bind', root.path('lower'), root.target]);
  return '.';
}

const within = (directory: string, ops: readonly Op[]): Op[] =>
  ops.map((op) => ('path' in op ? { ...op, path: join(directory, op['path'] as string) } : op));

async function outcomes(t: Test, prepare: (root: Root) => Promise<string>): Promise<Record<string, unknown[]>> {
  const root = new Root();
  t.teardown(() => root.dispose());
  const directory = await prepare(root);
  const all: Record<string, unknown[]> = {};
  for (const [name, ops] of Object.entries(WORKS)) all[name] = await root.results(...within(join(directory, name), ops));
  return all;
}

void t.test('direct I/O', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  const expected = await outcomes(t, plain);
  t.ok(JSON.stringify(expected).includes('EINVAL'), 'the filesystem here refuses what is not aligned');
  // With passthrough the kernel looks at the flags of the open alone (Linux: backing_file_read_iter).
  const passedThrough = { ...expected, [TAKEN_UP]: expected[NEVER_DIRECT] ?? [] };
  const ways: Readonly<Record<string, [(root: Root) => Promise<string>, typeof expected]>> = {
    'a union': [union, passedThrough],
    'a union that relays': [relayedUnion, expected],
    'a volume, passthrough': [(root) => volume(root, 'passthrough'), passedThrough],
    'a volume, relay': [(root) => volume(root, 'relay'), expected],
    'a volume, bind': [(root) => volume(root, 'bind'), expected],
  };
  for (const [way, [prepare, right]] of Object.entries(ways)) {
    await t.test(`${way} ends as ext4`, async (t) => {
      const found = await outcomes(t, prepare);
      for (const [name, ops] of Object.entries(WORKS)) {
        const differences = ops.flatMap((op, i) => {
          const [is, should] = [found[name]?.[i], right[name]?.[i]].map((each) => JSON.stringify(each));
          return is === should ? [] : [`${JSON.stringify(op)}: ${is}, not ${should}`];
        });
        t.strictSame(differences.slice(0, 5), [], name);
      }
    });
  }
  return undefined;
});
