// POSIX at the edges of a filesystem: read-only, full, another device, busy, too many links. Each on the reference
// filesystems and on lamina. LAMINA_POSIX=all makes as many links as ext4 lets a file have.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { leaks, privilegedRequired, Rig, unavailable, type Kind } from '../../support/mounts.js';
import { mustCommand } from '../../support/command.js';
import { bind, create, fill, links, mkfifo } from '../../support/ops-posix.js';
import {
  by,
  fails,
  gives,
  link,
  mkdir,
  mknod,
  open,
  pwrite,
  rename,
  rmdir,
  symlink,
  unlink,
  type Op,
} from '../../support/ops.js';
import { Root } from '../../support/roots.js';
import { Worker } from '../../support/worker.js';
import { against } from '../compare.js';
import { ALICE, NOT_DIR, TYPES, is, make } from './behaviour.js';
import { CALLS, scene } from './paths.js';

const KINDS: readonly Kind[] = ['plain', 'overlay', 'lamina'];
const mustMount = (args: readonly string[]): Promise<string> => mustCommand(['mount', ...args]);

/** Rests in / between requests, so that it keeps no mount busy. */
const worker = new Worker();

/** Runs operations and gives what did not end as it must. */
async function wrong(cwd: string, ops: readonly Op[]): Promise<string[]> {
  const outcomes = await worker.run(cwd, ops, 120_000);
  return ops.flatMap((op, i) => {
    const text = against(op, outcomes[i]);
    return text === undefined ? [] : [`${JSON.stringify(op)} ${text}`];
  });
}

/** A directory for each call that takes a path, `cN`, with what the call wants as `o`. */
const scenes: readonly Op[] = CALLS.flatMap((call, i) => [
  mkdir(`c${i}`),
  { op: 'chdir', path: `c${i}` },
  ...scene(call, 'o'),
  { op: 'chdir', path: '..' },
]);
const onReadOnly: readonly Op[] = CALLS.flatMap((call, i) => [
  { op: 'chdir', path: `c${i}` },
  call.reads ? call.on('o') : fails('EROFS', call.on('o')),
  { op: 'chdir', path: '..' },
]);

async function testReadOnly(t: Test): Promise<void> {
  for (const kind of KINDS) {
    const rig = await Rig.build(kind, new Map([['.', { lower: [{}], upper: null }]]));
    t.teardown(() => rig.dispose());
    t.strictSame(await wrong(kind === 'plain' ? rig.point : (rig.dirs.lower[0] ?? ''), scenes), [], 'made');
    await rig.up();
    t.strictSame(await wrong(rig.point, onReadOnly), [], `a union without upper, ${kind}`);
    await rig.dispose();
  }
  for (const tier of ['passthrough', 'relay', 'bind']) {
    const root = new Root();
    t.teardown(() => root.dispose());
    mkdirSync(root.path('vol'));
    t.strictSame(await wrong(root.path('vol'), scenes), [], 'made');
    await root.mount('-v', `${root.path('vol')}:/data:ro`, '--bypass', tier);
    t.strictSame(await wrong(`${root.target}/data`, onReadOnly), [], `a read-only volume, ${tier}`);
    await root.dispose();
  }
}

async function testRemounted(t: Test): Promise<void> {
  for (const kind of ['overlay', 'lamina'] as const) {
    const rig = await Rig.build(kind, new Map([['.', { lower: [{}] }]]));
    t.teardown(() => rig.dispose());
    await rig.up();
    t.strictSame(await wrong(rig.point, scenes), [], 'made');
    await mustMount(['-i', '-o', 'remount,ro', rig.point]);
    t.strictSame(await wrong(rig.point, onReadOnly), [], `${kind} remounted read-only`);
    await mustMount(['-i', '-o', 'remount,rw', rig.point]);
    t.strictSame(await wrong(rig.point, [create('again')]), [], `${kind} remounted writable`);
    await rig.dispose();
  }
}

/** A tmpfs of 64 objects and half a megabyte, holding nothing but what is made here. */
async function small(root: Root): Promise<void> {
  mkdirSync(root.path('small'));
  await mustMount(['-t', 'tmpfs', '-o', 'size=512k,nr_inodes=64', 'small', root.path('small')]);
  for (const name of ['upper', 'work', 'vol']) mkdirSync(root.path('small', name));
}

const makers: readonly ((path: string) => Op)[] = [
  mkdir,
  mkfifo,
  (path) => mknod(path, 'file'),
  (path) => symlink('x', path),
  create,
  bind,
  (path) => link('d/f0', path),
];

/** In a directory that everybody may write: no object more, then room for one, then no byte more. */
const onFull: readonly Op[] = [
  mkdir('d'),
  { op: 'chmod', path: 'd', mode: 0o777 },
  gives('ENOSPC', fill('d/f')),
  ...makers.map((call) => fails('ENOSPC', call('d/n'))),
  ...makers.filter((_, i) => i < 5).map((call) => fails('ENOSPC', by(ALICE, call('d/n')))),
  fails('ENOSPC', open('w', 'd/n', 'CREAT|RDWR')),
  unlink('d/f1'),
  mkdir('d/n'),
  rmdir('d/n'),
  open('w', 'd/f0', 'RDWR'),
  { ...pwrite('w', 0, 'x', 1 << 20), any: true },
  fails('ENOSPC', pwrite('w', 1 << 20, 'x', 1 << 12)),
  { op: 'truncate', path: 'd/f0', size: 0 },
  pwrite('w', 0, 'x', 1 << 12),
];

async function testFull(t: Test): Promise<void> {
  for (const way of ['tmpfs', 'overlay', 'union', 'passthrough', 'relay']) {
    const root = new Root();
    t.teardown(() => root.dispose());
    await small(root);
    const upper = root.path('small/upper');
    const work = root.path('small/work');
    let at = root.path('small/vol');
    if (way === 'overlay') {
      await mustMount([
        '-t',
        'overlay',
        'overlay',
        '-o',
        `lowerdir=${root.path('lower')},upperdir=${upper},workdir=${work}`,
        root.target,
      ]);
      at = root.target;
    } else if (way === 'union') {
      const done = await root.lamina('mount', '--lower', root.path('lower'), '--upper', upper, '--work', work, root.target);
      t.equal(done.code, 0, done.stderr);
      at = root.target;
    } else if (way !== 'tmpfs') {
      await root.mount('-v', `${at}:/data`, '--bypass', way);
      at = `${root.target}/data`;
    }
    t.strictSame(await wrong(at, onFull), [], `a full filesystem, ${way}`);
    await root.dispose();
  }
}

const outside = (there: string): readonly Op[] => [
  ...TYPES.flatMap((type) => [...make(type, type), fails('EXDEV', rename(type, join(there, 'n'))), is(type, 'type', type)]),
  ...NOT_DIR.map((type) => fails('EXDEV', link(type, join(there, 'n')))),
  fails('EXDEV', rename(join(there, 'here'), 'n')),
  fails('EXDEV', link(join(there, 'here'), 'n')),
];

const busy: readonly Op[] = [
  fails('EBUSY', rmdir('point')),
  fails('EBUSY', rename('point', 'elsewhere')),
  mkdir('other'),
  fails('EBUSY', rename('other', 'point')),
  fails('EISDIR', unlink('point')),
];

async function testDevices(t: Test): Promise<void> {
  for (const kind of KINDS) {
    const rig = await Rig.build(kind, new Map([['.', { lower: [{}] }]]));
    t.teardown(() => rig.dispose());
    await rig.up();
    const there = join(rig.root, 'there');
    mkdirSync(there);
    await mustMount(['-t', 'tmpfs', 'there', there]);
    t.strictSame(await wrong(there, [create('here')]), [], 'made');
    t.strictSame(await wrong(rig.point, outside(there)), [], `to and from another filesystem, ${kind}`);
    t.strictSame(await wrong(rig.point, [mkdir('point')]), [], 'made');
    await mustMount(['--bind', there, join(rig.point, 'point')]);
    t.strictSame(await wrong(rig.point, busy), [], `a mountpoint, ${kind}`);
    await mustCommand(['umount', join(rig.point, 'point'), there]);
    await rig.dispose();
  }
}

async function testLinks(t: Test): Promise<void> {
  const most = process.env['LAMINA_POSIX'] === 'all' ? 65_001 : 300;
  const end = most > 65_000 ? [65_000, 'EMLINK'] : [most, 'none'];
  for (const kind of KINDS) {
    const rig = await Rig.build(kind, new Map([['.', { lower: [{}] }]]));
    t.teardown(() => rig.dispose());
    await rig.up();
    const ops = [
      mkdir('d'),
      create('f'),
      gives(end, links('f', 'd/l', most)),
      is('f', 'nlink', String(end[0])),
      unlink('d/l1'),
      link('f', 'd/again'),
    ];
    t.strictSame(await wrong(rig.point, ops), [], `a file of ${end[0]} names, ${kind}`);
    await rig.dispose();
  }
}

void t.test('POSIX at the edges', { timeout: 300_000 }, async (t) => {
  const missing = (await unavailable('lamina')) ?? (await unavailable('overlay'));
  if (missing !== undefined && !privilegedRequired) {
    await worker.end();
    return t.plan(0, missing);
  }
  await t.test('every call that changes something is EROFS where all is read-only', testReadOnly);
  await t.test('a mount can be made read-only and writable again', testRemounted);
  await t.test('without room every call that makes something is ENOSPC, and works once there is some', testFull);
  await t.test('another filesystem is EXDEV and a mountpoint EBUSY', testDevices);
  await t.test('a file has as many names as the filesystem allows', testLinks);
  await worker.end();
  t.strictSame(leaks(), [], 'no mount and no directory is left');
  return undefined;
});
