// Cases in stages: between two stages the mount goes and comes back, or upper is put below a new upper as well. After
// every stage it is looked at from outside too: numbers of inodes, and what is in upper. The kernel's overlayfs and a
// plain directory are the references. Called by overlay.test.ts.

import type { Test } from 'tap';
import { leaks, Rig } from '../../support/mounts.js';
import type { Kind, Medium } from '../../support/mounts.js';
import { numbers, tree } from '../../support/ops.js';
import type { Op, Outcome } from '../../support/ops.js';
import type { Stack } from '../../support/tree.js';
import type { Tree } from '../run.js';
import { usableKinds } from '../run.js';
import { differences } from './differences.js';

export interface StagedCase {
  readonly name: string;
  readonly stack: Stack;
  /** Each operation may end as it likes, as long as it does so on the references. */
  readonly stages: readonly (readonly Op[])[];
}

/** remount: the same layers again · rotate: upper becomes the topmost lower under an empty one. */
export type Between = 'nothing' | 'remount' | 'rotate';

export interface Mode {
  readonly between: Between;
  readonly medium: Medium;
}

export interface Numbers {
  readonly inos: Readonly<Record<string, string>>;
  readonly devices: number;
}

/** What one kind of mount made of a case in one stage. */
export interface StageResult {
  readonly outcomes: readonly Outcome[];
  readonly tree: Tree;
  /** Numbers before the stage's operations, and after them. */
  readonly before: Numbers;
  readonly numbers: Numbers;
  /** The case's part of upper; absent for a plain directory. */
  readonly upper?: Tree;
}

export type CaseResult = readonly StageResult[];

const part = (index: number): string => `c${index.toString().padStart(3, '0')}/in`;
const mostStages = (cases: readonly StagedCase[]): number => Math.max(...cases.map(({ stages }) => stages.length));
const LIMIT = 60_000;

/** The value that an operation must have; says what it gave instead. */
function valueOf(outcome: Outcome | undefined, what: string): unknown {
  if (outcome && 'v' in outcome) return outcome.v;
  throw new Error(`${what}: ${JSON.stringify(outcome)}`);
}

async function look(rig: Rig, at: string): Promise<Omit<StageResult, 'outcomes' | 'before'>> {
  const [shown, counted] = await rig.worker.run(`${rig.point}/${at}`, [tree('.'), numbers('.')], LIMIT);
  const result = {
    tree: valueOf(shown, `tree of ${at}`) as Tree,
    numbers: valueOf(counted, `numbers of ${at}`) as Numbers,
  };
  const { upper } = rig.dirs;
  if (rig.kind === 'plain' || upper === undefined) return result;
  const [inUpper] = await rig.worker.run(upper, [tree(at)], LIMIT);
  return { ...result, upper: inUpper && 'v' in inUpper ? (inUpper.v as Tree) : {} };
}

async function turn(rig: Rig, between: Between): Promise<void> {
  if (between === 'nothing') return;
  await rig.down();
  if (between === 'rotate') await rig.rotate();
  await rig.up();
}

/** All stages of all cases on one kind of mount, the cases side by side. */
async function runOn(kind: Kind, cases: readonly StagedCase[], mode: Mode): Promise<CaseResult[]> {
  const rig = await Rig.build(kind, new Map(cases.map(({ stack }, i) => [part(i), stack])), {
    medium: mode.medium,
    // With its index the kernel refuses a lower that was an upper (EBUSY) for a while.
    mount: mode.between === 'rotate' ? ['index=off'] : [],
  });
  const results: StageResult[][] = cases.map(() => []);
  try {
    await rig.up();
    for (let stage = 0; stage < mostStages(cases); stage++) {
      if (stage > 0) await turn(rig, mode.between);
      for (const [i, { stages }] of cases.entries()) {
        const [counted, ...outcomes] = await rig.worker.run(
          `${rig.point}/${part(i)}`,
          [numbers('.'), ...(stages[stage] ?? [])],
          LIMIT,
        );
        const before = valueOf(counted, `numbers of ${part(i)}`) as Numbers;
        results[i]?.push({ outcomes, before, ...(await look(rig, part(i))) });
      }
    }
    return results;
  } finally {
    await rig.dispose();
  }
}

/** Runs `cases` in a mode and makes each a subtest of `t`. Cases can be chosen by LAMINA_CASE, a part of their name. */
export async function conformInStages(t: Test, cases: readonly StagedCase[], mode: Mode): Promise<void> {
  const usable = await usableKinds(t);
  if (usable.length < 3) {
    t.comment('skipped: not all kinds of mount can be had here, see above');
    return;
  }
  const wanted = cases.filter(({ name }) => name.includes(process.env['LAMINA_CASE'] ?? ''));
  if (wanted.length === 0) return;
  const [plain = [], overlay = [], lamina = []] = await Promise.all(
    (['plain', 'overlay', 'lamina'] as const).map((kind) => runOn(kind, wanted, mode)),
  );
  let checks = 0;
  for (const [i, item] of wanted.entries()) {
    const found = differences(item, mode, plain[i] ?? [], overlay[i] ?? [], lamina[i] ?? []);
    checks += item.stages.flat().length;
    t.same(found, [], item.name);
  }
  t.comment(`${checks} operations, ${mode.between} between stages, layers on ${mode.medium}`);
  t.same(leaks(), [], 'no mount and no directory is left');
}
