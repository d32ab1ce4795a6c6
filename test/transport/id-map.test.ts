// uidmapping, gidmapping and squash of mount.lamina: owners as the disk has them and as the mount shows them.

import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { command } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import * as op from '../support/ops.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

async function mounted(options: string): Promise<Root> {
  const root = new Root();
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    writeFileSync(root.path('lower', name), name);
    chownSync(root.path('lower', name), [0, 1, 500][i] ?? 0, [0, 1, 500][i] ?? 0);
  }
  chmodSync(root.path('lower'), 0o777);
  chmodSync(root.upper, 0o777);
  const dirs = `lowerdir=${root.path('lower')},upperdir=${root.upper},workdir=${root.path('work')}`;
  const done = await command([join(checkout, 'bin', 'mount.lamina'), '-o', `${dirs},${options}`, root.target], { env: root.env });
  if (done.code === 0) return root;
  await root.dispose();
  throw new Error(done.stderr);
}

/** Owners of names in the mounted root. */
async function owners(root: Root, ...names: string[]): Promise<string> {
  return (await command(['stat', '-c', '%u:%g', ...names], { cwd: root.target })).stdout;
}

void t.test('id mapping', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  await t.test('ids on disk are shown by the map, what is outside of it as 65534, and written back by it', async (t) => {
    const root = await mounted('uidmapping=:0:1000:1:1:110000:100,gidmapping=0:1000:1:1:110000:100');
    t.teardown(() => root.dispose());
    t.equal(await owners(root, 'a', 'b', 'c'), '1000:1000\n110000:110000\n65534:65534\n');
    await root.run(
      op.chown('a', 110004, 110005),
      op.by([110009, 110009], op.put('new', 'x')),
      op.by([110009, 110009], op.mkdir('dir')),
    );
    t.equal(await owners(root, 'a', 'new', 'dir'), '110004:110005\n110009:110009\n110009:110009\n');
    const disk = (name: string): string => `${statSync(join(root.upper, name)).uid}:${statSync(join(root.upper, name)).gid}`;
    t.strictSame([disk('a'), disk('new'), disk('dir')], ['5:6', '10:10', '10:10']);
    await root.umount();
  });
  await t.test('squash_to_uid and squash_to_gid win over squash_to_root', async (t) => {
    for (const [options, shown] of [
      ['squash_to_root', '0:0'],
      ['squash_to_uid=7,squash_to_root,squash_to_gid=8', '7:8'],
    ] as const) {
      const root = await mounted(options);
      t.teardown(() => root.dispose());
      t.equal(await owners(root, 'b', 'c'), `${shown}\n${shown}\n`);
      await root.umount();
    }
  });
  await t.test('a map that is not one is refused', async (t) => {
    await t.rejects(mounted('uidmapping=1:2'), /uidmapping=1:2: not a list of ID:MAPPED-ID:COUNT/);
    await t.rejects(mounted('squash_to_uid=root'), /squash_to_uid=root: not an id/);
  });
  return undefined;
});
