// The table on stdout: one block per case, one line per target, quiet and busy host side by side.

import { ratio, summaries, type Bench, type Figure } from './bench.js';
import { hosts } from './host.js';
import { judgeFigure } from './limits.js';
import { digits } from './stats.js';

function cell(figure: Figure | undefined, target: string): string[] {
  const versus = figure?.case.versus ?? [];
  const summary = figure && summaries(figure).find(([name]) => name === target)?.[1];
  if (!figure || !summary) return ['-', '', ...versus.map(() => '')];
  const ratios = versus.map((other) => {
    const value = ratio(figure, target, other);
    return value === undefined ? '' : `${digits(value)}x`;
  });
  return [digits(summary.median), `${digits(summary.p10)}..${digits(summary.p90)}`, ...ratios];
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

function block(figures: readonly Figure[]): string[] {
  const spec = figures[0]?.case;
  if (!spec) return [];
  const present = hosts.filter((host) => figures.some((figure) => figure.host === host));
  const columns = present.map((host) => figures.find((figure) => figure.host === host));
  const names = [...new Set(figures.flatMap((figure) => summaries(figure).map(([name]) => name)))];
  const head = ['', ...present.flatMap((host) => [host, 'p10..p90', ...spec.versus.map((name) => `/${name}`)])];
  const rows = names.map((name) => [name, ...columns.flatMap((figure) => cell(figure, name))]);
  const n = Math.min(...figures.flatMap((figure) => [...figure.series.values()].map((samples) => samples.length)));
  const misses = figures.flatMap(judgeFigure).filter((verdict) => !verdict.ok);
  return [
    `${spec.title}  [${spec.unit}, ${spec.better} is better; cache ${spec.cache}; n=${n}]`,
    ...align([head, ...rows]).map((line) => `  ${line}`),
    ...misses.map((verdict) => `  FAIL  ${verdict.text}`),
    '',
  ];
}

/** The whole table of one workload. */
export function table(title: string, bench: Bench): string {
  const ids = [...new Set(bench.figures.map((figure) => figure.case.id))];
  const skipped = [...bench.skipped].map(([name, reason]) => `  skipped ${name}: ${reason}`);
  const failed = [...bench.failed].map(([name, reason]) => `  FAIL  ${name} left out, ${reason}`);
  const idle = Math.min(1, ...bench.idle);
  const noisy =
    idle < 0.95
      ? [`  NOTE  the quiet host was only ${Math.round(idle * 100)} % idle before a series: do not trust its figures`]
      : [];
  const blocks = ids.flatMap((id) => block(bench.figures.filter((figure) => figure.case.id === id)));
  return [`== ${title}`, ...skipped, ...failed, ...noisy, ...blocks].join('\n') + '\n';
}
