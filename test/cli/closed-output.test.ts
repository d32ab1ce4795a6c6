// Output that nobody reads to its end (`lamina ps | head -1`), and words of ours that Node would take for its own.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { command } from '../support/command.js';
import { EngineRig } from '../support/engine-rig.js';
import { checkout, scratchDir } from '../support/paths.js';
import { FakeEngine } from './fake-engine.js';

const dir = scratchDir();
const engine = new FakeEngine(join(dir, 'engine.sock'));
const names = Array.from({ length: 3000 }, (_, i) => ({ Name: `volume-${i}`, Driver: 'local', Labels: null, Scope: 'local' }));

t.before(async () => {
  await engine.listen();
  engine.answers = { 'GET /volumes': { json: { Volumes: names, Warnings: null } } };
});
t.teardown(() => {
  engine.close();
  rmSync(dir, { recursive: true });
});

/** Runs a line of bash whose first program is `lamina`. */
function type(line: string): ReturnType<typeof command> {
  const env = {
    LAMINA_SOCKET: engine.socket,
    LAMINA_NO_START: '1',
    PATH: `${join(checkout, 'bin')}:${process.env['PATH'] ?? ''}`,
  };
  return command(['bash', '-c', `${line}; echo "\${PIPESTATUS[0]}"`], { env, cwd: dir });
}

const LINES: readonly (readonly [line: string, stdout: string])[] = [
  ['lamina volume ls -q | head -n 1', 'volume-0\n141\n'],
  ['lamina volume ls -q | true', '141\n'],
  ['lamina --help | true', '141\n'],
  ['lamina nosuch 2>&1 >&- | true', '141\n'],
];
for (const [line, stdout] of LINES) {
  void t.test(`${line} ends silently, as by SIGPIPE`, async (t) => {
    const done = await type(line.replace('| true', '| (exec 0<&-; sleep 0.5)'));
    t.same([done.stdout, done.stderr], [stdout, '']);
  });
}

void t.test('a daemon whose log nobody reads any more goes on', async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  const daemon = command(['bash', '-c', 'lamina daemon 2>&1 | head -n 1'], { env: rig.env, limitMs: 60_000 });
  t.teardown(() => daemon);
  const ping = (): ReturnType<typeof rig.run> => rig.run('lamina', 'ps', '-q');
  for (let i = 0; i < 100 && (await ping()).code !== 0; i++);
  // A failed pull is told in the log.
  t.equal((await rig.run('lamina', 'pull', '127.0.0.1:1/nosuch')).code, 1);
  t.equal((await rig.run('lamina', 'pull', '127.0.0.1:1/nosuch')).code, 1);
  t.equal((await ping()).code, 0);
  for (const pid of rig.processes()) process.kill(pid, 'SIGTERM');
});

void t.test('--env-file is ours, not Node\u2019s', async (t) => {
  const done = await type('lamina run --env-file nosuch image');
  t.match(done, { stdout: '125\n', stderr: /^open nosuch: no such file or directory$/m });
});
