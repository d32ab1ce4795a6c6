// A place in a root that somebody swaps for a symlink between the time it is looked up and the time it is mounted on: nothing
// outside the root is touched (CVE-2026-41568, CVE-2019-19921).

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bindRoute } from '../../src/transport/bind.js';
import { sealWithin, unmountWithin } from '../../src/transport/mount-command.js';
import type { RoutePlan } from '../../src/transport/plan.js';
import { command, mountTable, mustCommand } from '../support/command.js';
import { scratchDir } from '../support/paths.js';

interface Places {
  readonly root: string;
  readonly victim: string;
  readonly route: RoutePlan;
}

/** A root with /a/b, something outside of it, and a volume. */
function places(t: Test, readOnly = false): Places {
  const scratch = scratchDir();
  for (const name of ['root/a/b', 'victim/b', 'volume']) mkdirSync(join(scratch, name), { recursive: true });
  writeFileSync(join(scratch, 'volume', 'file'), 'x');
  t.teardown(async () => {
    for (const { point } of mountTable().reverse()) if (point.startsWith(scratch)) await command(['umount', '-l', point]);
    rmSync(scratch, { recursive: true });
  });
  const route: RoutePlan = { source: join(scratch, 'volume'), destination: '/a/b', readOnly, tier: 'bind' };
  return { root: join(scratch, 'root'), victim: join(scratch, 'victim'), route };
}

const mounted = (directory: string): string[] =>
  mountTable()
    .map(({ point }) => point)
    .filter((point) => point.startsWith(directory));

/** What somebody who has the volume around the place does. */
function swap(path: string, target: string): void {
  renameSync(path, `${path}.gone`);
  symlinkSync(target, path);
}

for (const place of ['a/b', 'a']) {
  void t.test(`a mountpoint with ${place} swapped for a link: nothing is mounted`, async (t) => {
    const { root, victim, route } = places(t);
    swap(join(root, place), place === 'a' ? victim : join(victim, 'b'));
    await t.rejects(bindRoute(route, root, '/a/b'), /replaced by a symbolic link/);
    t.same([...mounted(victim), ...mounted(root)], []);
  });
}

void t.test('a mountpoint swapped for a link before its unmount: what it leads to stays mounted', async (t) => {
  const { root, victim, route } = places(t);
  await mustCommand(['mount', '--bind', route.source, join(victim, 'b')]);
  swap(join(root, 'a'), victim);
  t.match(await unmountWithin(root, '/a/b'), /symbolic link/);
  t.same(mounted(victim), [join(victim, 'b')]);
  rmSync(join(root, 'a'));
  renameSync(join(root, 'a.gone'), join(root, 'a'));
  swap(join(root, 'a', 'b'), join(victim, 'b'));
  t.ok(await unmountWithin(root, '/a/b'));
  t.same(mounted(victim), [join(victim, 'b')]);
});

void t.test('".." leads nowhere', async (t) => {
  const { root, victim, route } = places(t);
  await t.rejects(bindRoute(route, root, '/a/../../victim/b'));
  t.same(mounted(victim), []);
});

void t.test('a read-only bind covers what is mounted below its source, and can be taken off', async (t) => {
  const { root, route } = places(t, true);
  mkdirSync(join(route.source, 'below'));
  await mustCommand(['mount', '-t', 'tmpfs', 'tmpfs', join(route.source, 'below')]);
  await bindRoute(route, root, '/a/b');
  t.ok(existsSync(join(root, 'a', 'b', 'file')));
  for (const name of ['x', 'below/x']) t.throws(() => writeFileSync(join(root, 'a/b', name), ''), { code: 'EROFS' });
  writeFileSync(join(route.source, 'below', 'y'), '');
  t.equal(await unmountWithin(root, '/a/b/below'), undefined);
  t.equal(await unmountWithin(root, '/a/b'), undefined);
  t.same(readdirSync(join(root, 'a', 'b')), []);
  t.match(await sealWithin(root, '/a/b', true), /Invalid argument/);
});
