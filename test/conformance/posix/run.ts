// Runs the POSIX suite on targets: directories on ext4, on kernel overlayfs and on lamina in each of its ways. Each
// behaviour has a directory of its own, deep in the target; several processes work through them at the same time, each
// with its current directory inside. Called by the tests beside this file.

import { join } from 'node:path';
import { against } from '../compare.js';
import type { Op, Outcome } from '../../support/ops.js';
import { mkdirs } from '../../support/ops-posix.js';
import { Worker } from '../../support/worker.js';
import { chmod } from '../../support/ops.js';
import type { Behaviour } from './behaviour.js';

export interface Target {
  readonly name: string;
  /** Where what is given is made beforehand, if not in the target itself: a lower layer. */
  readonly below?: string;
  /** Mounts. Returns the directory to work in. */
  up(): Promise<string>;
  /** Unmounts and removes, whatever happened. */
  down(): Promise<void>;
  /** Starts a process that runs operations; as root on the host when absent. */
  worker?(): Worker;
  /** Behaviours that can be asked for here. */
  has?(item: Behaviour): boolean;
}

/** How a target did. */
export interface Report {
  readonly checks: number;
  /** A sentence for each operation that did not end as it must. */
  readonly failures: readonly string[];
  /** Outcomes by behaviour, for targets that are compared with one another. */
  readonly outcomes: ReadonlyMap<string, readonly Outcome[]>;
}

/** Directories above those of the behaviours, so that every path is a deep one. */
const DEEP = 'srv/a directory/of many/levels/and/then/some';
const WORKERS = 3;
/** Requests that a process has waiting, so that it never waits itself. */
const AHEAD = 4;
const CASE_LIMIT_MS = 30_000;

const placeOf = (index: number): string => `${DEEP}/c${index.toString().padStart(4, '0')}`;

interface Job {
  readonly item: Behaviour;
  readonly place: string;
}

/** The directory of each behaviour, with what is given; root's and 0755 whatever the umask. */
function prepare(job: Job): Op[] {
  return [mkdirs(job.place), chmod(job.place, 0o755), { op: 'chdir', path: job.place }, ...job.item.given];
}

function judge(item: Behaviour, ops: readonly Op[], outcomes: readonly Outcome[]): string[] {
  return ops.flatMap((op, i) => {
    const wrong = against(op, outcomes[i]);
    const { op: name, fails: _fails, gives: _gives, ...rest } = op;
    return wrong === undefined ? [] : [`${item.name}: ${name} ${JSON.stringify(rest)} ${wrong}`];
  });
}

class Run {
  checks = 0;
  readonly failures: string[] = [];
  readonly outcomes = new Map<string, readonly Outcome[]>();

  constructor(
    private readonly target: Target,
    private readonly jobs: readonly Job[],
  ) {}

  /** What is given, made in the layer below before anything is mounted. */
  async below(directory: string): Promise<void> {
    await this.#together(async (worker, job) => {
      await this.#ask(worker, directory, prepare(job), job);
    });
  }

  async on(point: string): Promise<void> {
    const { below } = this.target;
    await this.#together(async (worker, job) => {
      const outcomes =
        below === undefined
          ? await this.#ask(worker, point, [...prepare(job), ...job.item.ops], job)
          : await this.#ask(worker, join(point, job.place), job.item.ops, job);
      this.outcomes.set(job.item.name, outcomes.slice(-job.item.ops.length));
    });
  }

  async #ask(worker: Worker, cwd: string, ops: readonly Op[], job: Job): Promise<readonly Outcome[]> {
    const outcomes = await worker.run(cwd, ops, CASE_LIMIT_MS);
    this.checks += ops.length;
    this.failures.push(...judge(job.item, ops, outcomes));
    return outcomes;
  }

  async #together(each: (worker: Worker, job: Job) => Promise<void>): Promise<void> {
    const left = [...this.jobs];
    await Promise.all(
      Array.from({ length: WORKERS }, async () => {
        const worker = this.target.worker?.() ?? new Worker();
        try {
          const next = async (): Promise<void> => {
            for (let job = left.shift(); job; job = left.shift()) await each(worker, job);
          };
          await Promise.all(Array.from({ length: AHEAD }, next));
        } finally {
          await worker.end();
        }
      }),
    );
  }
}

/** Runs what of the suite can be asked of `target` on it, and takes it down. */
export async function runOn(target: Target, behaviours: readonly Behaviour[]): Promise<Report> {
  const jobs = behaviours.map((item, i) => ({ item, place: placeOf(i) })).filter(({ item }) => target.has?.(item) ?? true);
  const run = new Run(target, jobs);
  try {
    if (target.below !== undefined) await run.below(target.below);
    await run.on(await target.up());
  } finally {
    await target.down();
  }
  return run;
}
