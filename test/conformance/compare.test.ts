// The comparison itself: it must find what differs, or every conformance test passes for nothing.

import t from 'tap';
import { fails, gives, any, lstat, put, type Op, type Outcome } from '../support/ops.js';
import type { Kind } from '../support/mounts.js';
import { compare } from './compare.js';
import type { Case, Result } from './run.js';

const item: Case = {
  name: 'x',
  stack: { lower: [{}] },
  ops: [put('a', 'A'), fails('ENOENT', lstat('b')), gives(true, { op: 'exists', path: 'a' }), any(lstat('c'))],
};
const good: Result = { outcomes: [{ v: 1 }, { e: 'ENOENT' }, { v: true }, { e: 'EIO' }], tree: { a: 'file' } };
const results = (lamina: Partial<Result>, plain: Partial<Result> = {}): Map<Kind, Result> =>
  new Map<Kind, Result>([
    ['plain', { ...good, ...plain }],
    ['overlay', good],
    ['lamina', { ...good, ...lamina }],
  ]);

void t.test('results that agree show no difference', (sub) => {
  sub.same(compare(item, results({})), []);
  sub.end();
});

void t.test('a difference is told with its operation', (sub) => {
  sub.match(compare(item, results({ outcomes: [{ v: 1 }, { e: 'ENOENT' }, { v: true }, { v: 3 }] })), [
    /^op 3 lstat .*plain EIO, lamina 3/,
  ]);
  sub.match(compare(item, results({ outcomes: [{ e: 'EROFS' }, { e: 'ENOENT' }, { v: true }, { e: 'EIO' }] })), [
    /must succeed, gave EROFS/,
    /plain 1, lamina EROFS/,
  ]);
  sub.match(
    compare(item, results({ outcomes: [{ v: 1 }, { v: null }, { v: false }, { e: 'EIO' }] })).join('\n'),
    /must fail with ENOENT, gave ok[^]*must give true, gave false/,
  );
  sub.match(compare(item, results({ outcomes: [{ v: 1 }] })).join('\n'), /not run/);
  sub.match(compare(item, results({ broken: 'hung' })), [/lamina broke off: hung/]);
  sub.end();
});

void t.test('trees are compared, also after a remount and by the kernel', (sub) => {
  sub.match(compare(item, results({ tree: { a: 'dir' } })), [/final tree: 'a' is file on plain, dir on lamina/]);
  sub.match(compare(item, results({ remounted: {} })), [/'a' is file on lamina, absent on lamina mounted again/]);
  sub.match(compare(item, results({ asKernelUpper: { a: 'file', b: 'x' } })), [/'b' is absent on lamina, x on kernel/]);
  sub.match(compare(item, results({ asKernelLower: {} })), [/as a lower/]);
  sub.same(compare({ ...item, kernelTree: 'no' }, results({ asKernelLower: {} })), []);
  sub.end();
});

void t.test('where either reference is right, lamina must be as one of them', (sub) => {
  const either = { ...item, either: true };
  const other = { outcomes: [{ v: 1 }, { e: 'ENOENT' }, { v: true }, { v: 3 }], tree: { a: 'dir' } };
  sub.same(compare(either, results({}, other)), []);
  sub.same(compare(either, results(other, other)), []);
  sub.match(compare(either, results({ ...other, tree: { a: 'fifo' } }, other)), [/final tree: 'a'/]);
  sub.match(compare(item, results({}, other)).length, 4);
  sub.end();
});

void t.test('what a case allows is no difference, and nothing beside it is allowed', (sub) => {
  const allows = [
    {
      why: 'x',
      op: (op: Op, reference: Outcome, tested: Outcome) => op.op === 'lstat' && 'e' in reference && 'v' in tested,
      object: (reference: string, tested: string) => reference === 'file' && tested === 'later',
    },
  ];
  const allowing = { ...item, either: true, allows };
  const outcomes = [{ v: 1 }, { e: 'ENOENT' }, { v: true }, { v: 3 }];
  sub.same(compare(allowing, results({ outcomes, tree: { a: 'later' }, remounted: { a: 'later' } })), []);
  sub.match(compare(allowing, results({ outcomes: [{ v: 2 }, ...outcomes.slice(1)] })), [/^op 0 put/]);
  sub.match(compare(allowing, results({ tree: { a: 'other' } })), [/final tree: 'a' is file on plain, other on lamina/]);
  sub.end();
});

void t.test('a volume is compared with a plain directory and a bind', (sub) => {
  const volume = (tree: Result['tree']): Map<Kind, Result> =>
    new Map<Kind, Result>([
      ['plain', good],
      ['bind', good],
      ['relay-volume', { ...good, tree }],
    ]);
  sub.same(compare({ ...item, either: true }, volume(good.tree)), []);
  sub.match(compare({ ...item, either: true }, volume({ a: 'dir' })), [/file on plain, dir on relay-volume/]);
  sub.end();
});
