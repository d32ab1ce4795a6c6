// Says in sentences where the results of a conformance case differ: from what the case demands, and between the
// kinds of mount. Pure. Called by run.ts and oracle.ts.

import { isDeepStrictEqual } from 'node:util';
import type { Kind } from '../support/mounts.js';
import type { Op, Outcome } from '../support/ops.js';
import type { Case, Result, Tree } from './run.js';

const REFERENCES: readonly Kind[] = ['plain', 'bind', 'overlay'];

function tell(outcome: Outcome | undefined): string {
  if (outcome === undefined) return 'nothing';
  if ('e' in outcome) return outcome.e;
  if ('x' in outcome) return `broken executor: ${outcome.x}`;
  return outcome.v === null ? 'ok' : JSON.stringify(outcome.v);
}

function tellOp(op: Op): string {
  const { op: name, fails: _fails, any: _any, gives: _gives, ...rest } = op;
  return `${name} ${JSON.stringify(rest)}`;
}

/** What the case itself says of an outcome: undefined when content. */
export function against(op: Op, outcome: Outcome | undefined): string | undefined {
  if (outcome === undefined) return 'not run';
  if ('x' in outcome) return tell(outcome);
  if (op.fails !== undefined)
    return 'e' in outcome && outcome.e === op.fails ? undefined : `must fail with ${op.fails}, gave ${tell(outcome)}`;
  if (op.any === true) return undefined;
  if ('e' in outcome) return `must succeed, gave ${outcome.e}`;
  if ('gives' in op && !isDeepStrictEqual(outcome.v, op.gives))
    return `must give ${JSON.stringify(op.gives)}, gave ${tell(outcome)}`;
  return undefined;
}

/** What differs, and the sentence about it. */
interface Difference {
  readonly subject: string;
  readonly text: string;
}

/** Paths at which two trees differ. */
function treeDifferences(item: Case, a: Tree, b: Tree, nameA: string, nameB: string): Difference[] {
  const paths = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return paths
    .filter((path) => a[path] !== b[path])
    .filter((path) => !item.allows?.some(({ object: may }) => may?.(a[path] ?? '', b[path] ?? '', item.ops)))
    .map((path) => ({
      subject: path,
      text: `'${path}' is ${a[path] ?? 'absent'} on ${nameA}, ${b[path] ?? 'absent'} on ${nameB}`,
    }));
}

function comparePair(item: Case, a: Kind, first: Result, b: Kind, second: Result): Difference[] {
  const found: Difference[] = [];
  item.ops.forEach((op, i) => {
    const left = first.outcomes[i];
    const right = second.outcomes[i];
    if (isDeepStrictEqual(left, right)) return;
    if (left && right && item.allows?.some(({ op: may }) => may?.(op, left, right, item.ops))) return;
    found.push({ subject: `op ${i}`, text: `op ${i} ${tellOp(op)}: ${a} ${tell(left)}, ${b} ${tell(right)}` });
  });
  if (!first.tree || !second.tree) return found;
  const trees = treeDifferences(item, first.tree, second.tree, a, b);
  return [...found, ...trees.map(({ subject, text }) => ({ subject: `tree ${subject}`, text: `final tree: ${text}` }))];
}

function compareAfter(item: Case, kind: Kind, result: Result): string[] {
  const check = (after: Tree | undefined, how: string): string[] =>
    !after || !result.tree ? [] : treeDifferences(item, result.tree, after, kind, how).map(({ text }) => `tree after: ${text}`);
  const again = check(result.remounted, `${kind} mounted again`);
  if (item.kernelTree !== undefined) return again;
  return [
    ...again,
    ...check(result.asKernelUpper, `kernel overlayfs on lamina's upper`),
    ...check(result.asKernelLower, `kernel overlayfs with lamina's upper as a lower`),
  ];
}

type Shown = readonly [Kind, Result];

/** One kind against two references that may themselves differ: each outcome and path must be as on one of them. */
function compareEither(item: Case, tested: Shown, one: Shown, other: Shown): Difference[] {
  const first = new Map(comparePair(item, ...one, ...tested).map(({ subject, text }) => [subject, text]));
  return comparePair(item, ...other, ...tested)
    .filter(({ subject }) => first.has(subject))
    .map(({ subject, text }) => ({ subject, text: `${first.get(subject)}; ${text}` }));
}

function comparePairs(item: Case, results: ReadonlyMap<Kind, Result>): Difference[] {
  const references = [...results].filter(([kind]) => REFERENCES.includes(kind));
  const tested = [...results].find(([kind]) => !REFERENCES.includes(kind));
  const [one, other] = references;
  if (item.either === true && one && other) return tested ? compareEither(item, tested, one, other) : [];
  const [reference, ...others] = [...results];
  if (reference === undefined) return [];
  return others.flatMap(([kind, result]) => comparePair(item, reference[0], reference[1], kind, result));
}

/** Every difference that the results of a case show; empty when all agree. */
export function compare(item: Case, results: ReadonlyMap<Kind, Result>): string[] {
  const found: string[] = [];
  for (const [kind, result] of results) {
    if (result.broken !== undefined) found.push(`${kind} broke off: ${result.broken}`);
    else
      item.ops.forEach((op, i) => {
        const complaint = against(op, result.outcomes[i]);
        if (complaint !== undefined) found.push(`op ${i} ${tellOp(op)}: on ${kind} ${complaint}`);
      });
    found.push(...compareAfter(item, kind, result));
  }
  const whole = new Map([...results].filter(([, result]) => result.broken === undefined));
  return [...found, ...comparePairs(item, whole).map(({ text }) => text)];
}
