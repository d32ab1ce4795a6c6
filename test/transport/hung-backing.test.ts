// A volume whose backing stops answering: here a FUSE filesystem whose server is stopped. It stalls its own users alone.

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { command, mustCommand, processesWith, waitFor } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { scratchDir } from '../support/paths.js';
import { Root } from '../support/roots.js';

/** Processes that serve `target` by fuse-overlayfs. */
function backingServers(target: string): number[] {
  return processesWith(`LAMINA_TEST_BACKING=${target}`);
}

function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat[stat.lastIndexOf(')') + 2] ?? '';
}

for (const tier of ['passthrough', 'relay']) {
  void t.test(`${tier}: a backing that hangs stalls only its own route, and goes on when it comes back`, async (t) => {
    const missing = await unavailable('lamina');
    if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
    const root = new Root();
    const backing = scratchDir(); // not below the root's directory, where nothing may stay mounted
    for (const name of ['below', 'good']) mkdirSync(root.path(name));
    writeFileSync(root.path('below/f'), 'remote');
    writeFileSync(root.path('good/f'), 'local');
    const wake = (): void => backingServers(backing).forEach((pid) => process.kill(pid, 'SIGCONT'));
    t.teardown(async () => {
      wake();
      await root.dispose();
      await command(['umount', '-l', backing]);
      rmdirSync(backing);
    });
    await mustCommand(['fuse-overlayfs', '-o', `lowerdir=${root.path('below')}`, backing], {
      env: { LAMINA_TEST_BACKING: backing },
    });
    await root.mount('--bypass', tier, '-v', `${backing}:/slow`, '-v', `${root.path('good')}:/good`);
    t.equal(await mustCommand(['cat', `${root.target}/slow/f`]), 'remote');

    const [pid = 0] = backingServers(backing);
    process.kill(pid, 'SIGSTOP');
    await waitFor('the backing to stop', () => stateOf(pid) === 'T');
    const stalled = command(['ls', `${root.target}/slow/nowhere`, `${root.target}/slow/f`], { limitMs: 60_000 });
    const others = `cd ${root.target} && cat good/f && echo more >> good/f && mkdir -p d/e && echo x > d/e/f && rm -r d && ls`;
    for (let round = 0; round < 3; round++) {
      const done = await command(['sh', '-ec', others], { limitMs: 10_000 });
      t.equal(done.code, 0, `the union and the other route answer: ${done.stderr}`);
    }
    const stats = await root.lamina('stats', '--json', root.target);
    t.equal(stats.code, 0, 'and so does the server');

    wake();
    const went = await stalled;
    t.match(went.stdout, /slow\/f/, 'what waited is answered');
    await root.umount();
    await mustCommand(['umount', backing]);
    await waitFor('the backing server to end', () => backingServers(backing).length === 0);
    return undefined;
  });
}
