// The acceptance table: what lamina must reach, as data. report.ts prints a miss as FAIL beside its figure,
// results.ts stores every verdict, `--check` turns a miss into exit code 1.

import { ratio, type Figure } from './bench.js';
import type { Host } from './host.js';
import { digits, summarize } from './stats.js';

export interface Limit {
  /** A case id, or a prefix of case ids that ends in "*". */
  case: string;
  host: Host | 'both';
  target: string;
  /** The limit is on the ratio to this target's median; */
  versus?: string;
  /** or on the difference to this target's median; without either, on the median itself, in the case's unit. */
  over?: string;
  atMost?: number;
  atLeast?: number;
}

export const limits: readonly Limit[] = [
  { case: 'miss-20', host: 'quiet', target: 'lamina', versus: 'fuse-overlayfs', atMost: 1 / 3 },
  { case: 'miss-20', host: 'busy', target: 'lamina', versus: 'fuse-overlayfs', atMost: 1 },
  { case: 'miss-50', host: 'both', target: 'lamina', versus: 'overlay', atMost: 1 },

  { case: 'untar', host: 'quiet', target: 'lamina', versus: 'overlay', atMost: 6 },
  { case: 'find-*', host: 'quiet', target: 'lamina', versus: 'overlay', atMost: 2 },
  { case: 'tar-*', host: 'quiet', target: 'lamina', versus: 'overlay', atMost: 4 },

  { case: 'upper-*', host: 'both', target: 'lamina', versus: 'overlay', atLeast: 0.9 },
  { case: 'lower-*', host: 'both', target: 'lamina', versus: 'overlay', atLeast: 0.9 },
  { case: 'upper-randwrite', host: 'both', target: 'lamina', versus: 'fuse-overlayfs', atLeast: 5 },
  { case: 'volume-*', host: 'both', target: 'lamina-passthrough', versus: 'bind', atLeast: 0.9 },

  { case: 'mount-usable', host: 'both', target: 'lamina', versus: 'node', atMost: 3 },
  { case: 'idle-cpu', host: 'both', target: 'lamina', atMost: 0.05 },
  { case: 'rss-mounted', host: 'both', target: 'lamina', over: 'node+worker', atMost: 30 },
  { case: 'rss-per-node', host: 'both', target: 'lamina', atMost: 300 },
  { case: 'rss-forgotten', host: 'both', target: 'lamina', over: 'node+worker', atMost: 30 },

  { case: 'run-rm', host: 'both', target: 'lamina', versus: 'podman', atMost: 1 },
  { case: 'load-120mb', host: 'both', target: 'lamina', versus: 'podman', atMost: 1 },
  { case: 'commit-one-file', host: 'both', target: 'lamina', atMost: 500 },
  { case: 'memory-per-mount', host: 'both', target: 'lamina', atMost: 5 },
  { case: 'start-in-crowd', host: 'both', target: 'the hundredth', versus: 'the first', atMost: 1.25 },
  { case: 'find-in-crowd', host: 'both', target: 'the hundredth', versus: 'the first', atMost: 1.25 },
];

export interface Verdict {
  limit: Limit;
  host: Host;
  value: number;
  ok: boolean;
  /** Such as "untar, quiet host: lamina / overlay 7.2, at most 6". */
  text: string;
}

function applies(limit: Limit, figure: Figure): boolean {
  const id = figure.case.id;
  const named = limit.case.endsWith('*') ? id.startsWith(limit.case.slice(0, -1)) : id === limit.case;
  return named && (limit.host === 'both' || limit.host === figure.host);
}

function median(figure: Figure, name: string): number | undefined {
  const samples = figure.series.get(name);
  return samples && summarize(samples).median;
}

function measured(limit: Limit, figure: Figure): { value: number | undefined; subject: string } {
  if (limit.versus !== undefined)
    return { value: ratio(figure, limit.target, limit.versus), subject: `${limit.target} / ${limit.versus}` };
  const own = median(figure, limit.target);
  if (limit.over === undefined) return { value: own, subject: `${limit.target} (${figure.case.unit})` };
  const base = median(figure, limit.over);
  return {
    value: own === undefined || base === undefined ? undefined : own - base,
    subject: `${limit.target} - ${limit.over} (${figure.case.unit})`,
  };
}

function judge(limit: Limit, figure: Figure): Verdict | undefined {
  const { value, subject } = measured(limit, figure);
  if (value === undefined) return undefined;
  const ok = value <= (limit.atMost ?? Infinity) && value >= (limit.atLeast ?? -Infinity);
  const bound = limit.atMost === undefined ? `at least ${digits(limit.atLeast ?? NaN)}` : `at most ${digits(limit.atMost)}`;
  return {
    limit,
    host: figure.host,
    value,
    ok,
    text: `${figure.case.id}, ${figure.host} host: ${subject} ${digits(value)}, ${bound}`,
  };
}

/** The verdicts on one figure; none when the target or its peer was not measured. */
export function judgeFigure(figure: Figure): Verdict[] {
  return limits
    .filter((limit) => applies(limit, figure))
    .map((limit) => judge(limit, figure))
    .filter((verdict) => verdict !== undefined);
}
