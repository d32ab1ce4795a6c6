// A crash, or a full disk, at every stage of every operation that takes more than one system call: the stages are not
// listed but counted, by a tracer that stops the server before each call that changes a disk. What a killed server
// leaves is what its calls have done so far, so the layers are copied at every stop and mounted anew. Then the
// operation runs once for each stage with that call failing. CI takes some operations, others each time;
// LAMINA_STAGES=all takes all, and adds kills and further errors.

import { mkdirSync, readdirSync, readFileSync, lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errno, errnoName } from '../../src/abi/errno.js';
import { sys } from '../../src/native/load.js';
import { MNT_DETACH } from '../../src/native/syscalls.js';
import { Client } from './client.js';
import { namesIn } from './disk.js';
import { Rig } from './rig.js';
import { type StageCase, stageCases } from './stage-cases.js';
import { type Dirs, Host, type View, copyLayers, planOf, viewOf } from './stages.js';

const all = process.env['LAMINA_STAGES'] === 'all';
const wanted = process.env['LAMINA_CASE'] ?? '';
const errors = all ? [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE] : [errno.ENOSPC];
let stages = 0;

/** A union that somebody has left, by unmounting or dying: what a new mount shows, with the numbers of lower files. */
function mountedAnew(dirs: Dirs, inos: (path: string) => boolean): { view: View; work: string[] } {
  const client = new Client(planOf(dirs));
  const view = viewOf(client, inos);
  client.close();
  return { view, work: namesIn(join(dirs.work, 'work')) ?? ['no work directory'] };
}

/** What kernel overlayfs shows for the layers: all but link counts and numbers. */
function kernelView(dirs: Dirs, point: string, kernelWork: string): View {
  mkdirSync(kernelWork);
  const options = `lowerdir=${dirs.lowers.join(':')},upperdir=${dirs.upper},workdir=${kernelWork},redirect_dir=follow`;
  const error = sys.mount('overlay', point, 'overlay', 0, options);
  if (error) return { '': `cannot be mounted: ${errnoName(error)}` };
  const into: View = {};
  const visit = (path: string): void => {
    for (const name of readdirSync(join(point, path))) {
      const below = join(path, name);
      const full = join(point, below);
      const stat = lstatSync(full);
      const kept = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid}`;
      into[below] = stat.isDirectory()
        ? kept
        : `${kept} ${JSON.stringify(stat.isFile() ? readFileSync(full, 'latin1') : stat.isSymbolicLink() ? readlinkSync(full) : '')}`;
      if (stat.isDirectory()) visit(below);
    }
  };
  visit('');
  sys.umount2(point, MNT_DETACH);
  return into;
}

const withoutCounts = (view: View): View =>
  Object.fromEntries(Object.entries(view).map(([path, line]) => [path, line.replace(/ ino \d+/, '').replace(/ nlink \d+/, '')]));

class Bench {
  readonly #rig: Rig;
  readonly #layers: Dirs;
  #next = 0;

  constructor(
    readonly t: Test,
    readonly item: StageCase,
    readonly host: Host,
  ) {
    this.#rig = new Rig(t, item.lowers, all ? {} : { tmpfs: 'size=64m' });
    this.#layers = { upper: this.#rig.upper, work: this.#rig.work, lowers: this.#rig.lowers };
    mkdirSync(join(this.#rig.dir, 'point'));
  }

  /** The layers before the operation, or those given, in a copy of their own. */
  copy(from = this.#layers): Dirs {
    return copyLayers(from, join(this.#rig.dir, 'top', `copy${this.#next++}`));
  }

  async prepare(): Promise<void> {
    await this.host.open(this.#layers);
    this.host.noWhiteoutRename = this.item.noWhiteoutRename === true;
    const done = await this.host.run(this.item.before ?? []);
    if (done !== 0) throw new Error(`${this.item.name}: what comes before fails: ${errnoName(done ?? -1)}`);
  }

  anew(dirs: Dirs): { view: View; work: string[] } {
    return mountedAnew(dirs, (path) => this.item.name.startsWith('copy-up') || this.item.numbered?.includes(path) === true);
  }

  kernel(dirs: Dirs): View {
    return kernelView(dirs, join(this.#rig.dir, 'point'), join(dirs.work, 'kernel'));
  }
}

/** Runs the operation once, copying the layers at each stage; gives the stages' names. */
async function crashAtEachStage(bench: Bench): Promise<{ calls: string[]; before: View; after: View }> {
  const { t, item, host } = bench;
  const dirs = bench.copy();
  await host.open(dirs);
  const before = bench.anew(bench.copy()).view;
  const calls: string[] = [];
  const copies: Dirs[] = [];
  const done = await host.run(item.ops, (call) => {
    calls.push(call);
    copies.push(bench.copy(dirs));
    return 'go';
  });
  t.equal(done, 0, 'the operation succeeds');
  const live = await host.view();
  copies.push(bench.copy(dirs));
  const after = bench.anew(dirs).view;
  t.same(withoutCounts(live), withoutCounts(after), 'mounted again it is as it was');
  for (const [i, copy] of copies.entries()) {
    const at = i < calls.length ? `before ${calls[i] ?? ''} (${i + 1} of ${calls.length})` : 'at the end';
    const kernel = item.kernelTree === undefined ? bench.kernel(bench.copy(copy)) : undefined;
    const { view, work } = bench.anew(copy);
    if (!isWhole(item, view, before, after))
      t.same(view, before, `a crash ${at} leaves neither the old nor the new: this is what differs from the old`);
    if (work.length > 0) t.same(work, [], `a crash ${at} leaves something in work`);
    if (kernel && !same(kernel, withoutCounts(view)))
      t.same(kernel, withoutCounts(view), `the kernel's view after a crash ${at}`);
  }
  t.pass(`${copies.length} stages`);
  stages += copies.length;
  return { calls, before, after };
}

/** Nobody sees anything between the old tree and the new. */
function isWhole(item: StageCase, view: View, before: View, after: View): boolean {
  return same(view, before) || same(view, after) || (item.bothNames === true && keepsAll(view, before, after));
}

/** Each path is as before or as after, though a file may have both its names. */
function keepsAll(view: View, before: View, after: View): boolean {
  const [shown, old, renamed] = [view, before, after].map(withoutCounts) as [View, View, View];
  const paths = [...Object.keys(old), ...Object.keys(renamed)];
  return paths.every((path) => shown[path] === old[path] || shown[path] === renamed[path]);
}

const same = (a: View, b: View): boolean => {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
};

/** Runs the operation once for each stage, which fails; then again, unhindered. */
async function failAtEachStage(bench: Bench, calls: readonly string[], before: View, after: View, error: number): Promise<void> {
  const { t, item, host } = bench;
  for (const [i, call] of calls.entries()) {
    const what = `${errnoName(-error)} at ${call} (${i + 1} of ${calls.length})`;
    const dirs = bench.copy();
    await host.open(dirs);
    const done = await host.run(item.ops, (_, number) => (number === i ? `fail ${error}` : 'go'));
    const live = withoutCounts(await host.view());
    const { view, work } = bench.anew(bench.copy(dirs));
    // The copy is made with its new length, as by kernel overlayfs: only then comes what can fail.
    const truncates = item.ops.some(([name]) => name.startsWith('truncat') || name === 'openTruncating');
    const truncated = truncates && (call === 'truncate' || (call === 'openat' && i === calls.length - 1));
    const expected = done === 0 || truncated ? after : before;
    if (done !== 0 && done !== -error) t.equal(done, -error, `${what}: that error, or success`);
    if (!same(view, expected))
      t.same(view, expected, `${what}: ${done === 0 ? 'it succeeds and is done' : 'nothing has changed'}`);
    if (!same(live, withoutCounts(view))) t.same(live, withoutCounts(view), `${what}: the live tree is what a new mount shows`);
    const left = namesIn(join(dirs.work, 'work')) ?? [];
    if (left.length > 0 && call !== 'unlinkat') t.same(left, [], `${what}: nothing is left in work`);
    if (work.length > 0) t.same(work, [], `${what}: nothing is left in work after a new mount`);
    if (done === 0) continue;
    t.equal(await host.run(item.ops), 0, `${what}: it works once the disk does`);
    const again = bench.anew(dirs).view;
    if (!same(again, after)) t.same(again, after, `${what}: done again, it is as if nothing had been`);
  }
}

/** The same by killing the server itself. */
async function killAtEachStage(bench: Bench, calls: readonly string[], before: View, after: View): Promise<void> {
  const { t, item } = bench;
  for (const [i, call] of calls.entries()) {
    const host = new Host();
    host.noWhiteoutRename = item.noWhiteoutRename === true;
    const dirs = bench.copy();
    await host.open(dirs);
    const done = await host.run(item.ops, (_, number) => (number === i ? 'kill' : 'go'));
    await host.end();
    t.equal(done, undefined, `killed before ${call}`);
    const { view, work } = bench.anew(dirs);
    if (!isWhole(item, view, before, after)) t.same(view, before, `killed before ${call}: neither old nor new`);
    t.same(work, []);
  }
}

t.setTimeout(all ? 3_600_000 : 280_000);
const host = new Host();
t.teardown(() => host.end());

/** What CI looks at: a seventh of the operations, another one each day. */
const chosen =
  all || wanted !== '' ? stageCases : stageCases.filter((_, i) => (i + Math.floor(Date.now() / 86_400_000)) % 7 === 0);

for (const item of chosen.filter(({ name }) => name.includes(wanted))) {
  void t.test(item.name, async (t) => {
    const bench = new Bench(t, item, host);
    await bench.prepare();
    const { calls, before, after } = await crashAtEachStage(bench);
    for (const error of errors) await failAtEachStage(bench, calls, before, after, error);
    if (all) await killAtEachStage(bench, calls, before, after);
  });
}

void t.test('stages were looked at', (t) => {
  t.comment(`${stages} stages of ${chosen.length} operations`);
  t.ok(stages > (all && wanted === '' ? 400 : 0));
  t.end();
});
