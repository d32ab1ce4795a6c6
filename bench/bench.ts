// One workload being measured: which targets and hosts take part, the samples so far, and the order of sampling.
// Workloads (bench/workloads) are given a Bench; results.ts and report.ts read its figures.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { idleShare, makeBusy, type Host } from './host.js';
import type { Options } from './options.js';
import { run, wasInterrupted } from './process.js';
import { summarize, type Summary } from './stats.js';
import { targets, unavailable, type Target } from './targets.js';
import type { Undo } from './undo.js';

/** One thing measured, in one unit, for several targets. */
export interface Case {
  id: string;
  title: string;
  unit: string;
  better: 'lower' | 'higher';
  /** State of the caches when the clock starts. */
  cache: 'cold' | 'warm' | 'never cached' | 'not applicable';
  /** Targets whose median the others are divided by. */
  versus: readonly string[];
}

export interface Figure {
  case: Case;
  host: Host;
  series: Map<string, number[]>;
}

export interface Workload {
  name: string;
  title: string;
  run(bench: Bench): Promise<void>;
}

/** What is sampled in turn: a target, a mounted one, or a named yardstick. */
export type Subject = { name: string } | { target: { name: string } };

function nameOf(subject: Subject): string {
  return 'name' in subject ? subject.name : subject.target.name;
}

export class Bench {
  readonly figures: Figure[] = [];
  /** Targets left out because they gave wrong results, errors or no answer. */
  readonly failed = new Map<string, string>();
  /** Share of idle processor time found before each series on the quiet host. */
  readonly idle: number[] = [];
  readonly skipped = new Map<string, string>();
  /** Mount command of each target, as last used. */
  readonly commands = new Map<string, readonly string[]>();
  host: Host = 'quiet';
  #directories = 0;
  #discarded: string[] = [];

  constructor(
    readonly options: Options,
    readonly undo: Undo,
    readonly scratch: string,
    readonly progress: (text: string) => void,
  ) {}

  get quick(): boolean {
    return this.options.quick;
  }

  /** Chooses by mode: the full size or the quick one. */
  size<T>(full: T, quick: T): T {
    return this.quick ? quick : full;
  }

  /** A fresh directory under the scratch; names are short because overlay's mount options end at one page. */
  directory(): string {
    const path = join(this.scratch, String(this.#directories++));
    mkdirSync(path);
    return path;
  }

  /** Removes what is no longer needed, but not between two samples: after the series, on a quiet host. */
  discard(...paths: string[]): void {
    this.#discarded.push(...paths);
  }

  /** The named targets that exist here and pass --targets; the others are noted as skipped with the reason. */
  select(names: readonly string[]): Target[] {
    return targets.filter((target) => {
      if (!names.includes(target.name) || !(this.options.targets?.includes(target.name) ?? true)) return false;
      const reason = unavailable(target);
      if (reason !== undefined) this.skipped.set(target.name, reason);
      return reason === undefined;
    });
  }

  /** Leaves a target out of the rest of this workload. Errors: rethrows `cause` when the bench was interrupted. */
  fail(target: string, during: string, cause: unknown): void {
    if (wasInterrupted()) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.failed.set(target, `${during}: ${reason}`);
    this.progress(`${target} fails ${during}: ${reason}`);
  }

  /** Applies `work` to each target; one that fails is noted and left out. */
  async each<T>(subjects: readonly Target[], work: (subject: Target) => Promise<T>): Promise<T[]> {
    const done: T[] = [];
    for (const subject of subjects)
      await work(subject).then(
        (value) => done.push(value),
        (cause: unknown) => this.fail(subject.name, 'setting up', cause),
      );
    return done;
  }

  /** The subjects whose result is right: correctness before any timing. Those of a wrong target are noted and left out. */
  async checked<T extends Subject>(subjects: readonly T[], check: (subject: T) => Promise<void>): Promise<T[]> {
    for (const subject of subjects) {
      if (this.failed.has(nameOf(subject))) continue;
      this.progress(`checking ${nameOf(subject)}`);
      await check(subject).catch((cause: unknown) => this.fail(nameOf(subject), 'the correctness check', cause));
    }
    return subjects.filter((subject) => !this.failed.has(nameOf(subject)));
  }

  /** Adds a sample of one case on the present host. */
  record(spec: Case, target: string, value: number): void {
    let figure = this.figures.find((known) => known.case.id === spec.id && known.host === this.host);
    if (!figure) this.figures.push((figure = { case: spec, host: this.host, series: new Map() }));
    const samples = figure.series.get(target) ?? [];
    figure.series.set(target, [...samples, value]);
  }

  /**
   * Calls `sample` in rounds, on a quiet host and then on a busy one: every target once, then every target again,
   * so that drift of the machine reaches all alike.
   */
  async interleave<T extends Subject>(
    rounds: number,
    subjects: readonly T[],
    sample: (subject: T, round: number) => Promise<void>,
  ): Promise<void> {
    const count = this.options.rounds ?? rounds;
    for (const host of this.options.hosts) {
      this.host = host;
      if (host === 'quiet') this.idle.push(await idleShare());
      const calm = host === 'busy' ? await makeBusy(this.undo) : undefined;
      for (let round = 0; round < count; round++) {
        this.progress(`${host} host, round ${round + 1} of ${count}`);
        for (const subject of subjects) {
          if (this.failed.has(nameOf(subject))) continue;
          await sample(subject, round).catch((cause: unknown) => this.fail(nameOf(subject), `${host} round ${round + 1}`, cause));
        }
      }
      await calm?.();
      if (this.#discarded.length > 0) await run(['rm', '-rf', '--one-file-system', ...this.#discarded.splice(0)]);
    }
    this.host = 'quiet';
  }
}

/** The summaries of a figure by target, in the order of targets.ts, others (such as "node") first. */
export function summaries(figure: Figure): [string, Summary][] {
  const order = (name: string): number => targets.findIndex((target) => target.name === name);
  return [...figure.series]
    .map(([name, samples]): [string, Summary] => [name, summarize(samples)])
    .sort(([a], [b]) => order(a) - order(b));
}

/** median of `target` over median of `versus`, undefined when either was not measured. */
export function ratio(figure: Figure, target: string, versus: string): number | undefined {
  const [own, other] = [figure.series.get(target), figure.series.get(versus)];
  if (!own || !other) return undefined;
  return summarize(own).median / summarize(other).median;
}
