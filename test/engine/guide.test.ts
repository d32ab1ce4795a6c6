// The guide's commands as typed (guide-checklist rows G1 to G40), with `lamina` and with a real `docker` client at our socket.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { EngineRig, clients } from '../support/engine-rig.js';
import { command, waitFor } from '../support/command.js';

interface Mount {
  readonly Type: string;
  readonly Name?: string;
  readonly Source: string;
  readonly Destination: string;
  readonly RW: boolean;
}

for (const client of clients) {
  void t.test(`the guide, typed with ${client}`, { timeout: 180_000 }, async (t) => {
    const rig = new EngineRig();
    t.teardown(() => rig.end());
    await rig.start();
    await rig.loadImages();
    const must = (...args: string[]): Promise<string> => rig.must(client, ...args);
    const run = (...args: string[]): ReturnType<EngineRig['run']> => rig.run(client, ...args);
    const mountsOf = async (name: string): Promise<Mount[]> =>
      JSON.parse(await must('inspect', '--format', '{{json .Mounts}}', name)) as Mount[];
    const sourceOf = async (name: string): Promise<string> => (await mountsOf(name))[0]?.Source ?? '';
    const upperOf = async (name: string): Promise<string> => must('inspect', '--format', '{{.GraphDriver.Data.UpperDir}}', name);

    await t.test('G1, G2: data volumes', async (t) => {
      await must(
        'run',
        '-d',
        '-P',
        '--name',
        'web',
        '-v',
        '/webapp',
        '-v',
        '/other',
        'busybox',
        'sh',
        '-c',
        'echo in > /webapp/f; sleep 1000',
      );
      const mounts = await mountsOf('web');
      t.equal(mounts.length, 2);
      t.not(mounts[0]?.Source, mounts[1]?.Source);
      const [webapp] = mounts.filter(({ Destination }) => Destination === '/webapp');
      await must('exec', 'web', 'cat', '/webapp/f');
      t.equal(readFileSync(`${webapp?.Source ?? ''}/f`, 'utf8'), 'in\n');
      t.notOk(existsSync(`${await upperOf('web')}/webapp/f`), 'not in the writable layer');
    });

    await t.test('G3, G4, G38: what the image has is in the fresh volume; a VOLUME gives one to each container', async (t) => {
      await must(
        'run',
        '--name',
        'base',
        'busybox',
        'sh',
        '-c',
        'mkdir /data && echo kept > /data/f && chown 1001:1002 /data/f && chmod 4640 /data/f',
      );
      await must('commit', '--change', 'VOLUME /data', 'base', 'withdata');
      t.equal(await must('run', '--name', 'one', 'withdata', 'stat', '-c', '%u:%g %a', '/data/f'), '1001:1002 4640');
      await must('run', '--name', 'two', 'withdata', 'sh', '-c', 'echo changed > /data/f');
      t.equal(readFileSync(`${await sourceOf('one')}/f`, 'utf8'), 'kept\n');
      t.equal(readFileSync(`${await sourceOf('two')}/f`, 'utf8'), 'changed\n');
      await must('rm', '-v', 'base', 'one', 'two');
    });

    await t.test('G5, G6, G10, G11, G13: host directories and files', async (t) => {
      const src = rig.path('src', 'webapp');
      const image = await must('run', '-d', '--name', 'hostdir', '-v', `${src}:/opt/webapp`, 'busybox', 'sleep', '1000');
      t.ok(image);
      t.ok(existsSync(src), 'a missing host directory is made');
      writeFileSync(`${src}/host`, 'from host');
      t.equal(await must('exec', 'hostdir', 'cat', '/opt/webapp/host'), 'from host');
      await must('exec', 'hostdir', 'sh', '-c', 'echo from container > /opt/webapp/container');
      t.equal(readFileSync(`${src}/container`, 'utf8'), 'from container\n');
      const refused = await run('run', '--rm', '-v', `${src}:/opt/webapp:ro`, 'busybox', 'touch', '/opt/webapp/no');
      t.match(refused, { code: 1, stderr: /Read-only file system/ });
      t.notOk(existsSync(`${src}/no`));
      t.equal(await must('run', '--rm', '-v', `${src}/host:/etc/app.conf`, 'busybox', 'cat', '/etc/app.conf'), 'from host');
      t.match(await must('run', '--rm', '-v', '/:/host:ro', 'busybox', 'ls', '/host'), /etc/);
      await must('rm', '-f', 'hostdir');
    });

    await t.test('G7, G8, G9: what is no volume is refused, and nothing is made', async (t) => {
      const before = await must('ps', '-aq');
      t.match(await run('run', '--rm', '-v', 'src/webapp:/opt/webapp', 'busybox', 'true'), {
        code: 125,
        stderr: /"src\/webapp" includes invalid characters for a local volume name/,
      });
      t.match(await run('run', '--rm', '-v', '/src:rel', 'busybox', 'true'), {
        code: 125,
        stderr: /mount path must be absolute/,
      });
      t.match(await run('run', '--rm', '-v', '/x:/', 'busybox', 'true'), { code: 125, stderr: /destination can't be '\/'/ });
      t.equal(await must('ps', '-aq'), before);
    });

    await t.test('G12: ro holds for what is mounted below the source', async (t) => {
      const top = rig.path('submount');
      mkdirSync(`${top}/inner`, { recursive: true });
      await command(['mount', '-t', 'tmpfs', 'tmpfs', `${top}/inner`]);
      try {
        t.match(await run('run', '--rm', '-v', `${top}:/v:ro`, 'busybox', 'touch', '/v/inner/f'), {
          code: 1,
          stderr: /Read-only file system/,
        });
      } finally {
        await command(['umount', `${top}/inner`]);
      }
    });

    await t.test('G14 to G20: data volume containers, shared and chained', async (t) => {
      await must('run', '-d', '-v', '/dbdata', '--name', 'dbdata', 'busybox', 'true');
      await must('run', '-d', '--volumes-from', 'dbdata', '--name', 'db1', 'busybox', 'sleep', '1000');
      await must('run', '-d', '--volumes-from', 'dbdata', '--name', 'db2', 'busybox', 'sleep', '1000');
      await must('run', '-d', '--name', 'db3', '--volumes-from', 'db1', 'busybox', 'sleep', '1000');
      await must('exec', 'db1', 'sh', '-c', 'echo shared > /dbdata/f');
      for (const name of ['db2', 'db3']) t.equal(await must('exec', name, 'cat', '/dbdata/f'), 'shared', name);
      t.equal(await must('exec', 'db1', 'stat', '-c', '%i', '/dbdata'), await must('exec', 'db3', 'stat', '-c', '%i', '/dbdata'));
      t.match(await run('run', '--rm', '--volumes-from', 'dbdata:ro', 'busybox', 'touch', '/dbdata/x'), {
        code: 1,
        stderr: /Read-only/,
      });
      await must('create', '--name', 'ro', '--volumes-from', 'dbdata:ro', 'busybox', 'true');
      t.match(
        await run('run', '--rm', '--volumes-from', 'ro:rw', 'busybox', 'touch', '/dbdata/x'),
        { code: 1, stderr: /Read-only/ },
        ':rw widens nothing',
      );
      await must('create', '--name', 'other', '-v', '/dbdata', '-v', '/elsewhere', 'busybox', 'true');
      t.equal(
        await must('run', '--rm', '--volumes-from', 'dbdata', '--volumes-from', 'other', 'busybox', 'ls', '/dbdata'),
        '',
        'the last one wins',
      );
      t.match(await run('run', '--rm', '--volumes-from', 'nosuch', 'busybox', 'true'), {
        code: 125,
        stderr: /No such container: nosuch/,
      });
      mkdirSync(rig.path('bind'));
      writeFileSync(rig.path('bind', 'mine'), '');
      t.equal(
        await must('run', '--rm', '--volumes-from', 'dbdata', '-v', `${rig.path('bind')}:/dbdata`, 'busybox', 'ls', '/dbdata'),
        'mine',
        'a bind beats volumes-from',
      );
      await must('rm', '-v', 'ro', 'other');
    });

    await t.test('G21: of a volume taken over only its own files are seen, though the image has some there', async (t) => {
      await must('create', '--name', 'empty', '-v', '/data', 'busybox', 'true');
      t.equal(await must('run', '--rm', 'withdata', 'ls', '/data'), 'f', 'the image has a file');
      t.equal(await must('run', '--rm', '--volumes-from', 'empty', 'withdata', 'ls', '/data'), '', 'it is not copied');
      await must('run', '--rm', '--volumes-from', 'empty', 'withdata', 'touch', '/data/own');
      t.equal(await must('run', '--rm', '--volumes-from', 'empty', 'withdata', 'ls', '/data'), 'own');
      await must('rm', '-v', 'empty');
    });

    await t.test('G24 to G27: volumes outlive their containers until nothing refers to them', async (t) => {
      const source = await sourceOf('dbdata');
      await must('rm', 'dbdata');
      t.equal(await must('exec', 'db1', 'cat', '/dbdata/f'), 'shared');
      await must('rm', '-f', '-v', 'db1', 'db2');
      t.equal(await must('exec', 'db3', 'cat', '/dbdata/f'), 'shared');
      t.match(await run('volume', 'rm', source.split('/').at(-2) ?? ''), {
        code: 1,
        stderr: /volume is in use - \[[0-9a-f]{64}\]/,
      });
      await must('rm', '-f', '-v', 'db3');
      t.notOk(existsSync(source), 'rm -v of the last one takes it');
      await must('run', '--name', 'keeper', '-v', '/kept', 'busybox', 'touch', '/kept/f');
      const kept = await sourceOf('keeper');
      await must('rm', 'keeper');
      t.ok(existsSync(`${kept}/f`), 'rm without -v leaves it dangling');
      t.match(await must('volume', 'ls', '-qf', 'dangling=true'), kept.split('/').at(-2) ?? '?');
    });

    await t.test('G28 to G31: backup and restore', async (t) => {
      const make =
        'cd /dbdata; echo one > a; ln a b; ln -s a l; mkfifo p; dd if=/dev/zero of=s bs=1 count=1 seek=1M; chown 1001:1001 a; chmod 4755 a; touch -d 2001-02-03 a';
      await must('run', '--name', 'dbdata', '-v', '/dbdata', 'busybox', 'sh', '-c', make);
      const backup = await rig.sh(
        `${client} run --rm --volumes-from dbdata -v $(pwd):/backup ubuntu tar cvf /backup/backup.tar /dbdata`,
      );
      t.equal(backup.code, 0, backup.stderr);
      t.match(backup.stdout + backup.stderr, /removing leading '\/'/i);
      t.match((await command(['tar', 'tf', rig.path('backup.tar')])).stdout, /^dbdata\/a$/m);
      await must('run', '-v', '/dbdata', '--name', 'dbdata2', 'ubuntu', 'true');
      const restore = await rig.sh(
        `${client} run --rm --volumes-from dbdata2 -v $(pwd):/backup busybox tar xvf /backup/backup.tar`,
      );
      t.equal(restore.code, 0, restore.stderr);
      const look = 'cd /dbdata && stat -c "%n %F %a %u:%g %h %s %Y" a b l p s && readlink l && cat a';
      const [before, after] = await Promise.all(
        ['dbdata', 'dbdata2'].map((name) => must('run', '--rm', '--volumes-from', name, 'busybox', 'sh', '-c', look)),
      );
      const withoutLinkTime = (text = ''): string => text.replace(/^(l|p) .*$/gm, '$1');
      t.equal(withoutLinkTime(after), withoutLinkTime(before));
      await must('rm', '-v', 'dbdata', 'dbdata2');
    });

    await t.test('G32 to G36: an image is updated without its volumes', async (t) => {
      await must('exec', 'web', 'sh', '-c', 'echo t > /tmp/t; echo more > /webapp/more');
      t.same((await must('diff', 'web')).split('\n').sort(), ['A /other', 'A /tmp/t', 'A /webapp', 'C /tmp']);
      await must('commit', 'web', 'new');
      t.equal(await must('run', '--rm', 'new', 'sh', '-c', 'cat /tmp/t; ls /webapp'), 't');
      t.match(await must('inspect', '--format', '{{json .Config.Volumes}}', 'new'), /"\/webapp"/);
      const copied = await rig.sh(`${client} cp web:/webapp/more - | tar xO`);
      t.equal(copied.stdout, 'more\n', 'cp sees the volume');
      const exported = (await rig.sh(`${client} export web | tar t`)).stdout.split('\n');
      t.ok(exported.includes('tmp/t'));
      t.notOk(exported.includes('webapp/more'), 'export does not');
    });

    await t.test('G37: the same volumes after stop, start and restart', async (t) => {
      const source = await sourceOf('web');
      await must('stop', '-t', '0', 'web');
      await must('start', 'web');
      await must('restart', '-t', '0', 'web');
      t.equal(await sourceOf('web'), source);
      t.equal(await must('exec', 'web', 'cat', '/webapp/more'), 'more');
    });

    await t.test('G39, G40: --rm takes anonymous volumes; --read-only leaves volumes writable', async (t) => {
      const before = (await must('volume', 'ls', '-q')).split('\n');
      await must('run', '--rm', '-v', '/a', '-v', 'named:/b', 'busybox', 'sh', '-c', 'touch /a/f /b/f');
      const made = (await must('volume', 'ls', '-q')).split('\n').filter((name) => !before.includes(name));
      t.same(made, ['named']);
      await must('run', '-d', '--rm', '--name', 'detached', '-v', '/a', '-v', 'named:/b', 'busybox', 'sleep', '1000');
      t.equal((await must('volume', 'ls', '-q')).split('\n').length, before.length + 2);
      await must('stop', '-t', '0', 'detached');
      await waitFor('the container to go', async () => (await must('ps', '-aqf', 'name=detached')) === '');
      await waitFor('its volume to go', async () => (await must('volume', 'ls', '-q')).split('\n').length === before.length + 1);
      const sealed = await run(
        'run',
        '--rm',
        '--read-only',
        '-v',
        '/icanwrite',
        'busybox',
        'sh',
        '-c',
        'touch /icanwrite/here && echo written; touch /x',
      );
      t.match(sealed, { code: 1, stdout: 'written\n', stderr: /Read-only file system/ });
    });
    t.equal(rig.log().replace(/^.*API listens on.*\n/gm, ''), '', 'the daemon had nothing to complain of');
  });
}
