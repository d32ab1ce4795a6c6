// Fills that are killed, fail or meet each other: a volume is empty or full, and what a kill left is settled by its next use.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { finishPopulate, populate } from '../../src/volume/populate.js';
import { dumpTree } from '../image/tree-dump.js';
import { command, mustCommand, waitFor } from '../support/command.js';
import { messageOf, VolumeRig } from './rig.js';

const CONTENT = `mkdir -m 2750 data; cd data; for i in 1 2 3; do mkdir -p d$i/sub; echo $i > d$i/sub/f; echo $i > f$i; done
  ln f1 d1/linked; ln -s f1 link; mkfifo fifo; touch -d @1000000000.5 f2; chmod 555 d2; touch -d @1000000001.25 .`;

function rigFor(test: { teardown(end: () => Promise<void>): unknown }): VolumeRig {
  const rig = new VolumeRig();
  test.teardown(() => rig.dispose());
  return rig;
}

/** A stop dead before call number `count` of a system call, in a process of its own that fills `path`. */
interface Stop {
  readonly call: 'copyData' | 'mkdirat' | 'utimensat' | 'syncfs' | 'renameat2' | 'unlinkat' | 'none';
  readonly count: number;
}

function filler(
  path: string,
  layer: string,
  { call, count }: Stop,
  within = '',
): { pid: number; paused: Promise<boolean>; kill: () => Promise<unknown> } {
  const at = (name: string): string => JSON.stringify(join(__dirname, '../../src', name));
  const script = `const { sys } = require(${at('native/load.js')}); const fs = require('node:fs'); let left = ${count};
    const stop = () => { fs.writeSync(1, 'paused'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); };
    const call = sys[${JSON.stringify(call)}];
    if (call) sys[${JSON.stringify(call)}] = (...args) => { if (left-- === 0) stop(); return call(...args); };
    require(${at('volume/populate.js')}).populate(process.argv[1], [process.argv[2]], '/data', 'trusted', process.argv[3]); stop();`;
  const child = spawn(process.execPath, ['-e', script, path, layer, within], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const kill = (): Promise<unknown> => {
    child.kill('SIGKILL');
    return exit;
  };
  return {
    pid: child.pid ?? -1,
    paused: Promise.race([once(child.stdout, 'data').then(() => true), exit.then(() => false)]),
    kill,
  };
}

const stops: readonly (readonly [call: Stop['call'], counts: readonly number[], state: 'empty' | 'full'])[] = [
  ['mkdirat', [0, 1, 4], 'empty'],
  ['copyData', [0, 2, 5], 'empty'],
  ['utimensat', [0, 7], 'empty'],
  ['syncfs', [0], 'empty'],
  // The first rename publishes the copy, the others move its children in.
  ['renameat2', [0], 'empty'],
  ['renameat2', [1, 2, 5, 8], 'full'],
  ['unlinkat', [0, 1], 'full'],
  ['none', [0], 'full'],
];

for (const [call, counts, state] of stops) {
  void t.test(`killed before ${call} ${counts.join(', ')}: ${state} at the next use`, async (test) => {
    const rig = rigFor(test);
    const layer = rig.layer('layer', CONTENT);
    const expected = dumpTree(join(layer, 'data'));
    for (const count of counts) {
      const path = rig.volume(`vol${count}`);
      const child = filler(path, layer, { call, count });
      test.teardown(child.kill);
      test.ok(await child.paused, `${count}: it got there`);
      await child.kill();
      if (state === 'empty') test.same(readdirSync(path), [], `${count}: nothing is in it before that`);
      finishPopulate(path);
      test.same(readdirSync(join(path, '..')), ['_data'], `${count}: nothing lies beside it`);
      if (state === 'empty') test.same(readdirSync(path), [], `${count}: nothing is in it`);
      else test.same(dumpTree(path), expected, `${count}: all of it is there`);
      test.equal(populate(path, [layer], '/data', 'trusted'), state === 'empty' ? 'filled' : 'not empty');
      test.same(dumpTree(path), expected, `${count}: filled in the end`);
    }
  });
}

const within = 'deep/in';

for (const [call, counts, state] of stops) {
  void t.test(`a directory in a volume, killed before ${call} ${counts.join(', ')}: ${state} at the next use`, async (test) => {
    const rig = rigFor(test);
    const layer = rig.layer('layer', CONTENT);
    const expected = dumpTree(join(layer, 'data'));
    for (const count of counts) {
      const path = rig.volume(`vol${count}`);
      const place = join(path, within);
      mkdirSync(place, { recursive: true });
      writeFileSync(join(path, 'mine'), '');
      const child = filler(path, layer, { call, count }, within);
      test.teardown(child.kill);
      test.ok(await child.paused, `${count}: it got there`);
      await child.kill();
      finishPopulate(path);
      test.same(readdirSync(join(path, '..')), ['_data'], `${count}: nothing lies beside it`);
      test.same(readdirSync(path), ['deep', 'mine'], `${count}: the rest is as it was`);
      if (state === 'empty') test.same(readdirSync(place), [], `${count}: nothing is in it`);
      else test.same(dumpTree(place), expected, `${count}: all of it is there`);
      test.equal(populate(path, [layer], '/data', 'trusted', within), state === 'empty' ? 'filled' : 'not empty');
      test.same(dumpTree(place), expected, `${count}: filled in the end`);
    }
  });
}

for (const [what, become] of [
  ['gone', 'rmdir deep/in'],
  ['a file', 'rmdir deep/in; touch deep/in'],
  ['a symlink out of it', 'rmdir deep/in; ln -s ../../.. deep/in'],
] as const) {
  void t.test(`what was to be filled is ${what} after a kill: the copy is dropped`, async (test) => {
    const rig = rigFor(test);
    const layer = rig.layer('layer', CONTENT);
    const path = rig.volume();
    mkdirSync(join(path, within), { recursive: true });
    const child = filler(path, layer, { call: 'renameat2', count: 1 }, within);
    test.teardown(child.kill);
    test.ok(await child.paused);
    await child.kill();
    await mustCommand(['sh', '-c', become], { cwd: path });
    finishPopulate(path);
    test.same(readdirSync(join(path, '..')), ['_data']);
    test.same(readdirSync(path), ['deep']);
  });
}

void t.test('the directory that others have open is the one that is filled', async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', CONTENT);
  const path = rig.volume();
  const before = statSync(path).ino;
  test.equal(populate(path, [layer], '/data', 'trusted'), 'filled');
  test.equal(statSync(path).ino, before);
});

void t.test('what is made while a complete copy is moved in stays', async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', CONTENT);
  const path = rig.volume();
  const child = filler(path, layer, { call: 'renameat2', count: 1 });
  test.teardown(child.kill);
  test.ok(await child.paused);
  await child.kill();
  writeFileSync(join(path, 'f1'), 'mine');
  finishPopulate(path);
  test.equal(statSync(join(path, 'f1')).size, 4);
  test.equal(readdirSync(path).length, readdirSync(join(layer, 'data')).length);
});

void t.test('what is made while the copy is built keeps the copy out', async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', CONTENT);
  const path = rig.volume();
  const child = filler(path, layer, { call: 'renameat2', count: 0 });
  test.teardown(child.kill);
  test.ok(await child.paused);
  writeFileSync(join(path, 'mine'), '');
  const waiting = filler(path, layer, { call: 'none', count: 0 });
  test.teardown(waiting.kill);
  await waitFor('a lock that is waited for', () =>
    new RegExp(`-> FLOCK .* ${waiting.pid} `).test(readFileSync('/proc/locks', 'latin1')),
  );
  await child.kill();
  test.ok(await waiting.paused, 'a second filler waits for the lock of the first');
  test.same(readdirSync(path), ['mine']);
  test.same(readdirSync(join(path, '..')), ['_data']);
});

void t.test('fillers at once fill once', async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', CONTENT);
  const path = rig.volume();
  const children = [0, 1, 2].map(() => filler(path, layer, { call: 'none', count: 0 }));
  for (const child of children) test.teardown(child.kill);
  for (const child of children) test.ok(await child.paused);
  test.same(dumpTree(path), dumpTree(join(layer, 'data')));
  test.same(readdirSync(join(path, '..')), ['_data']);
});

const skip = process.geteuid?.() === 0 ? false : 'needs root, to mount a small file system and to become another user';

void t.test('a full disk is named and leaves the volume empty', { skip }, async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', 'mkdir -p data/a; echo x > data/a/small; head -c 3000000 /dev/urandom > data/big');
  const small = join(rig.dir, 'small');
  mkdirSync(small);
  await mustCommand(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'lamina-test', small]);
  test.teardown(() => mustCommand(['umount', small]));
  const path = join(small, 'vol', '_data');
  mkdirSync(path, { recursive: true });
  const message = await messageOf(() => populate(path, [layer], '/data', 'trusted'));
  test.equal(
    message,
    'VolumeError: volume vol: cannot copy /big from the image: no space left on device: free some space and try again; the volume is still empty',
  );
  test.same(readdirSync(join(small, 'vol')), ['_data']);
  test.same(readdirSync(path), []);
});

void t.test('a file that cannot be read is named and leaves the volume empty', { skip }, async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', CONTENT);
  const path = rig.volume();
  const script = `process.setegid(65534); process.seteuid(65534);
    try { require(process.argv[1]).populate(process.argv[2], [process.argv[3]], '/data', 'user'); } catch (error) { console.log(error.message); }`;
  await mustCommand(['chown', '-R', '65534:65534', join(rig.dir, 'vol'), join(layer, 'data')]);
  await mustCommand(['chmod', '711', rig.dir]);
  await mustCommand(['chown', '0:0', join(layer, 'data', 'f3')]);
  await mustCommand(['chmod', '600', join(layer, 'data', 'f3')]);
  const ran = await command([process.execPath, '-e', script, join(__dirname, '../../src/volume/populate.js'), path, layer]);
  test.match(ran.stdout, /^volume vol: cannot copy \/f3 from the image: permission denied: /, ran.stderr);
  test.same(readdirSync(path), []);
  test.same(readdirSync(join(path, '..')), ['_data']);
});

void t.test('without privilege a read-only directory is filled, and moved in', { skip }, async (test) => {
  const rig = rigFor(test);
  const layer = rig.layer('layer', `${CONTENT}; chmod 555 .`);
  const path = rig.volume();
  await mustCommand(['chown', '-R', '65534:65534', join(rig.dir, 'vol'), join(layer, 'data')]);
  await mustCommand(['chmod', '711', rig.dir]);
  const script = `process.setegid(65534); process.seteuid(65534); console.log(require(process.argv[1]).populate(process.argv[2], [process.argv[3]], '/data', 'user'));`;
  const ran = await command([process.execPath, '-e', script, join(__dirname, '../../src/volume/populate.js'), path, layer]);
  test.equal(ran.stdout, 'filled\n', ran.stderr);
  test.same(dumpTree(path), dumpTree(join(layer, 'data')));
  test.notOk(existsSync(join(path, '..', '.filled')));
});
