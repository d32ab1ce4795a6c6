// Runs conformance cases on a plain directory, on kernel overlayfs and on lamina, and compares what each operation
// ended with and the tree that is left; then again after a remount, and with the kernel reading lamina's layers.
// Cases share a mount, each in a directory of its own. Called by the *.test.ts files beside it with lists from cases/.

import type { Test } from 'tap';
import { mountOverlay, privilegedRequired, Rig, unavailable, leaks } from '../support/mounts.js';
import type { Kind, Medium } from '../support/mounts.js';
import { tree } from '../support/ops.js';
import type { Op, Outcome } from '../support/ops.js';
import type { Stack } from '../support/tree.js';
import { Hung } from '../support/worker.js';
import { compare } from './compare.js';

export interface Case {
  readonly name: string;
  readonly stack: Stack;
  readonly ops: readonly Op[];
  /** Kinds that rightly behave otherwise, each with the reason; the rest are the reference. */
  readonly differs?: { readonly plain?: string; readonly overlay?: string };
  /** Set when the kernel cannot show lamina's layers as lamina does, with the reason. */
  readonly kernelTree?: string;
  /** Where plain and overlay differ, either is right: for sequences too long to say why. */
  readonly either?: boolean;
  /** What the tested kind may do otherwise, exactly. */
  readonly allows?: readonly Allowance[];
  /** Mounted on its own, with these further mount options (of fuse-overlayfs and the kernel alike). */
  readonly alone?: readonly string[];
}

/** Whether `tested` is right for an operation, or for an object of a tree, where a reference has `reference`. */
export interface Allowance {
  readonly why: string;
  readonly op?: (op: Op, reference: Outcome, tested: Outcome, ops: readonly Op[]) => boolean;
  readonly object?: (reference: string, tested: string, ops: readonly Op[]) => boolean;
}

export type Tree = Readonly<Record<string, string>>;

/** What one kind of mount made of one case. */
export interface Result {
  readonly outcomes: readonly Outcome[];
  readonly tree?: Tree;
  /** The tree after unmounting and mounting again. */
  remounted?: Tree;
  /** The tree that kernel overlayfs shows for the layers that were left: upper as upper, and upper as a lower. */
  asKernelUpper?: Tree;
  asKernelLower?: Tree;
  /** Why the case broke off. */
  broken?: string;
}

/** After so many hangs in a group the rest is given up, to end within a test's time. */
const MOST_RIGS = 3;
/** What the layers are on: `tmpfs` is faster than a disk, `apart` gives every layer a filesystem of its own. */
const medium = (process.env['LAMINA_MEDIUM'] ?? 'disk') as Medium;
const kinds: readonly Kind[] = ['plain', 'overlay', 'lamina'];
/** The case's directory in a shared mount, in one of its own, so that a `..` leads to no other case; one that is alone has the root. */
const part = (item: Case, index: number): string => (item.alone ? '.' : `c${index.toString().padStart(3, '0')}/in`);

function groupsOf(cases: readonly Case[]): Case[][] {
  const groups = new Map<string, Case[]>();
  for (const [i, item] of cases.entries()) {
    const key = item.alone ? `alone ${i}` : item.stack.upper === null ? 'read-only' : `writable`;
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return [...groups.values()];
}

function runsOn(item: Case, kind: Kind): boolean {
  return (kind !== 'plain' && kind !== 'overlay') || item.differs?.[kind] === undefined;
}

/** Runs the cases that can still run on one rig; those after a hang are left for the next rig. */
async function runOnRig(rig: Rig, todo: readonly Case[], results: Map<Case, Result>): Promise<boolean> {
  await rig.up();
  for (const [i, item] of todo.entries()) {
    try {
      const outcomes = await rig.worker.run(`${rig.point}/${part(item, i)}`, [...item.ops, tree('.')]);
      const last = outcomes.pop();
      const shown = last && 'v' in last ? (last.v as Tree) : undefined;
      results.set(item, { outcomes, tree: shown, broken: shown ? undefined : `no final tree: ${JSON.stringify(last)}` });
    } catch (cause) {
      if (!(cause instanceof Hung)) throw cause;
      results.set(item, { outcomes: [], broken: cause.message });
      rig.abort();
      return false;
    }
  }
  return true;
}

async function treesOf(rig: Rig, cases: readonly Case[]): Promise<Tree[]> {
  const outcomes = await rig.worker.run(
    rig.point,
    cases.map((item, i) => tree(part(item, i))),
    60_000,
  );
  return outcomes.map((outcome) => ('v' in outcome ? (outcome.v as Tree) : { '': JSON.stringify(outcome) }));
}

async function lookAgain(rig: Rig, cases: readonly Case[], results: Map<Case, Result>): Promise<void> {
  const note = (trees: readonly Tree[], field: 'remounted' | 'asKernelUpper' | 'asKernelLower'): void =>
    cases.forEach((item, i) => {
      const result = results.get(item);
      if (result) result[field] = trees[i];
    });
  await rig.down();
  await rig.up();
  note(await treesOf(rig, cases), 'remounted');
  await rig.down();
  const { lower, upper } = rig.dirs;
  if (!rig.union || upper === undefined) return;
  if ((await unavailable('overlay')) !== undefined) return;
  await mountOverlay({ lower: [upper, ...lower] }, rig.point);
  note(await treesOf(rig, cases), 'asKernelLower');
  await rig.down();
  await mountOverlay(rig.dirs, rig.point);
  note(await treesOf(rig, cases), 'asKernelUpper');
  await rig.down();
}

/** Results of every case on one kind of mount; a new mount is made for those behind a case that hung. */
async function runGroup(kind: Kind, cases: readonly Case[]): Promise<Map<Case, Result>> {
  const results = new Map<Case, Result>();
  let todo = cases.filter((item) => runsOn(item, kind));
  for (let rigs = 1; todo.length > 0; rigs++) {
    const parts = new Map(todo.map((item, i) => [part(item, i), item.stack]));
    const rig = await Rig.build(kind, parts, { mount: todo[0]?.alone ?? [], medium });
    try {
      const finished = await runOnRig(rig, todo, results);
      if (finished && kind !== 'plain') await lookAgain(rig, todo, results);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      for (const item of todo) if (!results.has(item)) results.set(item, { outcomes: [], broken: reason });
      const last = results.get(todo[todo.length - 1] as Case);
      if (last) last.broken = reason;
    } finally {
      await rig.dispose();
    }
    todo = todo.filter((item) => !results.has(item));
    if (rigs < MOST_RIGS) continue;
    for (const item of todo) results.set(item, { outcomes: [], broken: `not run: ${MOST_RIGS} cases before it hung` });
    todo = [];
  }
  return results;
}

/** The kinds of mount that can be tested here; says why, or fails where all are required, for the others. */
export async function usableKinds(t: Test, wanted: readonly Kind[] = kinds): Promise<Kind[]> {
  const usable: Kind[] = [];
  for (const kind of wanted) {
    const reason = await unavailable(kind);
    if (reason === undefined) usable.push(kind);
    else if (privilegedRequired) t.fail(`${kind} must run here: ${reason}`);
    else t.comment(`not on ${kind}: ${reason}`);
  }
  return usable;
}

/** Runs `cases` on the given kinds and gives what is wrong with each; empty lists for those that agree. */
export async function differencesOf(usable: readonly Kind[], cases: readonly Case[]): Promise<Map<Case, string[]>> {
  const found = new Map<Case, string[]>();
  for (const group of groupsOf(cases)) {
    const byKind = new Map<Kind, Map<Case, Result>>();
    await Promise.all(usable.map(async (kind) => byKind.set(kind, await runGroup(kind, group))));
    for (const item of group) {
      const results = new Map<Kind, Result>();
      for (const kind of usable) {
        const result = byKind.get(kind)?.get(item);
        if (result) results.set(kind, result);
      }
      found.set(item, compare(item, results));
    }
  }
  return found;
}

/** Runs `cases` and makes each a subtest of `t`. Cases can be chosen by LAMINA_CASE, a part of their name. */
export async function conform(t: Test, cases: readonly Case[], on: readonly Kind[] = kinds): Promise<void> {
  const usable = await usableKinds(t, on);
  if (!usable.includes('plain')) {
    t.comment('skipped: no operations can be run here, see above');
    return;
  }
  const wanted = cases.filter((item) => item.name.includes(process.env['LAMINA_CASE'] ?? ''));
  for (const [item, differences] of await differencesOf(usable, wanted)) {
    await t.test(item.name, (sub) => {
      for (const difference of differences) sub.fail(difference);
      if (differences.length === 0) sub.pass(`agreed on ${usable.filter((kind) => runsOn(item, kind)).join(', ')}`);
      sub.end();
    });
  }
  t.same(leaks(), [], 'no mount and no directory is left');
}
