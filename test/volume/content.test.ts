// A volume is filled in place when there is little to copy, and by a process of its own when there is more.

import childProcess from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import t, { type Test } from 'tap';
import { sys } from '../../src/native/load.js';
import { FEW } from '../../src/process/few.js';
import { fillVolume } from '../../src/volume/content.js';
import { finishPopulate } from '../../src/volume/populate.js';
import { openDescriptors } from '../image/store-rig.js';
import { dumpTree } from '../image/tree-dump.js';
import { waitFor } from '../support/command.js';
import { VolumeRig, messageOf } from './rig.js';

const scheme = process.geteuid?.() === 0 ? 'trusted' : 'user';

function rigFor(test: Test): VolumeRig {
  const rig = new VolumeRig();
  test.teardown(() => rig.dispose());
  return rig;
}

/** Counts the processes that are started until the test ends. */
function countStarts(test: Test): () => number {
  const { spawn } = childProcess;
  let count = 0;
  childProcess.spawn = ((...args: Parameters<typeof spawn>) => {
    count++;
    return spawn(...args);
  }) as typeof spawn;
  test.teardown(() => (childProcess.spawn = spawn));
  return () => count;
}

const cases: readonly (readonly [name: string, script: string, starts: number])[] = [
  ['as many files as are few', `mkdir d; cd d; for i in {1..${FEW}}; do echo $i > $i; done`, 0],
  ['one more', `mkdir d; cd d; for i in {0..${FEW}}; do echo $i > $i; done`, 1],
  ['one more, in directories', `mkdir -p d/a d/b; cd d; for i in {2..${FEW}}; do echo $i > a/$i; done`, 1],
  ['few directories in each other', 'mkdir -p d/a/b/c; echo x > d/a/b/c/f; ln -s f d/a/b/c/l', 0],
  ['an empty directory', 'mkdir d', 0],
  ['one large file', 'mkdir d; head -c 20000000 /dev/urandom > d/f', 1],
  ['a large file of holes', 'mkdir d; truncate -s 64M d/f', 0],
];

for (const [name, script, starts] of cases) {
  void t.test(`${name}: ${starts === 0 ? 'filled in place' : 'filled by a process of its own'}`, async (test) => {
    const rig = rigFor(test);
    const layer = rig.layer('layer', script);
    const volume = rig.volume();
    const descriptors = openDescriptors();
    const started = countStarts(test);
    test.equal(await fillVolume(volume, [layer], '/d', scheme), 'filled');
    test.equal(started(), starts);
    test.same(dumpTree(volume), dumpTree(`${layer}/d`));
    test.same(readdirSync(dirname(volume)), ['_data']);
    test.equal(openDescriptors(), descriptors);
  });
}

void t.test('two that fill one volume at once fill it once', async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', 'mkdir d; echo x > d/f');
  const volume = rig.volume();
  const fills = await Promise.all([1, 2].map(() => fillVolume(volume, [layer], '/d', scheme)));
  test.same(fills.sort(), ['filled', 'not empty']);
  test.same(readdirSync(volume), ['f']);
});

void t.test('while another process has the lock of the volume, one of ours waits for it', async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', 'mkdir d; echo x > d/f');
  const volume = rig.volume();
  const home = openSync(dirname(volume), 'r');
  const LOCK_EX = 2;
  test.equal(sys.flock(home, LOCK_EX), 0);
  const started = countStarts(test);
  const filled = fillVolume(volume, [layer], '/d', scheme);
  const { ino } = statSync(dirname(volume));
  const waits = (): boolean => new RegExp(`-> FLOCK .*:${ino} `).test(readFileSync('/proc/locks', 'latin1'));
  await waitFor('the lock to be waited for', waits).finally(() => closeSync(home));
  test.equal(await filled, 'filled');
  test.equal(started(), 1);
});

void t.test('a fill in place that ends while it waits for the disk leaves nothing', async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', 'mkdir d; echo x > d/f');
  const volume = rig.volume();
  const { syncfsAsync } = sys;
  test.teardown(() => (sys.syncfsAsync = syncfsAsync));
  sys.syncfsAsync = () => Promise.reject(new Error('dead'));
  test.equal(await messageOf(() => fillVolume(volume, [layer], '/d', scheme)), 'Error: dead');
  test.same(readdirSync(volume), []);
  test.same(readdirSync(dirname(volume)).sort(), ['.filling', '_data'], 'as after a kill');
  finishPopulate(volume);
  test.same(readdirSync(dirname(volume)), ['_data']);
  sys.syncfsAsync = () => Promise.resolve(-28);
  test.match(await messageOf(() => fillVolume(volume, [layer], '/d', scheme)), /cannot write the copy to disk: no space left/);
  test.same(readdirSync(dirname(volume)), ['_data']);
  test.same(readdirSync(volume), []);
});
