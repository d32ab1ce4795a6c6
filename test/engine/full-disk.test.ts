// A disk that is full: each command that needs room fails with a clear error, leaves nothing half there, and works again
// once there is room.

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeArchive, packLayerOf } from '../../src/demo/busybox.js';
import { EngineRig } from '../support/engine-rig.js';

function listing(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

void t.test('a full disk', { timeout: 180_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.limitData('64M');
  await rig.start();
  await rig.loadImages();
  const must = (...args: string[]): Promise<string> => rig.must('lamina', ...args);
  const run = (...args: string[]): ReturnType<EngineRig['run']> => rig.run('lamina', ...args);
  const data = rig.env.LAMINA_ROOT;
  /** Everything that a command might have left. */
  const state = async (): Promise<object> => ({
    images: await must('images', '-aq'),
    containers: await must('ps', '-aq'),
    volumes: await must('volume', 'ls', '-q'),
    directories: Object.fromEntries(
      ['layers', 'containers', 'volumes', 'staging'].map((name) => [
        name,
        listing(join(data, name)).filter((each) => !each.startsWith('.')),
      ]),
    ),
  });
  const full = /no space left on device|disk quota exceeded|ENOSPC/i;

  // An image with 20 MB in /data, which is a volume of its own.
  const root = rig.path('root');
  mkdirSync(join(root, 'data'), { recursive: true });
  for (let i = 0; i < 20; i++) writeFileSync(join(root, 'data', `f${i}`), Buffer.alloc(1 << 20, i + 1));
  packLayerOf(root, rig.path('layer.tar'));
  makeArchive(rig.path('big.tar'), rig.path('layer.tar'), 'big:latest', 'test');
  rmSync(root, { recursive: true });
  await must('load', '-i', rig.path('big.tar'));
  await must(
    'create',
    '--name',
    'writer',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'dd if=/dev/zero of=/big bs=1M count=12 2>/dev/null',
  );
  await must('start', '-a', 'writer');
  const fill = (megabytes: number): void => writeFileSync(join(data, 'filler'), Buffer.alloc(megabytes << 20, 7));
  fill(18);
  const before = await state();

  const attempts: readonly (readonly [what: string, args: string[]])[] = [
    ['fill a volume from the image', ['create', '-v', 'fresh:/data', 'big', 'x']],
    ['fill an anonymous one', ['run', '--rm', '-v', '/data', 'big', 'x']],
    ['commit', ['commit', 'writer', 'committed']],
    ['import an image', ['import', rig.path('import.tar'), 'imported']],
  ];
  packLayerOf(join(data, 'layers'), rig.path('import.tar'));
  for (const [what, args] of attempts) {
    const done = await run(...args);
    t.not(done.code, 0, what);
    t.match(done.stderr, full, what);
    t.same(await state(), before, `${what}: nothing is left`);
  }
  rmSync(join(data, 'filler'));
  await must('rmi', 'big');
  fill(36);
  const empty = await state();
  const loaded = await run('load', '-i', rig.path('big.tar'));
  t.not(loaded.code, 0);
  t.match(loaded.stderr, full, 'load');
  t.same(await state(), empty, 'load: nothing is left');

  rmSync(join(data, 'filler'));
  await must('load', '-i', rig.path('big.tar'));
  await must('rmi', 'big');
  await must('commit', 'writer', 'committed');
  t.equal(await must('run', '--rm', '--network', 'none', 'committed', 'stat', '-c', '%s', '/big'), String(12 << 20));
});
