// `cp` between every kind of source and destination of a container that runs, with both clients.

import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EngineRig, clients } from '../support/engine-rig.js';
import { UNTOUCHED, casesFor, flagged, listing, makeDestination, makeSource } from './copy-cases.js';

for (const client of clients) {
  void t.test(`cp, typed with ${client}`, { timeout: 300_000 }, async (t) => {
    const rig = new EngineRig();
    t.teardown(() => rig.end());
    await rig.start();
    await rig.loadImages();
    const [source, inner, outer] = [rig.path('source'), rig.path('inner'), rig.path('outer')];
    makeSource(source);
    makeDestination(inner);
    const volumes = ['-v', `${source}:/s:ro`, '-v', `${inner}:/t`];
    await rig.must(client, 'run', '-d', '--name', 'box', '--network', 'none', ...volumes, 'busybox', 'sleep', '1000');
    for (const [from, to, inside, outside = inside] of casesFor(client)) {
      const [flags, path] = flagged(from);
      const ways = [
        [inner, inside, ['cp', ...flags, `source/${path}`, `box:/t/${to}`]],
        [outer, outside, ['cp', ...flags, `box:/s/${path}`, `outer/${to}`]],
      ] as const;
      await t.test(`${from} to ${to}, in and out`, async (t) => {
        for (const [place, outcome, words] of ways) {
          // A bind mount is of a directory, not of its name: only what is in it goes.
          for (const name of place === inner ? readdirSync(inner) : []) rmSync(join(inner, name), { recursive: true });
          if (place === outer) makeDestination(outer);
          else {
            makeDestination(rig.path('fresh'));
            t.equal((await rig.sh('cp -a fresh/. inner/')).code, 0);
          }
          const done = await rig.run(client, ...words);
          if (outcome.startsWith('!')) {
            t.equal(done.code, 1, words.join(' '));
            t.match(done.stderr, new RegExp(outcome.slice(1)), words.join(' '));
            t.equal(listing(place), UNTOUCHED, words.join(' '));
          } else {
            t.equal(done.code, 0, done.stderr);
            t.equal(listing(place), outcome, words.join(' '));
          }
        }
      });
    }

    await t.test('owners, modes, stopped containers, read-only places and streams', async (t) => {
      const run = (...args: string[]): ReturnType<EngineRig['run']> => rig.run(client, ...args);
      await rig.must(client, 'cp', '-a', 'source/f', 'box:/t/kept');
      const kept = statSync(join(inner, 'kept'));
      t.same([kept.uid, kept.gid, kept.mode & 0o777], [1001, 1002, 0o640], '-a');
      mkdirSync(rig.path('mode'), { mode: 0o700 });
      await rig.must(client, 'cp', 'box:/s/d/.', 'mode');
      t.equal(statSync(rig.path('mode')).mode & 0o777, 0o700, 'a directory that was there keeps its mode');
      t.match(await run('cp', 'source/f', 'box:/s/x'), { code: 1, stderr: /mounted volume is marked read-only/ });
      await rig.must(client, 'create', '--name', 'sealed', '--read-only', '-v', 'open:/open', 'busybox', 'true');
      t.match(await run('cp', 'source/f', 'sealed:/x'), { code: 1, stderr: /container rootfs is marked read-only/ });
      await rig.must(client, 'cp', 'source/f', 'sealed:/open/f');
      t.equal((await rig.sh(`${client} cp sealed:/open/f - | tar xO`)).stdout, 'f\n', 'a volume of a container that never ran');
      t.match(await run('cp', 'box:/s/f', 'sealed:/open/'), { code: 1, stderr: /copying between containers is not supported/ });
      t.match(await run('cp', 'source/f', 'outer'), { code: 1, stderr: /must specify at least one container source/ });
      const stream = await rig.sh(`tar c -C source d | ${client} cp - box:/t && ${client} cp box:/t/d - | tar t`);
      t.same([stream.code, stream.stdout], [0, 'd/\nd/g\n'], stream.stderr);
      t.match(await rig.sh(`tar c -C source d | ${client} cp - box:/t/file`), { code: 1, stderr: /must be a directory/ });
    });
  });
}
