// A program that replaces itself closes its files while the kernel holds a lock of the process, and waits for each answer:
// a server that asks /proc of that process then waits for ever, and so does all that looks at /proc.

import { mkdirSync } from 'node:fs';
import t from 'tap';
import { abortFuse, command } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { Root } from '../support/roots.js';

/** Opens many files for writing, each to be closed by the execve(2) of itself, and again. */
const SCRIPT = `
import os, sys
where, left = sys.argv[1], int(sys.argv[2])
for i in range(300):
    os.open(f"{where}/f{i}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
if left:
    os.execv(sys.executable, [sys.executable, "-ISc", os.environ["SCRIPT"], where, str(left - 1)])
`;

void t.test('files that are closed by execve are answered for', async (t) => {
  const why = await unavailable('lamina');
  if (why !== undefined && !privilegedRequired) return t.comment(`skipped: ${why}`);
  const root = new Root();
  t.teardown(() => root.dispose());
  for (const name of ['volume', 'lower/v']) mkdirSync(root.path(name));
  await root.mount('-v', `${root.path('volume')}:/v`);
  for (const where of [root.target, `${root.target}/v`]) {
    const done = await command(['/usr/bin/python3', '-ISc', SCRIPT, where, '30'], { env: { SCRIPT }, limitMs: 20_000 });
    if (done.code === 124) for (const point of [root.target, `${root.target}/v`]) abortFuse(point);
    t.same([done.code, done.stderr], [0, ''], where === root.target ? 'in the union' : 'on a volume');
  }
});
