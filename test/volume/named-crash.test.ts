// Volumes whose making or removing is killed: the name can be used again, and removed data never comes back.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listVolumes, openVolume, removeVolume } from '../../src/volume/named.js';
import { VolumeRig } from './rig.js';

type Call = 'mkdirSync' | 'chmodSync' | 'renameSync' | '_batch' | 'unlinkSync' | 'rmdirSync';

interface Child {
  readonly paused: Promise<boolean>;
  readonly kill: () => Promise<unknown>;
}

/** Opens or removes the volume `data` in a process that stops dead before call number `count` of `call`. */
function worker(root: string, what: 'openVolume' | 'removeVolume', call: Call, count: number): Child {
  const at = (name: string): string => JSON.stringify(join(__dirname, '../../src', name));
  const script = `const fs = require('node:fs'); const { ClassicLevel } = require('classic-level');
    const store = require(${at('store/index.js')}); const named = require(${at('volume/named.js')});
    const opened = store.openStore(process.argv[1]); let left = ${count};
    for (const object of [fs, ClassicLevel.prototype]) {
      const call = object.${call};
      if (call) object.${call} = function (...args) {
        if (left-- === 0) { fs.writeSync(1, 'paused'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }
        return call.apply(this, args);
      };
    }
    named.${what}(process.argv[1], store.volumeRecords(opened), 'data');`;
  const child = spawn(process.execPath, ['-e', script, root], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const kill = (): Promise<unknown> => {
    child.kill('SIGKILL');
    return exit;
  };
  return { paused: Promise.race([once(child.stdout, 'data').then(() => true), exit.then(() => false)]), kill };
}

function rigFor(test: { teardown(end: () => Promise<void>): unknown }): VolumeRig {
  const rig = new VolumeRig();
  test.teardown(() => rig.dispose());
  return rig;
}

function leftovers(rig: VolumeRig): string[] {
  return ['.new', '.removed', '.trash'].flatMap((place) => readdirSync(join(rig.root, 'volumes', place)));
}

const makings: readonly (readonly [call: Call, counts: readonly number[]])[] = [
  ['mkdirSync', [0, 1, 2, 3, 4]],
  ['chmodSync', [0, 1]],
  ['_batch', [0]],
];
for (const [call, counts] of makings) {
  void t.test(`killed before ${call} ${counts.join(', ')} of making: made by the next use`, async (test) => {
    for (const count of counts) {
      const rig = rigFor(test);
      const child = worker(rig.root, 'openVolume', call, count);
      test.teardown(child.kill);
      test.ok(await child.paused, `${count}: it got there`);
      await child.kill();
      test.same(await listVolumes(rig.root, rig.records), [], `${count}: there is none yet`);
      const volume = await openVolume(rig.root, rig.records, 'data');
      test.same(readdirSync(volume.path), []);
      test.same(leftovers(rig), [], `${count}: nothing is left over`);
    }
  });
}

void t.test('killed between the record and the rename that follows it: made to the end by whoever looks next', async (test) => {
  const rig = rigFor(test);
  const child = worker(rig.root, 'openVolume', 'renameSync', 0);
  test.teardown(child.kill);
  test.ok(await child.paused, 'it got there');
  await child.kill();
  const [volume] = await listVolumes(rig.root, rig.records);
  test.same(readdirSync(volume?.path ?? ''), []);
  test.same(leftovers(rig), []);
});

const removals: readonly (readonly [call: Call, count: number, state: 'kept' | 'gone'])[] = [
  ['renameSync', 0, 'kept'],
  ['_batch', 0, 'gone'],
  ['renameSync', 1, 'gone'],
  ['unlinkSync', 0, 'gone'],
  ['unlinkSync', 1, 'gone'],
  ['rmdirSync', 0, 'gone'],
];
for (const [call, count, state] of removals) {
  void t.test(`killed before ${call} ${count} of removing: ${state}`, async (test) => {
    const rig = rigFor(test);
    const made = await openVolume(rig.root, rig.records, 'data');
    for (const name of ['one', 'two']) writeFileSync(join(made.path, name), 'x');
    const child = worker(rig.root, 'removeVolume', call, count);
    test.teardown(child.kill);
    test.ok(await child.paused, 'it got there');
    await child.kill();
    const listed = await listVolumes(rig.root, rig.records);
    test.same(
      listed.map((each) => each.name),
      state === 'kept' ? ['data'] : [],
    );
    test.same(leftovers(rig), []);
    const volume = await openVolume(rig.root, rig.records, 'data');
    test.same(readdirSync(volume.path), state === 'kept' ? ['one', 'two'] : []);
  });
}

void t.test('a volume that is being filled is not removed', async (test) => {
  const rig = rigFor(test);
  const { path } = await openVolume(rig.root, rig.records, 'data');
  const holder = spawn('flock', [join(path, '..'), '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = once(holder, 'exit');
  test.teardown(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  await test.rejects(removeVolume(rig.root, rig.records, 'data'), {
    name: 'VolumeError',
    message: /^remove data: volume is in use/,
  });
  holder.stdin.end();
  await exit;
  await removeVolume(rig.root, rig.records, 'data');
  test.same(await rig.records.list(), []);
});
