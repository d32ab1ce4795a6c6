// The demo's short I/O table: the union, a volume in each tier, and a plain directory. A taste, not a bench: one run of
// a second or so each, from a child process, so that the mount's server is never the one who measures.

import { mkdirSync } from 'node:fs';
import type { Stage } from './stage.js';
import { table } from '../cli/table.js';

/** Runs in a child: prints random-write MB/s, sequential-read MB/s, small files per second. */
const LOAD = `
const fs = require('node:fs'), dir = process.argv[1], block = Buffer.alloc(4096, 7), size = 64 << 20;
const file = dir + '/io', fd = fs.openSync(file, 'w+'), seconds = (from) => Number(process.hrtime.bigint() - from) / 1e9;
fs.ftruncateSync(fd, size);
for (let at = 0; at < size; at += 1 << 20) fs.writeSync(fd, Buffer.alloc(1 << 20, 1), 0, 1 << 20, at);
let start = process.hrtime.bigint(), x = 12345, count = 40000;
for (let i = 0; i < count; i++) { x = (x * 1103515245 + 12345) & 0x7fffffff; fs.writeSync(fd, block, 0, 4096, (x % (size / 4096)) * 4096); }
const write = count * 4096 / 1e6 / seconds(start);
start = process.hrtime.bigint();
for (let round = 0; round < 3; round++) for (let at = 0; at < size; at += 4096) fs.readSync(fd, block, 0, 4096, at);
const read = 3 * size / 1e6 / seconds(start);
start = process.hrtime.bigint();
for (let i = 0; i < 500; i++) fs.writeFileSync(dir + '/f' + i, 'x');
for (let i = 0; i < 500; i++) fs.unlinkSync(dir + '/f' + i);
const files = 1000 / seconds(start);
fs.closeSync(fd); fs.unlinkSync(file);
console.log(JSON.stringify([write, read, files]));
`;

function measure(stage: Stage, directory: string): number[] {
  return JSON.parse(stage.quiet('node', '-e', LOAD, directory)) as number[];
}

function onMount(stage: Stage, tier: string): { union: number[]; volume: number[] } {
  stage.quiet(
    'lamina',
    'mount',
    '--upper',
    stage.path('upper'),
    '--work',
    stage.path('work'),
    '--bypass',
    tier,
    '-v',
    `${stage.path('site')}:/srv/site`,
    'lamina-demo',
    stage.path('target'),
  );
  const volume = measure(stage, stage.path('target/srv/site'));
  const union = tier === 'passthrough' ? measure(stage, stage.path('target/tmp')) : [];
  stage.quiet('lamina', 'umount', stage.path('target'));
  return { union, volume };
}

/** Measures and prints, each figure with its ratio to the plain directory. */
export function compareTiers(stage: Stage): Promise<void> {
  mkdirSync(stage.path('plain'), { recursive: true });
  const plain = measure(stage, stage.path('plain'));
  const passthrough = onMount(stage, 'passthrough');
  const rows: [string, number[]][] = [
    ['plain directory', plain],
    ['volume, bind', onMount(stage, 'bind').volume],
    ['volume, passthrough', passthrough.volume],
    ['volume, relay', onMount(stage, 'relay').volume],
    ['union', passthrough.union],
  ];
  const cell = (value: number | undefined, base: number | undefined): string =>
    value === undefined || base === undefined ? '-' : `${value.toFixed(0).padStart(6)}  (${(value / base).toFixed(2)})`;
  const shown = rows.map(([name, values]) => [name, ...values.map((value, i) => cell(value, plain[i]))]);
  const text = table(['', 'RANDOM WRITE MB/s', 'SEQUENTIAL READ MB/s', 'SMALL FILES /s'], shown);
  process.stdout.write(
    text.replace(/^/gm, '  ').trimEnd() +
      '\n  (in parentheses: to the plain directory; one short run each, npm run bench measures properly)\n',
  );
  return Promise.resolve();
}
