// Volumes beyond the guide: the local driver's options, subpaths, transfer between volumes, and what cannot be done.

import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { command, mountTable, waitFor } from '../support/command.js';
import { EngineRig, clients } from '../support/engine-rig.js';

for (const client of clients) {
  void t.test(`volumes, typed with ${client}`, { timeout: 120_000 }, async (t) => {
    const rig = new EngineRig();
    t.teardown(() => rig.end());
    await rig.start();
    await rig.loadImages();
    const must = (...args: string[]): Promise<string> => rig.must(client, ...args);
    const run = (...args: string[]): ReturnType<EngineRig['run']> => rig.run(client, ...args);
    const pathOf = (name: string): Promise<string> => must('volume', 'inspect', '-f', '{{.Mountpoint}}', name);
    const isMounted = (path: string): boolean => mountTable().some(({ point }) => point === path);

    await t.test('options of the local driver', async (t) => {
      await must('volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m,uid=1000', 'memory');
      const path = await pathOf('memory');
      t.notOk(isMounted(path), 'mounted when it is needed');
      await must('run', '-d', '--name', 'first', '-v', 'memory:/m', 'busybox', 'sleep', '1000');
      await must('run', '-d', '--name', 'second', '-v', 'memory:/m', 'busybox', 'sleep', '1000');
      t.match(await must('exec', 'first', 'sh', '-c', 'stat -c %u /m; df -k /m | tail -n 1'), /^1000\n\S+\s+1024\s/);
      await must('exec', 'first', 'sh', '-c', 'echo shared > /m/f');
      t.equal(await must('exec', 'second', 'cat', '/m/f'), 'shared');
      t.match(await run('exec', 'first', 'dd', 'if=/dev/zero', 'of=/m/big', 'bs=1M', 'count=2'), { stderr: /No space left/ });
      await must('rm', '-f', 'first');
      t.ok(isMounted(path), 'while someone uses it');
      await rig.kill();
      await rig.start();
      t.equal(await must('exec', 'second', 'cat', '/m/f'), 'shared', 'a daemon that was killed knows of it');
      await must('stop', '-t', '0', 'second');
      await waitFor('the volume to be unmounted with the last', () => !isMounted(path));
      await must('start', 'second');
      t.ok(isMounted(path));
      t.match(await run('volume', 'rm', 'memory'), { code: 1, stderr: /volume is in use - \[/ });
      await must('rm', '-f', 'second');
      await must('volume', 'rm', 'memory');
      t.notOk(existsSync(path));
    });

    await t.test('a host directory as a named volume', async (t) => {
      const dir = rig.path('exported');
      mkdirSync(dir);
      writeFileSync(join(dir, 'f'), 'host');
      await must('volume', 'create', '--opt', 'type=none', '--opt', `device=${dir}`, '--opt', 'o=bind', 'host');
      t.equal(await must('run', '--rm', '-v', 'host:/h', 'busybox', 'sh', '-c', 'cat /h/f; echo back > /h/g'), 'host');
      t.equal(readFileSync(join(dir, 'g'), 'utf8'), 'back\n');
      t.same(readdirSync(await pathOf('host')), []);
      await must('run', '--name', 'stopped', '-v', 'host:/h', 'busybox', 'true');
      await must('cp', 'stopped:/h/f', rig.path('copied'));
      t.equal(readFileSync(rig.path('copied'), 'utf8'), 'host', 'cp mounts it too');
      await must('rm', 'stopped');
      await must('volume', 'rm', 'host');
      t.ok(existsSync(join(dir, 'f')), 'what it stood for stays');
    });

    await t.test('options that make no sense', async (t) => {
      const refused: readonly (readonly [options: string[], message: RegExp])[] = [
        [['-o', 'nosuch=1'], /invalid option: "nosuch"/],
        [['-o', 'type=tmpfs'], /missing required option: "device"/],
        [['-o', 'o=bind'], /missing required option: "device"/],
        [['-o', 'device=/x'], /missing required option: "type"/],
        [['-d', 'nosuch'], /plugin "nosuch" not found/],
      ];
      for (const [options, message] of refused) {
        t.match(await run('volume', 'create', ...options, 'bad'), { code: 1, stderr: message });
      }
      t.notMatch(await must('volume', 'ls', '-q'), /bad/);
      await must('volume', 'create', '-o', 'type=none', '-o', `device=${rig.path('missing')}`, '-o', 'o=bind', 'missing');
      const failed = await run('run', '--rm', '-v', 'missing:/m', 'busybox', 'true');
      t.match(failed, { code: 125, stderr: /failed to mount local volume: mount .*missing.*does not exist/ });
      t.equal(await must('ps', '-aq'), '');
      await must('volume', 'rm', 'missing');
    });

    await t.test('subpaths', async (t) => {
      await must(
        'run',
        '--rm',
        '-v',
        'data:/d',
        'busybox',
        'sh',
        '-c',
        'mkdir -p /d/a/b; echo in > /d/a/b/f; ln -s /etc /d/out; ln -s ../.. /d/a/up',
      );
      const mount = (subpath: string): string => `type=volume,src=data,dst=/m,volume-subpath=${subpath}`;
      const through = (subpath: string, ...more: string[]): ReturnType<typeof run> =>
        run('run', '--rm', ...more, '--mount', mount(subpath), 'busybox', 'cat', '/m/f');
      t.match(await through('a/b'), { code: 0, stdout: 'in\n' });
      t.equal(await must('run', '--rm', '--mount', mount('a/b/f'), 'busybox', 'cat', '/m'), 'in', 'a file');
      for (const escape of ['out', 'a/up', 'a/up/..']) {
        const done = await through(escape);
        t.not(done.code, 0, escape);
        t.match(done.stderr, /escapes the base directory|must be a relative path|not within|cannot access path/);
      }
      t.match(await through('nowhere'), { code: 127, stderr: /cannot access path .*nowhere: no such file/ });
      // What the container got stays what it was.
      await must('run', '-d', '--name', 'pinned', '--mount', mount('a/b'), 'busybox', 'sleep', '1000');
      const home = await pathOf('data');
      renameSync(join(home, 'a'), join(home, 'moved'));
      symlinkSync('/etc', join(home, 'a'));
      t.equal(await must('exec', 'pinned', 'cat', '/m/f'), 'in');
      rmSync(join(home, 'a'));
      renameSync(join(home, 'moved'), join(home, 'a'));
      if (client === 'lamina')
        t.match(await through('a/b', '--bypass', 'passthrough'), { code: 0, stdout: 'in\n' }, 'as a route');
      await must('rm', '-f', 'pinned');
      const words = 'mkdir -p /d/one /d/two /d/three/full; ln -s ../two /d/three/link; touch /d/three/full/f';
      await must('run', '--rm', '-v', 'data:/d', 'busybox', 'sh', '-c', words);
      const over = (subpath: string): string => `type=volume,src=data,dst=/bin,volume-subpath=${subpath}`;
      await must('create', '--name', 'left', '--mount', `${over('one')},volume-nocopy`, 'busybox');
      t.same(readdirSync(join(home, 'one')), [], 'nocopy');
      t.match(await must('run', '--rm', '--mount', over('three/link'), 'busybox', 'ls', '/bin'), /^busybox$/m);
      t.ok(readdirSync(join(home, 'two')).includes('busybox'), 'an empty directory is filled from the image');
      for (const other of ['three/full', 'nowhere', 'out']) await run('create', '--mount', over(other), 'busybox');
      t.same(readdirSync(join(home, 'three')).sort(), ['full', 'link']);
      t.same(readdirSync(join(home, 'three/full')), ['f'], 'one that is not is left as it is');
      t.same(readdirSync(join(home, '..')), ['_data']);
      await rig.sh(`${client} ps -aq | xargs ${client} rm -f`);
      t.same(rig.mounts(), []);
    });
  });
}

void t.test('export, import and clone', { timeout: 60_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  const must = (...args: string[]): Promise<string> => rig.must('lamina', ...args);
  const script =
    'cd /d; echo x > f; ln f hard; ln -s f soft; mkdir -m 2750 sub; chown 5:6 sub; truncate -s 10M sparse; mkfifo pipe; touch "a b"';
  await must('run', '--rm', '-v', 'one:/d', 'busybox', 'sh', '-c', script);
  const listing = (name: string): Promise<string> =>
    must(
      'run',
      '--rm',
      '-v',
      `${name}:/d:ro`,
      'busybox',
      'sh',
      '-c',
      'cd /d; find . | sort | while read f; do stat -c "%n %F %a %u:%g %s %h %Y" "$f"; done',
    );
  const wanted = await listing('one');
  t.match(wanted, /sparse/);
  for (const compress of ['none', 'gzip', 'zstd']) {
    const file = rig.path(`${compress}.tar`);
    await must('volume', 'export', '--compress', compress, '-o', file, 'one');
    await must('volume', 'import', `by-${compress}`, file);
    t.equal(await listing(`by-${compress}`), wanted, compress);
  }
  await must('volume', 'clone', 'one', 'two');
  t.equal(await listing('two'), wanted);
  t.match(await rig.run('lamina', 'volume', 'clone', 'one', 'two'), { code: 1, stderr: /exists/ });
  t.match(await rig.run('lamina', 'volume', 'export', 'nope'), { code: 1, stderr: /get nope: no such volume/ });

  // All at once or not at all.
  const archive = readFileSync(rig.path('none.tar'));
  writeFileSync(rig.path('cut.tar'), archive.subarray(0, archive.length - 3000));
  t.equal((await rig.run('lamina', 'volume', 'import', 'two', rig.path('cut.tar'))).code, 1);
  t.equal(await listing('two'), wanted, 'a cut archive changes nothing');
  await command([
    'sh',
    '-c',
    `mkdir ${rig.path('evil')} && cd ${rig.path('evil')} && echo x > p && tar -cPf ${rig.path('evil.tar')} --transform 's,^p$,../../escaped,' p`,
  ]);
  t.match(await rig.run('lamina', 'volume', 'import', 'two', rig.path('evil.tar')), { code: 1, stderr: /escaped/ });
  t.equal(await listing('two'), wanted);
  t.notOk(existsSync(rig.path('data', 'volumes', 'escaped')));
  await must('run', '-d', '--name', 'user', '-v', 'two:/d', 'busybox', 'sleep', '1000');
  t.match(await rig.run('lamina', 'volume', 'import', 'two', rig.path('none.tar')), {
    code: 1,
    stderr: /in use by running containers/,
  });
});
