// A volume whose backing stops answering: here a FUSE filesystem whose server is stopped. It stalls its own users alone.

import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { command, mustCommand } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { Root } from '../support/roots.js';
import { Stoppable } from '../support/stoppable.js';

for (const tier of ['passthrough', 'relay']) {
  void t.test(`${tier}: a backing that hangs stalls only its own route, and goes on when it comes back`, async (t) => {
    const missing = await unavailable('lamina');
    if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
    const root = new Root();
    const backing = new Stoppable();
    for (const name of ['below', 'good']) mkdirSync(root.path(name));
    writeFileSync(root.path('below/f'), 'remote');
    writeFileSync(root.path('good/f'), 'local');
    t.teardown(async () => {
      backing.wake();
      await root.dispose();
      await backing.dispose();
    });
    await backing.serve(root.path('below'));
    await root.mount('--bypass', tier, '-v', `${backing.path}:/slow`, '-v', `${root.path('good')}:/good`);
    t.equal(await mustCommand(['cat', `${root.target}/slow/f`]), 'remote');

    await backing.stop();
    const stalled = command(['ls', `${root.target}/slow/nowhere`, `${root.target}/slow/f`], { limitMs: 60_000 });
    const others = `cd ${root.target} && cat good/f && echo more >> good/f && mkdir -p d/e && echo x > d/e/f && rm -r d && ls`;
    for (let round = 0; round < 3; round++) {
      const done = await command(['sh', '-ec', others], { limitMs: 10_000 });
      t.equal(done.code, 0, `the union and the other route answer: ${done.stderr}`);
    }
    const stats = await root.lamina('stats', '--json', root.target);
    t.equal(stats.code, 0, 'and so does the server');

    backing.wake();
    const went = await stalled;
    t.match(went.stdout, /slow\/f/, 'what waited is answered');
    await root.umount();
    await backing.end();
    return undefined;
  });
}
