// The init of containers as pid 1 of a namespace. As it is built, and with AddressSanitizer, which the static program of a
// container cannot have: there what is undefined ends it, and nothing else is seen.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { initProgram } from '../../src/native/load.js';
import { type Done, command, mustCommand } from '../support/command.js';
import { checkout, scratchDir } from '../support/paths.js';

const scratch = scratchDir();
t.teardown(() => rmSync(scratch, { recursive: true }));

async function watched(): Promise<string> {
  const program = join(scratch, 'lamina-init');
  const flags = ['-std=c++20', '-D_GNU_SOURCE', '-g1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  await mustCommand(['g++', ...flags, join(checkout, 'native', 'init.cc'), '-o', program], { limitMs: 60_000 });
  return program;
}

const programs = { 'as it is built': () => Promise.resolve(initProgram()), 'with AddressSanitizer': watched };

for (const [title, build] of Object.entries(programs)) {
  void t.test(title, { timeout: 120_000 }, async (t) => {
    const program = await build();
    // A report is on stderr here.
    const env = { ASAN_OPTIONS: 'exitcode=99', UBSAN_OPTIONS: 'exitcode=99' };
    const run = (...words: string[]): Promise<Done> =>
      command(['unshare', '--pid', '--fork', '--mount-proc', '--kill-child', program, ...words], { env });
    const sh = (script: string): Promise<Done> => run('--', 'sh', '-c', script);

    t.same(await sh('exit 7'), { code: 7, stdout: '', stderr: '' }, 'ends as its command ends');
    t.same(await run('true'), { code: 0, stdout: '', stderr: '' }, 'a command needs no --');
    t.same(await sh('kill -9 $$'), { code: 137, stdout: '', stderr: '' }, 'by a signal, too');
    t.match(await sh('echo $$; cat /proc/1/comm'), { stdout: '2\nlamina-init\n' }, 'is pid 1, its command another');
    t.same(await run(), { code: 126, stdout: '', stderr: '' }, 'without a command');
    t.same(
      await run('--', '/nowhere'),
      { code: 127, stdout: '', stderr: 'lamina-init: /nowhere: No such file or directory\n' },
      'not there',
    );
    t.same(
      await run('--', '/proc'),
      { code: 126, stdout: '', stderr: 'lamina-init: /proc: Permission denied\n' },
      'not to be run',
    );
    t.match(
      await sh('trap "echo told; exit 3" TERM; kill -TERM 1; while :; do sleep 0.01; done'),
      { code: 3, stdout: 'told\n', stderr: '' },
      'passes a signal on',
    );
    const orphan = 'sh -c "sleep 0.05 & echo \\$!" > $0; while [ -e /proc/$(cat $0) ]; do sleep 0.01; done; echo reaped';
    t.same(
      await run('--', 'sh', '-c', orphan, join(scratch, 'pid')),
      { code: 0, stdout: 'reaped\n', stderr: '' },
      'reaps orphans',
    );
    t.ok(Number(readFileSync(join(scratch, 'pid'), 'utf8')) > 2, 'that were there');
    t.end();
  });
}
