// The result files: bench/results/NAME.json, with every raw sample, and the picture NAME.svg beside it.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ratio, summaries, type Bench, type Figure, type Workload } from './bench.js';
import { chart } from './chart.js';
import type { Machine } from './host.js';
import { judgeFigure } from './limits.js';
import { root } from './load.js';

function asJson(figure: Figure): Record<string, unknown> {
  const series = Object.fromEntries(
    summaries(figure).map(([name, summary]) => {
      const ratios = Object.fromEntries(figure.case.versus.map((other) => [other, ratio(figure, name, other)]));
      return [name, { ...summary, ratios }];
    }),
  );
  const verdicts = judgeFigure(figure).map(({ text, ok, value }) => ({ text, ok, value }));
  return { ...figure.case, host: figure.host, series, verdicts };
}

/** Writes both files and returns the path of the JSON. */
export function writeResults(bench: Bench, workload: Workload, machine: Machine): string {
  const { out, quick } = bench.options;
  mkdirSync(out, { recursive: true });
  const path = join(out, `${workload.name}.json`);
  const portable = (text: string): string => text.replaceAll(bench.scratch, '$SCRATCH').replaceAll(`${root}/`, '');
  const commands = Object.fromEntries([...bench.commands].map(([name, command]) => [name, portable(command.join(' '))]));
  const [failed, idle] = [Object.fromEntries([...bench.failed].map(([name, reason]) => [name, portable(reason)])), bench.idle];
  const skipped = Object.fromEntries([...bench.skipped].map(([name, reason]) => [name, portable(reason)]));
  const result = {
    workload: workload.name,
    title: workload.title,
    machine,
    quick,
    idle,
    mounts: commands,
    skipped,
    failed,
    figures: bench.figures.map(asJson),
  };
  writeFileSync(path, JSON.stringify(result, null, 1) + '\n');
  writeFileSync(join(out, `${workload.name}.svg`), chart(workload.title, bench.figures, machine));
  return path;
}
