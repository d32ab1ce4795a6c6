// Entry of `npm run bench`: runs the chosen workloads, prints their tables, writes the result files, and takes back
// every mount, process and directory however it ends.

import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Bench, type Workload } from './bench.js';
import { describeMachine } from './host.js';
import { judgeFigure } from './limits.js';
import { build } from './load.js';
import { parse, usage, type Options } from './options.js';
import { interrupt, run, wasInterrupted } from './process.js';
import { table } from './report.js';
import { writeResults } from './results.js';
import { Undo } from './undo.js';
import { engine } from './workloads/engine.js';
import { io } from './workloads/io.js';
import { lookup } from './workloads/lookup.js';
import { mounting } from './workloads/mount.js';
import { ops } from './workloads/ops.js';
import { tree } from './workloads/tree.js';

const workloads: readonly Workload[] = [lookup, ops, tree, io, mounting, engine];

function progressOf(name: string): (text: string) => void {
  const began = Date.now();
  return (text) => {
    process.stderr.write(`[${String(Math.round((Date.now() - began) / 1000)).padStart(4)} s] ${name}: ${text}\n`);
  };
}

/** Measures one workload in a scratch of its own; returns how many limits and targets failed. */
async function measure(workload: Workload, options: Options): Promise<number> {
  const undo = new Undo();
  const scratch = mkdtempSync(join(options.scratch, 'lb'));
  const bench = new Bench(options, undo, scratch, progressOf(workload.name));
  try {
    await workload.run(bench);
    const path = writeResults(bench, workload, await describeMachine(scratch));
    process.stdout.write(`${table(workload.title, bench)}  ${path}\n\n`);
    return bench.failed.size + bench.figures.flatMap(judgeFigure).filter((verdict) => !verdict.ok).length;
  } finally {
    for (const failure of await undo.unwind()) process.stderr.write(`bench: cleanup: ${failure.message}\n`);
    await run(['rm', '-rf', '--one-file-system', scratch], { evenInterrupted: true });
  }
}

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(usage);
    return 0;
  }
  const options = parse(
    argv,
    workloads.map((workload) => workload.name),
  );
  if (process.geteuid?.() !== 0) throw new Error('the bench mounts file systems and drops caches: run it as root');
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  await build();
  let missed = 0;
  for (const name of options.names) {
    const workload = workloads.find((candidate) => candidate.name === name);
    if (workload) missed += await measure(workload, options);
  }
  process.stdout.write(missed === 0 ? 'all measured limits kept\n' : `${missed} FAIL\n`);
  return options.check && missed > 0 ? 1 : 0;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (cause: unknown) => {
    process.stderr.write(`bench: ${wasInterrupted() ? 'interrupted' : cause instanceof Error ? cause.message : String(cause)}\n`);
    process.exitCode = wasInterrupted() ? 130 : 2;
  },
);
