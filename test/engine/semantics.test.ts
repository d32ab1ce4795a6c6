// What Docker users expect beyond the guide, with both clients: filters, `update`, restart policies over the daemon's end,
// images that share layers, and events. The expected outcomes are those of Docker's own daemon.

import t from 'tap';
import { waitFor } from '../support/command.js';
import { EngineRig, clients } from '../support/engine-rig.js';

const FILTERS: readonly (readonly [filters: string, names: string])[] = [
  ['label=k', 'up'],
  ['label=k=v', 'up'],
  ['label=k=x', ''],
  ['name=^/up$', 'up'],
  ['name=^up$', 'up'],
  ['name=u', 'up'],
  ['exited=3', 'ended'],
  ['status=created status=exited', 'ended made'],
  ['status=running', 'up'],
  ['status=restarting', 'again'],
  ['status=paused', ''],
  ['ancestor=busybox', 'again ended made up'],
  ['ancestor=nosuch', ''],
  ['before=made', 'up'],
  ['since=made', 'again ended'],
  ['volume=named', 'up'],
  ['volume=/vol', 'up'],
  ['publish=80', ''],
  ['publish=1-65535', 'up'],
  ['expose=85-90/tcp', 'up'],
  ['network=none', 'again ended made'],
  ['network=bridge', 'up'],
  ['health=none', 'again ended made up'],
  ['is-task=true', ''],
  ['label=k status=exited', ''],
];

for (const client of clients) {
  void t.test(`as Docker has it, typed with ${client}`, { timeout: 300_000 }, async (t) => {
    const rig = new EngineRig();
    t.teardown(() => rig.end());
    await rig.start();
    await rig.loadImages();
    const must = (...args: string[]): Promise<string> => rig.must(client, ...args);
    const of = (name: string, what: string): Promise<string> => must('inspect', '-f', `{{${what}}}`, name);
    const run = ['run', '-d', '--network', 'none'];

    await t.test('ps --filter', async (t) => {
      const ports = ['-p', '127.0.0.1::80', '--expose', '90'];
      await must(
        'run',
        '-d',
        '--name',
        'up',
        '--label',
        'k=v',
        '-v',
        '/vol',
        '-v',
        'named:/n',
        ...ports,
        'busybox',
        'sleep',
        '100',
      );
      await must('create', '--name', 'made', '--network', 'none', 'busybox', 'true');
      t.equal((await rig.run(client, 'run', '--name', 'ended', '--network', 'none', 'busybox', 'sh', '-c', 'exit 3')).code, 3);
      await must(...run, '--name', 'again', '--restart', 'always', 'busybox', 'false');
      // Each pause is twice the last.
      await waitFor('a long pause', async () => Number(await of('again', '.RestartCount')) >= 3);
      // The filters are the engine's: one client in full, of the other that it passes them on.
      for (const [filters, names] of FILTERS.filter((_, i) => client === 'docker' || i % 3 === 0)) {
        const flags = filters.split(' ').flatMap((filter) => ['-f', filter]);
        let found = '';
        // `again` runs for a moment now and then.
        await waitFor(filters, async () => {
          found = (await must('ps', '-a', '--format', '{{.Names}}', ...flags)).split('\n').sort().join(' ');
          return found === names || !/again/.test(found + names);
        }).catch(() => undefined);
        t.equal(found, names, filters);
      }
      t.equal((await must('ps', '--format', '{{.Names}}')).split('\n').sort().join(' '), 'again up', 'without -a');
      t.notMatch(await must('container', 'prune', '-f'), new RegExp(await of('again', '.Id')));
      for (const wrong of ['bogus=1', 'status=bogus', 'health=x', 'exited=x', 'since=nosuch']) {
        t.match(await rig.run(client, 'ps', '-f', wrong), { code: 1, stderr: /^Error response from daemon: / }, wrong);
      }
      await must('rm', '-f', '-v', 'up', 'again');
    });

    await t.test('update changes what it names and nothing else', async (t) => {
      await must(...run, '--name', 'limited', '-m', '64m', '--restart', 'on-failure:3', 'busybox', 'sleep', '100');
      const all = '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy.Name}}';
      await must('update', '--cpus', '0.5', 'limited');
      t.equal(await must('inspect', '-f', all, 'limited'), '67108864 134217728 500000000 on-failure');
      const refused: readonly (readonly [flags: string[], stderr: RegExp])[] = [
        [['--memory', '256m'], /Memory limit should be smaller than already set memoryswap limit/],
        [['--memory', '1'], /Minimum memory limit allowed is 6MB/],
        [['--restart', 'bogus'], /invalid restart policy/],
        [[], /you must provide one or more flags/],
      ];
      for (const [flags, stderr] of refused) t.match(await rig.run(client, 'update', ...flags, 'limited'), { code: 1, stderr });
      await must('update', '--memory', '256m', '--memory-swap', '-1', '--restart', 'no', 'limited');
      t.equal(await must('inspect', '-f', all, 'limited'), '268435456 -1 500000000 no');
      await must('rm', '-f', 'limited');
    });

    await t.test('an image goes while one that it was made from is in use', async (t) => {
      await must(...run, '--name', 'parent', 'busybox', 'sleep', '100');
      await must('commit', '-m', 'child', 'parent', 'child');
      t.match(await must('rmi', 'child'), /^Untagged: child:latest\nDeleted: sha256:[0-9a-f]{64}/);
      t.equal(await must('exec', 'parent', 'echo', 'still here'), 'still here');
      await must('rm', '-f', 'parent');
    });

    await t.test('events name the command of an exec and the volumes that come and go', async (t) => {
      await must('run', '-d', '--name', 'told', '--network', 'none', '-v', 'events:/v', 'busybox', 'sleep', '100');
      await must('exec', 'told', 'echo', 'hello', 'there');
      const id = await of('told', '.Id');
      await must('rm', '-f', 'told');
      const show = (...filters: string[]): Promise<string> =>
        must(
          'events',
          '--since',
          '10m',
          '--until',
          String(Math.ceil(Date.now() / 1000)),
          '--format',
          '{{.Action}}',
          ...filters.flatMap((each) => ['-f', each]),
        );
      const actions = (await show(`container=${id}`, 'type=container')).split('\n');
      const execs = actions.filter((action) => action.startsWith('exec'));
      t.same(execs, ['exec_create: echo hello there', 'exec_start: echo hello there', 'exec_die']);
      t.equal(await show('volume=events'), 'create\nmount\nunmount');
    });

    await t.test('a process is in its own group and no other that was not asked for', async (t) => {
      const id = (...flags: string[]): Promise<string> => must('run', '--rm', '--network', 'none', ...flags, 'busybox', 'id');
      t.equal(await id('-u', '1:2'), 'uid=1 gid=2 groups=2');
      t.equal(await id('-u', '1:2', '--group-add', '7'), 'uid=1 gid=2 groups=2,7');
      t.equal(await id(), 'uid=0(root) gid=0 groups=0');
    });

    await t.test('restart policies after the daemon was killed, and after it was stopped', async (t) => {
      const pids = new Map<string, string>();
      for (const [name, policy] of Object.entries({ always: 'always', stopped: 'always', unless: 'unless-stopped', no: 'no' })) {
        await must(...run, '--name', name, '--restart', policy, 'busybox', 'sleep', '100');
        pids.set(name, await of(name, '.State.Pid'));
      }
      await must(...run, '--name', 'stayed', '--restart', 'unless-stopped', 'busybox', 'sleep', '100');
      await must('stop', '-t', '0', 'stopped', 'stayed');
      await rig.kill();
      for (const name of ['always', 'no']) process.kill(Number(pids.get(name)), 'SIGKILL');
      await rig.start();
      const status = (name: string): Promise<string> => of(name, '.State.Status');
      await waitFor('always to run again', async () => (await status('always')) === 'running');
      await waitFor('what was stopped to run with the daemon', async () => (await status('stopped')) === 'running');
      t.equal(await of('unless', '.State.Pid'), pids.get('unless'), 'what ran still runs');
      t.equal(await status('stayed'), 'exited', 'unless-stopped');
      t.equal(await status('no'), 'exited');
      await rig.stop();
      await rig.start();
      t.equal(await status('unless'), 'running');
      t.equal(await status('stayed'), 'exited');
    });
  });
}
