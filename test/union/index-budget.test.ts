// What the budget of indexes keeps and lets go: it counts what grows, spares listings, and keeps a huge directory only while
// it is used.

import t from 'tap';
import type { NodeId } from '../../src/native/mount.js';
import { DirectoryIndex, UPPER, UnionDirectory } from '../../src/union/directory.js';
import { IndexBudget } from '../../src/union/index-budget.js';

const LIMIT = 100;
const HUGE = 1000;

let next = 2;

function grow(dir: UnionDirectory, names: number): void {
  dir.index ??= new DirectoryIndex();
  while (dir.index.length < names) dir.index.set(`f${dir.index.length}`, UPPER, 8);
}

function directory(names: number): UnionDirectory {
  const dir = new UnionDirectory(next++ as NodeId, undefined, [], [], new Map());
  grow(dir, names);
  return dir;
}

function used(budget: IndexBudget, ...dirs: UnionDirectory[]): UnionDirectory[] {
  for (const dir of dirs) budget.use(dir);
  return dirs;
}

const kept = (dirs: readonly UnionDirectory[]): boolean[] => dirs.map((dir) => dir.index !== undefined);

void t.test('the least used goes when an index has grown past the budget', async (t) => {
  const budget = new IndexBudget(LIMIT, HUGE);
  const dirs = used(budget, directory(30), directory(30), directory(30));
  t.same(kept(dirs), [true, true, true]);
  const [first, , third] = dirs;
  if (!first || !third) return;
  budget.use(first);
  grow(third, 60);
  budget.use(third);
  t.same(kept(dirs), [true, false, true]);
  t.ok(budget.size <= LIMIT, `${budget.size} names`);
});

void t.test('a listing is spared, until only listings are left', async (t) => {
  const budget = new IndexBudget(LIMIT, HUGE);
  const read = directory(40);
  read.reading = true;
  const [, other] = used(budget, read, directory(40), directory(40));
  t.same(kept([read, other as UnionDirectory]), [true, false]);
  const more = [directory(40), directory(40)];
  for (const each of more) each.reading = true;
  used(budget, ...more);
  t.notOk(read.index, 'the oldest listing is read anew');
  t.notOk(read.reading);
  t.ok(budget.size <= LIMIT + 2, `${budget.size} names`);
});

void t.test('a huge one does not push out the others, nor they it while it is used', async (t) => {
  const budget = new IndexBudget(LIMIT, HUGE);
  const [huge, small] = used(budget, directory(400), directory(50)) as [UnionDirectory, UnionDirectory];
  for (let i = 0; i < 300; i++) used(budget, small, huge);
  t.same(kept([huge, small]), [true, true]);
  for (let i = 0; i < 90; i++) used(budget, small);
  t.ok(huge.index, 'not yet');
  used(budget, directory(5), small, directory(5), small);
  for (let i = 0; i < 20; i++) used(budget, directory(1), small);
  t.notOk(huge.index, 'gone when the others were used a while');
  t.ok(budget.size <= LIMIT);
});

void t.test('several huge ones share a budget of their own', async (t) => {
  const budget = new IndexBudget(LIMIT, HUGE);
  const dirs = used(budget, directory(400), directory(400), directory(400));
  t.same(kept(dirs), [false, true, true]);
  const alone = directory(5 * HUGE);
  used(budget, alone);
  t.same(kept([...dirs, alone]), [false, false, false, true], 'the one in use stays whatever its size');
});

void t.test('what is dropped is counted no more', async (t) => {
  const budget = new IndexBudget(LIMIT, HUGE);
  const dirs = used(budget, directory(50), directory(400));
  for (const dir of dirs) budget.drop(dir);
  t.equal(budget.size, 0);
  t.same(kept(dirs), [false, false]);
});
