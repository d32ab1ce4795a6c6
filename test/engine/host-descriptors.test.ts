// CVE-2024-21626: a working directory of /proc/self/fd/N led to whatever of the host runc had open at that moment. Debian's
// runc refuses that as of 1.1.5+ds1-1+deb12u1; an older one makes this fail.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { call } from '../support/engine-api.js';
import { mustCommand } from '../support/command.js';
import { EngineRig } from '../support/engine-rig.js';
import { tar } from '../image/tar-bytes.js';

const NUMBERS = Array.from({ length: 18 }, (_, i) => i + 3);

void t.test('no working directory leads to a descriptor of the host', { timeout: 180_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  await rig.must('lamina', 'run', '-d', '--name', 'box', '--network', 'none', 'busybox', 'sleep', '1000');
  await rig.must('lamina', 'exec', '-t', 'box', 'true');
  await rig.must('lamina', 'exec', 'box', 'sh', '-c', `for n in ${NUMBERS.join(' ')}; do ln -s /proc/self/fd/$n /link$n; done`);
  const refused = async (...words: string[]): Promise<void> => {
    const done = await rig.run('lamina', ...words);
    t.not(done.code, 0, words.join(' '));
    const said = `${done.stdout}${done.stderr}`;
    t.match(said, /OCI runtime (create|exec) failed: .*(mkdir|chdir to cwd|current working directory)/, words.join(' '));
    t.notMatch(said, /^(bin|etc|proc)$/m, words.join(' '));
  };
  for (const n of NUMBERS) {
    await refused('run', '--rm', '--network', 'none', '-w', `/proc/self/fd/${n}`, 'busybox', 'ls');
    await refused('exec', '-w', n % 2 === 0 ? `/proc/self/fd/${n}` : `/link${n}`, 'box', 'ls');
  }
  const context = tar([{ name: 'Dockerfile', data: 'FROM busybox\nWORKDIR /proc/self/fd/7\nRUN ls /\n' }]);
  const built = await call(rig.socket, 'POST', '/build', context);
  t.match(built.body, /"errorDetail"/, 'nor does that of an image');
});

void t.test('runc inherits its stdio alone', { timeout: 60_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  const runc = (await mustCommand(['sh', '-c', 'command -v runc'])).trim();
  const [bin, seen] = [rig.path('bin'), rig.path('seen')];
  mkdirSync(bin);
  // 3 and 10 are the shell's own: what it reads a substitution and its script from.
  writeFileSync(
    `${bin}/runc`,
    `#!/bin/sh
verb=
for word; do case $word in run|exec|pause|resume|ps|events|update|delete|kill|list|state) verb=\${verb:-$word};; esac; done
for fd in /proc/$$/fd/*; do echo "$verb \${fd##*/} $(readlink $fd)" >>${seen}; done
exec ${runc} "$@"
`,
  );
  chmodSync(`${bin}/runc`, 0o755);
  await rig.start({ PATH: `${bin}:${rig.env.PATH}` });
  await rig.loadImages();
  await rig.must('lamina', 'run', '-d', '--name', 'box', '--network', 'none', 'busybox', 'sleep', '1000');
  for (const flags of [['-t'], ['-i'], []]) await rig.must('lamina', 'exec', ...flags, 'box', 'true');
  // The daemon has its database open for a moment after each of them.
  for (const command of ['pause', 'unpause', 'top']) await rig.must('lamina', command, 'box');
  await rig.must('lamina', 'update', '--memory', '64m', '--memory-swap', '-1', 'box');
  await rig.must('lamina', 'stats', '--no-stream', 'box');
  await rig.must('lamina', 'stop', '-t', '0', 'box');
  await rig.must('lamina', 'rm', 'box');
  const given = readFileSync(seen, 'utf8').trim().split('\n');
  const verbs = new Set(given.map((line) => line.split(' ')[0]));
  t.same([...verbs].sort(), ['delete', 'events', 'exec', 'pause', 'ps', 'resume', 'run', 'update']);
  t.same(
    given.filter((line) => !/^\w+ (([012]|10) |3 pipe:)/.test(line)),
    [],
  );
});
