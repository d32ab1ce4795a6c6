// Named and anonymous volumes: their directories, their records, and what a kill between the two leaves.

import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listVolumes, openVolume, removeVolume } from '../../src/volume/named.js';
import { VolumeRig, messageOf } from './rig.js';

function rigFor(test: { teardown(end: () => Promise<void>): unknown }): VolumeRig {
  const rig = new VolumeRig();
  test.teardown(() => rig.dispose());
  return rig;
}

/** What lies in volumes/, without the places of unfinished work; those must be empty. */
function volumesOf(rig: VolumeRig): string[] {
  const directory = join(rig.root, 'volumes');
  const names = readdirSync(directory).sort();
  for (const name of names.filter((each) => each.startsWith('.'))) {
    const left = readdirSync(join(directory, name));
    if (left.length > 0) names.push(...left.map((each) => `${name}/${each}`));
  }
  return names.filter((name) => !/^\.[a-z]+$/.test(name));
}

void t.test('a named volume is made once and found again', async (test) => {
  const rig = rigFor(test);
  const umask = process.umask(0o077);
  const made = await openVolume(rig.root, rig.records, 'data');
  process.umask(umask);
  test.equal(made.path, join(rig.root, 'volumes', 'data', '_data'));
  test.equal(made.anonymous, false);
  test.equal(statSync(made.path).mode & 0o7777, 0o755);
  test.equal(statSync(join(made.path, '..')).mode & 0o7777, 0o701);
  writeFileSync(join(made.path, 'kept'), 'x');
  test.same(await openVolume(rig.root, rig.records, 'data'), made);
  test.same(readdirSync(made.path), ['kept']);
  test.same(volumesOf(rig), ['data']);
});

void t.test('an anonymous volume is new each time and named by 64 hex digits', async (test) => {
  const rig = rigFor(test);
  const one = await openVolume(rig.root, rig.records, undefined);
  const two = await openVolume(rig.root, rig.records, undefined);
  test.match(one.name, /^[0-9a-f]{64}$/);
  test.not(one.name, two.name);
  test.equal(one.anonymous, true);
  test.equal(one.labels['com.docker.volume.anonymous'], '');
  test.equal((await listVolumes(rig.root, rig.records)).length, 2);
});

void t.test('many callers at once get one volume', async (test) => {
  const rig = rigFor(test);
  const all = await Promise.all(Array.from({ length: 10 }, () => openVolume(rig.root, rig.records, 'data')));
  test.equal(new Set(all.map((each) => `${each.path} ${each.created}`)).size, 1);
  test.same(volumesOf(rig), ['data']);
});

void t.test('names that are no directory names of ours are refused and make nothing', async (test) => {
  const rig = rigFor(test);
  for (const name of ['', 'x', '..', '../up', 'a/b', '.new', '-v', 'é é', 'n'.repeat(256)]) {
    test.match(
      await messageOf(() => openVolume(rig.root, rig.records, name)),
      /^VolumeSpecError: create /,
      JSON.stringify(name.slice(0, 9)),
    );
    test.match(await messageOf(() => removeVolume(rig.root, rig.records, name)), /^VolumeSpecError: create /);
  }
  test.same(await rig.records.list(), []);
  test.notOk(existsSync(join(rig.root, 'volumes')) && volumesOf(rig).length > 0);
});

void t.test('a directory without a record is taken over, a kill between the two left it', async (test) => {
  const rig = rigFor(test);
  const path = join(rig.root, 'volumes', 'data', '_data');
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'kept'), 'x');
  const found = await openVolume(rig.root, rig.records, 'data');
  test.equal(found.path, path);
  test.same(readdirSync(path), ['kept']);
  test.equal((await rig.records.get('data'))?.path, path);
});

void t.test('what a killed maker or remover left is cleared by the next use', async (test) => {
  const rig = rigFor(test);
  const volumes = join(rig.root, 'volumes');
  const gone = await openVolume(rig.root, rig.records, 'gone');
  mkdirSync(join(volumes, '.new', 'half', '_data'), { recursive: true });
  mkdirSync(join(volumes, '.removed', 'gone', '_data'), { recursive: true });
  rmSync(join(gone.path, '..'), { recursive: true });
  writeFileSync(join(volumes, '.removed', 'gone', '_data', 'file'), 'x');
  test.same(
    (await listVolumes(rig.root, rig.records)).map((each) => each.name),
    [],
  );
  test.same(volumesOf(rig), []);
});

void t.test('removing takes directory and record, deep and sealed ones too', async (test) => {
  const rig = rigFor(test);
  const { path } = await openVolume(rig.root, rig.records, 'data');
  let at = path;
  for (let i = 0; i < 12; i++) mkdirSync((at = join(at, 'd'.repeat(200))), { mode: 0o000 });
  await openVolume(rig.root, rig.records, 'other');
  await removeVolume(rig.root, rig.records, 'data');
  test.same(volumesOf(rig), ['other']);
  test.equal(await rig.records.get('data'), undefined);
  await removeVolume(rig.root, rig.records, 'data');
  test.same(readdirSync((await openVolume(rig.root, rig.records, 'data')).path), []);
});

void t.test('a recorded volume whose directory vanished is named, not replaced', async (test) => {
  const rig = rigFor(test);
  const { path } = await openVolume(rig.root, rig.records, 'data');
  rmSync(join(path, '..'), { recursive: true });
  test.match(
    await messageOf(() => openVolume(rig.root, rig.records, 'data')),
    /^VolumeError: volume data: its directory .* is missing: .*volume rm data/,
  );
  await removeVolume(rig.root, rig.records, 'data');
  test.equal(await rig.records.get('data'), undefined);
});

void t.test('volumes are listed by name', async (test) => {
  const rig = rigFor(test);
  for (const name of ['bb', 'aa', 'cc']) await openVolume(rig.root, rig.records, name);
  test.same(
    (await listVolumes(rig.root, rig.records)).map((each) => each.name),
    ['aa', 'bb', 'cc'],
  );
});
