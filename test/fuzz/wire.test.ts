// The wire decoder under requests that no kernel sends, locks that wait and replies that get lost: the mount answers each
// request, holds nothing once all is given back and touches nothing outside of its layers. The seed is new each time and
// printed; LAMINA_FUZZ_SEED repeats one, LAMINA_FUZZ_REQUESTS makes it longer.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { command, mustCommand } from '../support/command.js';
import { privilegedRequired } from '../support/mounts.js';
import { checkout, scratchDir } from '../support/paths.js';
import { MODES } from './world.js';

const requests = Number(process.env['LAMINA_FUZZ_REQUESTS'] ?? 8000);
const seed = Number(process.env['LAMINA_FUZZ_SEED'] ?? Date.now() % 1_000_000_007);
const limitMs = 60_000 + requests * 2;

/** Runs every mode; `env` is added to the driver's. */
async function fuzz(t: Test, dir: string, env: Readonly<Record<string, string>>): Promise<void> {
  t.comment(`LAMINA_FUZZ_SEED=${seed}`);
  for (const mode of MODES) {
    const at = join(dir, mode);
    const argv = [process.execPath, join(__dirname, 'driver.js'), String(seed), String(requests), mode];
    const done = await command(argv, { limitMs, env: { LAMINA_FUZZ_AT: at, ...env } });
    const last = done.code === 0 ? '' : `\nlast request: ${readFileSync(at, 'latin1').trim()}`;
    t.equal(done.code, 0, `${mode}: ${requests} requests${done.stdout}${done.stderr}${last}`);
  }
}

void t.test('the wire', async (t) => {
  if (process.getuid?.() !== 0 && !privilegedRequired)
    return t.plan(0, 'not root: device nodes and trusted xattrs cannot be made');
  const dir = scratchDir();
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));

  await t.test('damaged requests are refused and harm nothing, data through us', (t) => fuzz(t, dir, {}));

  await t.test('and with passthrough: every backing id is closed once', async (t) => {
    const library = join(dir, 'backing.so');
    await mustCommand(['cc', '-shared', '-fPIC', '-o', library, join(checkout, 'test/fuzz/backing.c')]);
    const before = process.env['LD_PRELOAD'];
    const preload = before === undefined ? library : `${before} ${library}`;
    const env = { LD_PRELOAD: preload, LAMINA_FUZZ_BACKING: join(dir, 'ids') };
    await fuzz(t, dir, env);
    const argv = [process.execPath, join(__dirname, 'driver.js'), '724030', '8000', 'union'];
    const done = await command(argv, { limitMs, env: { ...env, LAMINA_FUZZ_AT: join(dir, 'stray') } });
    t.equal(done.code, 0, `a RELEASE of what was not given takes no other open with it: ${done.stdout}${done.stderr}`);
  });

  await t.test('room for fds is made without an end to the stack, when each to be closed asks for more', async (t) => {
    const argv = [process.execPath, join(__dirname, 'driver.js'), '773562567', '6000', 'rootless'];
    const done = await command(argv, { limitMs, env: { LAMINA_FUZZ_AT: join(dir, 'fds') } });
    t.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  });
  return undefined;
});
