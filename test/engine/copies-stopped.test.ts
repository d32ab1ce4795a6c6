// `cp` between every kind of source and destination of a container that does not run: in its root, and in a volume of it.

import { rmSync } from 'node:fs';
import t from 'tap';
import { EngineRig, clients } from '../support/engine-rig.js';
import { UNTOUCHED, casesFor, flagged, listing, makeDestination, makeSource } from './copy-cases.js';

for (const client of clients) {
  void t.test(`cp of a stopped container, typed with ${client}`, { timeout: 300_000 }, async (t) => {
    const rig = new EngineRig();
    t.teardown(() => rig.end());
    await rig.start();
    await rig.loadImages();
    makeSource(rig.path('source'));
    makeDestination(rig.path('fresh'));
    await rig.must(client, 'run', '--name', 'rest', '--network', 'none', '-v', '/vol', 'busybox', 'true');
    await rig.must(client, 'cp', '-a', 'source', 'rest:/s');

    /** What the container has at a path, which is copied out for it. */
    const held = async (path: string): Promise<string> => {
      rmSync(rig.path('held'), { recursive: true, force: true });
      await rig.must(client, 'cp', `rest:${path}`, 'held');
      return listing(rig.path('held'));
    };

    let number = 0;
    for (const [from, to, inside, outside = inside] of casesFor(client)) {
      const [flags, path] = flagged(from);
      await t.test(`${from} to ${to}, in and out`, async (t) => {
        // The root and the volume in turn.
        const place = `${number++ % 2 === 0 ? '' : '/vol'}/t${number}`;
        await rig.must(client, 'cp', 'fresh', `rest:${place}`);
        makeDestination(rig.path('outer'));
        const ways = [
          [() => held(place), inside, ['cp', ...flags, `source/${path}`, `rest:${place}/${to}`]],
          [() => listing(rig.path('outer')), outside, ['cp', ...flags, `rest:/s/${path}`, `outer/${to}`]],
        ] as const;
        for (const [look, outcome, words] of ways) {
          const done = await rig.run(client, ...words);
          const isRefused = outcome.startsWith('!');
          t.equal(done.code, isRefused ? 1 : 0, `${words.join(' ')}: ${done.stderr}`);
          if (isRefused) t.match(done.stderr, new RegExp(outcome.slice(1)), words.join(' '));
          t.equal(await look(), isRefused ? UNTOUCHED : outcome, words.join(' '));
        }
      });
    }
    t.equal(await rig.must(client, 'inspect', '-f', '{{.State.Status}}', 'rest'), 'exited', 'nothing started it');
  });
}
