// Volumes as routes, in every tier: what is written goes to the backing directory and to no layer, ro is refused by
// every write op, boundaries hold, and what the host changes is seen at once.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { mustCommand } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import * as op from '../support/ops.js';
import { checkout, scratchDir } from '../support/paths.js';
import { Root } from '../support/roots.js';

const TIERS = ['bind', 'passthrough', 'relay'] as const;

async function mounted(tier: string, prepare: (root: Root) => string[]): Promise<Root> {
  const root = new Root();
  const volumes = prepare(root).flatMap((spec) => ['-v', spec]);
  await root.mount('--bypass', tier, ...volumes);
  return root;
}

function volume(root: Root, name: string, files: Record<string, string> = {}): string {
  mkdirSync(root.path(name), { recursive: true });
  for (const [file, data] of Object.entries(files)) {
    mkdirSync(join(root.path(name), file, '..'), { recursive: true });
    writeFileSync(join(root.path(name), file), data);
  }
  return root.path(name);
}

async function testTier(t: Test, tier: string): Promise<void> {
  await t.test(`${tier}: attributes that the kernel leaves to the filesystem below are the owner's`, async (t) => {
    const backing = scratchDir();
    for (const name of ['base', 'log', 'f']) writeFileSync(join(backing, name), '');
    const server = spawn('python3', [
      join(checkout, 'test/support/disk.py'),
      ...['base', 'log', 'f'].map((name) => join(backing, name)),
    ]);
    await once(server.stdout, 'data');
    const root = await mounted(tier, () => [`${join(backing, 'f')}:/f`]);
    t.teardown(async () => {
      await root.dispose();
      await mustCommand(['umount', join(backing, 'f')]);
      if (server.exitCode === null) await once(server, 'exit');
      rmSync(backing, { recursive: true });
    });
    const acl = ['system.nfs4_acl', 'anything'] as const;
    const results = await root.results(
      op.setxattr('f', ...acl),
      op.by([1000, 1000], op.setxattr('f', ...acl)),
      op.by([1000, 1000], op.removexattr('f', acl[0])),
      op.removexattr('f', acl[0]),
    );
    // A bind asks the filesystem itself, and this one lets everybody.
    const refused = tier === 'bind' ? null : 'EOPNOTSUPP';
    t.same(results, [null, refused, refused, null]);
  });

  await t.test(`${tier}: a write lands in the backing directory and in no layer`, async (t) => {
    const root = await mounted(tier, (r) => [`${volume(r, 'vol')}:/data`]);
    t.teardown(() => root.dispose());
    const results = await root.results(
      op.put('data/f', 'hello'),
      op.cat('data/f'),
      op.mkdir('data/d'),
      op.rename('data/f', 'data/d/g'),
      op.link('data/d/g', 'data/h'),
      op.nlink('data/h'),
      op.symlink('h', 'data/s'),
      op.readlink('data/s'),
      op.truncate('data/h', 2),
      op.cat('data/s'),
    );
    t.strictSame(results.slice(1, 2).concat(results.slice(5, 6), results.slice(7, 8), results.slice(9)), ['hello', 2, 'h', 'he']);
    t.equal(readFileSync(root.path('vol/d/g'), 'utf8'), 'he', 'on the host');
    t.notOk(existsSync(join(root.upper, 'data', 'd')), 'not in upper');
    await root.umount();
  });

  await t.test(`${tier}: every write op below a ro mountpoint is EROFS and changes nothing`, async (t) => {
    const root = await mounted(tier, (r) => [`${volume(r, 'vol', { f: 'F', 'd/g': 'G' })}:/data:ro`]);
    t.teardown(() => root.dispose());
    const writes = [
      op.open('w', 'data/f', 'WRONLY'),
      op.open('t', 'data/f', 'RDONLY|TRUNC'),
      op.put('data/new', 'x'),
      op.append('data/f', 'x'),
      op.truncate('data/f', 0),
      op.mkdir('data/x'),
      op.mknod('data/x', 'fifo'),
      op.symlink('a', 'data/x'),
      op.link('data/f', 'data/x'),
      op.unlink('data/f'),
      op.rmdir('data/d'),
      op.rename('data/f', 'data/x'),
      op.rename('data/f', 'data/d/x'),
      op.chmod('data/f', 0o600),
      op.chown('data/f', 1, 1),
      op.utimens('data/f', '1', '1'),
      op.setxattr('data/f', 'user.a', 'b'),
      op.removexattr('data/f', 'user.a'),
    ];
    t.strictSame(
      await root.results(...writes),
      writes.map(() => 'EROFS'),
    );
    t.strictSame(await root.results(op.cat('data/f'), op.readdir('data/d')), ['F', [['g', 'file']]], 'reading works');
    await root.umount();
    t.equal(readFileSync(root.path('vol/f'), 'utf8'), 'F');
  });

  await t.test(`${tier}: a mountpoint is busy and a boundary is another device`, async (t) => {
    const root = await mounted(tier, (r) => [`${volume(r, 'vol', { f: 'F', 'd/g': 'G' })}:/data`, `${volume(r, 'two')}:/two`]);
    t.teardown(() => root.dispose());
    const results = await root.results(
      op.rmdir('data'),
      op.rename('data', 'other'),
      op.put('u', 'U'),
      op.rename('u', 'data/u'),
      op.rename('data/f', 'f'),
      op.link('u', 'data/u'),
      op.link('data/f', 'f'),
      op.rename('data/f', 'two/f'),
      op.rename('data/d', 'd'),
      op.mkdir('empty'),
      op.rename('empty', 'two'),
      op.rename('two', 'data', 'EXCHANGE'),
    );
    t.strictSame([results[0], results[1]], ['EBUSY', 'EBUSY']);
    t.strictSame(results.slice(3, 9), ['EXDEV', 'EXDEV', 'EXDEV', 'EXDEV', 'EXDEV', 'EXDEV']);
    t.strictSame(results.slice(10), ['EBUSY', 'EBUSY']);
    await root.umount();
  });

  await t.test(`${tier}: what the host changes is seen at once, in attributes, names and data`, async (t) => {
    const root = await mounted(tier, (r) => [`${volume(r, 'vol', { f: 'one', gone: 'x' })}:/data`]);
    t.teardown(() => root.dispose());
    await root.run(op.cat('data/f'), op.lstat('data/f'), op.readdir('data'), op.lstat('data/gone'), op.exists('data/new'));
    writeFileSync(root.path('vol/f'), 'longer than one');
    writeFileSync(root.path('vol/new'), 'new');
    rmSync(root.path('vol/gone'));
    const results = await root.results(op.cat('data/f'), op.cat('data/new'), op.exists('data/gone'), op.readdir('data'));
    t.strictSame(results, [
      'longer than one',
      'new',
      false,
      [
        ['f', 'file'],
        ['new', 'file'],
      ],
    ]);
    await root.umount();
  });

  await t.test(`${tier}: a file, a nested volume and a missing mountpoint`, async (t) => {
    const root = await mounted(tier, (r) => {
      writeFileSync(r.path('conf'), 'conf');
      return [
        `${volume(r, 'vol')}:/data/deep`,
        `${volume(r, 'in', { f: 'inner' })}:/data/deep/in/ner:ro`,
        `${r.path('conf')}:/etc/app.conf`,
      ];
    });
    t.teardown(() => root.dispose());
    const results = await root.results(
      op.cat('etc/app.conf'),
      op.put('etc/app.conf', 'changed'),
      op.cat('data/deep/in/ner/f'),
      op.put('data/deep/in/ner/f', 'no'),
      op.put('data/deep/in/other', 'yes'),
      op.rename('etc/app.conf', 'etc/x'),
      op.unlink('etc/app.conf'),
    );
    t.strictSame([results[0], results[2], results[3]], ['conf', 'inner', 'EROFS']);
    t.strictSame(results.slice(5), ['EBUSY', 'EBUSY']);
    t.equal(readFileSync(root.path('conf'), 'utf8'), 'changed');
    t.equal(readFileSync(root.path('vol/in/other'), 'utf8'), 'yes', 'the stub of the nested mountpoint is in the outer volume');
    await root.umount();
  });

  await t.test(`${tier}: symlinks in a destination are resolved inside the root`, async (t) => {
    const root = await mounted(tier, (r) => {
      mkdirSync(r.path('lower/real'));
      symlinkSync('/real', r.path('lower/abs'));
      symlinkSync('../../../real', r.path('lower/up'));
      return [`${volume(r, 'vol', { f: 'F' })}:/abs/vol`, `${volume(r, 'two', { g: 'G' })}:/up/two`];
    });
    t.teardown(() => root.dispose());
    t.strictSame(await root.results(op.cat('real/vol/f'), op.cat('real/two/g'), op.readlink('abs')), ['F', 'G', '/real']);
    t.notOk(existsSync('/real'), 'nothing on the host');
    await root.umount();
  });
}

void t.test('routes', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  for (const tier of TIERS) await testTier(t, tier);
  return undefined;
});
