// Commit of a container that renamed directories of its image, while it runs and when it has ended: the new image shows what
// the container shows.

import t from 'tap';
import { waitFor } from '../support/command.js';
import { EngineRig } from '../support/engine-rig.js';

const MAKE = `mkdir -p /data/a/sub/deep /data/whole && echo 1 > /data/a/f1 && echo 2 > /data/a/f2 && echo 3 > /data/a/sub/deep/f3 &&
  echo 4 > /data/whole/f4 && ln /data/a/f2 /data/a/linked && chmod 1700 /data/a/sub && ln -s f1 /data/a/symlink`;
const CHANGE = `mv /data/a /data/b && rm /data/b/f1 && echo new > /data/b/f5 && mkdir /top && mv /data/b/sub /top/sub2 &&
  mv /top/sub2/deep /top/sub2/deeper && mkdir /data/a && echo other > /data/a/f1 && mv /data/whole /whole`;
const SHOW = `find /data /top /whole | sort | while read -r f; do stat -c '%n %F %a %Y' "$f"; [ ! -f "$f" ] || { stat -c %h "$f"; cat "$f"; }; done`;

void t.test('commit of renamed directories', { timeout: 120_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  const must = (...args: string[]): Promise<string> => rig.must('lamina', ...args);
  const show = (image: string): Promise<string> => must('run', '--rm', '--network', 'none', image, 'sh', '-c', SHOW);
  await must('run', '--name', 'maker', '--network', 'none', 'busybox', 'sh', '-c', MAKE);
  await must('commit', 'maker', 'base');
  const script = `${CHANGE} && touch /changed && exec sleep 1000`;
  await must('run', '-d', '--name', 'changer', '--network', 'none', 'base', 'sh', '-c', script);
  await waitFor('the changes', async () => (await rig.run('lamina', 'exec', 'changer', 'test', '-e', '/changed')).code === 0);
  const shown = await must('exec', 'changer', 'sh', '-c', SHOW);
  t.match(shown, /^\/top\/sub2\/deeper\/f3 .*\n1\n3$/m);
  t.notMatch(shown, /\/data\/b\/f1|\/data\/whole/);
  await must('commit', 'changer', 'running');
  t.equal(await show('running'), shown);
  await must('kill', 'changer');
  await must('commit', 'changer', 'ended');
  t.equal(await show('ended'), shown);
  t.equal(rig.mounts().length, 0, 'the root is not mounted any more');

  await t.test('while it is started', async (t) => {
    const again = '[ -e /moved ] || mv /data/whole /moved; exec sleep 1000';
    await must('run', '-d', '--name', 'starts', '--network', 'none', 'base', 'sh', '-c', again);
    const shows = (): Promise<boolean> =>
      rig.run('lamina', 'exec', 'starts', 'test', '-e', '/moved/f4').then(({ code }) => code === 0);
    await waitFor('the move', shows);
    for (let i = 0; i < 5; i++) {
      await must('kill', 'starts');
      await Promise.all([must('commit', 'starts', 'meanwhile'), must('start', 'starts')]);
      t.ok(await shows(), 'its root is there');
      t.equal(await must('run', '--rm', '--network', 'none', 'meanwhile', 'cat', '/moved/f4'), '4');
    }
  });
});
