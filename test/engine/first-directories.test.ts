// Directories that a container has before anything has run in it: its working directory, and in a build the places of volumes.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { EngineRig } from '../support/engine-rig.js';

const rig = new EngineRig();
t.teardown(() => rig.end());

const docker = (...args: string[]): Promise<string> => rig.must('docker', ...args);
const inBusybox = (...args: string[]): Promise<string> => docker('run', '--rm', '--network', 'none', ...args);

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  writeFileSync(rig.path('file'), 'content');
});

void t.test('files are copied into a working directory before the first start', async (t) => {
  await docker(
    'create',
    '--name',
    'box',
    '-w',
    '/srv/../srv/new/deep/',
    'busybox',
    'sh',
    '-c',
    'pwd; cat file; stat -c "%a %u" .',
  );
  t.equal(await docker('inspect', '-f', '{{.Config.WorkingDir}}', 'box'), '/srv/new/deep');
  t.equal(await docker('diff', 'box'), 'C /srv\nA /srv/new\nA /srv/new/deep');
  t.same(rig.mounts(), [], 'nothing stays mounted');
  await docker('cp', 'file', 'box:/srv/new/deep');
  t.equal(await docker('start', '-a', 'box'), '/srv/new/deep\ncontent755 0');
  await docker('commit', '-c', 'WORKDIR /link/in', 'box', 'linked');
  await docker('rm', 'box');
  await docker('create', '--name', 'box', 'linked', 'true');
  await docker('cp', 'file', 'box:/link/in/copied');
  await docker('cp', 'box:/link/in/copied', 'back');
  t.equal(readFileSync(rig.path('back'), 'utf8'), 'content', 'of an image too');
  await docker('rm', 'box');
  await docker('rmi', 'linked');
});

void t.test('a working directory behind a symlink, and one below a volume that is filled from it', async (t) => {
  await docker(
    'run',
    '--name',
    'box',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'ln -s /srv/behind /link; ln -s ../../../tmp /up',
  );
  await docker('commit', 'box', 'links');
  await docker('rm', 'box');
  t.equal(await inBusybox('-w', '/link/a', 'links', 'sh', '-c', 'pwd -P; ls /srv/behind'), '/srv/behind/a\na');
  t.equal(await inBusybox('-w', '/up/a', 'links', 'pwd', '-P'), '/tmp/a');
  t.equal(await inBusybox('-w', '/data/sub', '-v', 'filled:/data', 'busybox', 'ls', '/data'), 'sub');
  await docker('volume', 'rm', 'filled');
  await docker('rmi', 'links');
});

void t.test('a file in the place of a working directory is refused when the container is made', async (t) => {
  for (const path of ['/bin/busybox', '/bin/busybox/sub']) {
    const refused = await rig.run('docker', 'run', '--name', 'box', '-w', path, 'busybox', 'true');
    t.match(refused, { code: 125, stderr: `Cannot mkdir: ${path} is not a directory` });
  }
  t.equal(await docker('ps', '-aq'), '');
  t.same(rig.mounts(), []);
});

void t.test('the place of a VOLUME that the image lacks is there for the next RUN', async (t) => {
  mkdirSync(rig.path('context'));
  const lines = ['FROM busybox', 'VOLUME ["/vol/place", "/bin"]', 'RUN stat -c %a /vol/place && touch /vol/place/f'];
  writeFileSync(rig.path('context', 'Dockerfile'), lines.join('\n'));
  t.match(await rig.must('lamina', 'build', '-t', 'voluminous', 'context'), /^755$/m);
  t.equal(await inBusybox('voluminous', 'ls', '/vol/place'), 'f', 'and what RUN wrote there is in the image');
  await docker('rmi', 'voluminous');
});
