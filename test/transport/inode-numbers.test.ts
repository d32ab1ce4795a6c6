// st_ino where the layers lie on several filesystems: no two files share one, and each keeps its own over a remount,
// whichever is looked at first.

import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { mustCommand } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { Root } from '../support/roots.js';

const NAMES = ['in-a', 'in-b', 'in-upper', 'from-a', 'from-b'];

void t.test('numbers are kept over a remount with layers on three filesystems', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  const root = new Root();
  t.teardown(() => root.dispose());
  for (const layer of ['a', 'b']) {
    mkdirSync(root.path(layer));
    await mustCommand(['mount', '-t', 'tmpfs', `lamina-${layer}`, root.path(layer)]);
    for (const name of [`in-${layer}`, `from-${layer}`]) writeFileSync(root.path(layer, name), layer);
  }
  const mount = (): Promise<void> => root.mount('--lower', root.path('a'), '--lower', root.path('b'));
  const numbers = async (names: readonly string[]): Promise<Map<string, string>> => {
    const out = await mustCommand(['stat', '-c', '%n %i', ...names], { cwd: root.target });
    return new Map(out.trim().split('\n').map((line) => line.split(' ') as [string, string])); // prettier-ignore
  };
  await mount();
  await mustCommand(['sh', '-ec', 'echo x > in-upper; echo x >> from-a; echo x >> from-b'], { cwd: root.target });
  const before = await numbers(NAMES);
  t.equal(new Set(before.values()).size, NAMES.length, 'each has its own');
  await mustCommand(['umount', root.target]);
  await root.settle();
  await mount();
  t.strictSame(await numbers([...NAMES].reverse()), new Map([...before].reverse()));
  await mustCommand(['umount', root.target]);
  await root.settle(); // it has the layers open
  await mustCommand(['umount', root.path('a'), root.path('b')]);
  return undefined;
});
