// Where lamina differs from kernel overlayfs and a plain directory in a staged case. Pure. Called by staged.ts.

import { isDeepStrictEqual } from 'node:util';
import type { Op, Outcome } from '../../support/ops.js';
import type { Tree } from '../run.js';
import type { CaseResult, Mode, Numbers, StagedCase, StageResult } from './staged.js';

const told = (outcome: Outcome | undefined): string => (outcome === undefined ? 'nothing' : JSON.stringify(outcome));

function outcomesDiffer(ops: readonly Op[], plain: StageResult, overlay: StageResult, lamina: StageResult): string[] {
  return ops.flatMap((op, i) => {
    const [a, b, c] = [plain.outcomes[i], overlay.outcomes[i], lamina.outcomes[i]];
    const broken = [a, b, c].find((outcome) => outcome === undefined || 'x' in outcome);
    if (!broken && (isDeepStrictEqual(c, a) || isDeepStrictEqual(c, b))) return [];
    return [`${JSON.stringify(op)}: plain ${told(a)}, overlay ${told(b)}, lamina ${told(c)}`];
  });
}

function treesDiffer(plain: Tree, overlay: Tree, lamina: Tree): string[] {
  const paths = [...new Set([plain, overlay, lamina].flatMap((tree) => Object.keys(tree)))].sort();
  return paths
    .filter((path) => lamina[path] !== plain[path] && lamina[path] !== overlay[path])
    .map((path) => `'${path}' is ${lamina[path]} on lamina, ${overlay[path]} on overlay, ${plain[path]} plain`);
}

/**
 * Attributes of an upper that each implementation keeps for itself: the kernel marks as opaque what hides nothing, too,
 * and writes a redirect as a name where we write a path. What they mean shows in the tree of the next mount.
 */
const own = /"trusted\.overlay\.[^"]*": "(?:[^"\\]|\\.)*",? ?/g;

/** An entry of upper without what may differ: link counts (each has its index), and the order that they bring. */
const laid = (entry: string | undefined): string | undefined =>
  entry
    ?.replace(own, '')
    .replace(/"(nlink|same)": ("(?:[^"\\]|\\.)*"|\d+),? ?/g, '')
    .replace(/,? ?}$/, '}');

/** The rows of a table stand apart; anything else is one whole. */
const rowOf = (path: string): string => /^n\d+(?=\/|$)/.exec(path)?.[0] ?? '';

/**
 * Rows with files of several names: which of them gets the copy on upper cannot be as on the kernel, because FUSE's
 * OPEN and SETATTR name the inode and not the name it was found by.
 */
const rowsWithLinks = (tree: Tree): Set<string> =>
  new Set(Object.keys(tree).flatMap((path) => (tree[path]?.includes('"same": ') ? [rowOf(path)] : [])));

/** Rows with a rename over a directory that is not empty: the kernel copies up what it then leaves where it is. */
function rowsRefused(ops: readonly Op[], { outcomes }: StageResult): string[] {
  const refused = ops.filter((_, i) => {
    const outcome = outcomes[i];
    return outcome !== undefined && 'e' in outcome && outcome.e === 'ENOTEMPTY';
  });
  return refused.flatMap(({ op, path }) => (op === 'rename' && typeof path === 'string' ? [rowOf(path)] : []));
}

function uppersDiffer(linked: ReadonlySet<string>, refused: ReadonlySet<string>, overlay: Tree, lamina: Tree): string[] {
  const paths = [...new Set([...Object.keys(overlay), ...Object.keys(lamina)])].sort();
  return paths
    .filter((path) => !linked.has(rowOf(path)) && laid(overlay[path]) !== laid(lamina[path]))
    .filter((path) => !(refused.has(rowOf(path)) && lamina[path] === undefined))
    .map((path) => `upper '${path}': overlay ${laid(overlay[path])}, lamina ${laid(lamina[path])}`);
}

/** Which paths are one inode: for each path the first one with its number. */
function groups({ inos }: Numbers): Record<string, string> {
  const first = new Map<string, string>();
  for (const path of Object.keys(inos).sort()) if (!first.has(inos[path] ?? '')) first.set(inos[path] ?? '', path);
  return Object.fromEntries(Object.entries(inos).map(([path, ino]) => [path, first.get(ino) ?? '']));
}

function numbersDiffer(plain: StageResult, overlay: StageResult, lamina: StageResult): string[] {
  const found = lamina.numbers.devices === 1 ? [] : [`objects of lamina are on ${lamina.numbers.devices} devices`];
  return [
    ...found,
    ...treesDiffer(groups(plain.numbers), groups(overlay.numbers), groups(lamina.numbers)).map((text) => `same inode: ${text}`),
  ];
}

/** Numbers that changed though nothing but a remount happened. */
function numbersChanged(before: Numbers, after: Numbers): string[] {
  return Object.keys(after.inos)
    .filter((path) => before.inos[path] !== undefined && before.inos[path] !== after.inos[path])
    .map((path) => `'${path}' had number ${before.inos[path]} before the remount and ${after.inos[path]} after it`);
}

/** Every difference, by stage; empty when there is none. */
export function differences(item: StagedCase, mode: Mode, plain: CaseResult, overlay: CaseResult, lamina: CaseResult): string[] {
  const linked = new Set(plain.flatMap(({ tree }) => [...rowsWithLinks(tree)]));
  const refused = new Set(item.stages.flatMap((ops, i) => (lamina[i] ? rowsRefused(ops, lamina[i]) : [])));
  return item.stages.flatMap((ops, stage) => {
    const [a, b, c] = [plain[stage], overlay[stage], lamina[stage]];
    if (!a || !b || !c) return [`stage ${stage} did not run`];
    const before = lamina[stage - 1]?.numbers;
    return [
      ...outcomesDiffer(ops, a, b, c),
      ...treesDiffer(a.tree, b.tree, c.tree),
      ...uppersDiffer(linked, refused, b.upper ?? {}, c.upper ?? {}),
      ...numbersDiffer(a, b, c),
      ...(before && mode.between === 'remount' ? numbersChanged(before, c.before) : []),
    ].map((text) => `stage ${stage}: ${text}`);
  });
}
