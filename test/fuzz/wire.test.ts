// The wire decoder under requests that no kernel sends: the mount answers each, gives nothing away, holds nothing at the
// end and touches nothing outside of its layers. The seed is new each time and printed; LAMINA_FUZZ_SEED repeats one,
// LAMINA_FUZZ_REQUESTS makes it longer.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { command } from '../support/command.js';
import { privilegedRequired } from '../support/mounts.js';
import { scratchDir } from '../support/paths.js';
import { type FuzzMode, MODES } from './world.js';

const requests = Number(process.env['LAMINA_FUZZ_REQUESTS'] ?? 8000);
const seed = Number(process.env['LAMINA_FUZZ_SEED'] ?? Date.now() % 1_000_000_007);
/** LAMINA_FUZZ_MODES=all adds the modes in which finds are still open (docs/conformance.md). */
const clean: readonly FuzzMode[] = ['sealed', 'read-only', 'single'];
const modes = process.env['LAMINA_FUZZ_MODES'] === 'all' ? MODES : clean;
const limitMs = 60_000 + requests * 2;

void t.test('damaged requests are refused and harm nothing', async (t) => {
  if (process.getuid?.() !== 0 && !privilegedRequired)
    return t.plan(0, 'not root: device nodes and trusted xattrs cannot be made');
  t.comment(`LAMINA_FUZZ_SEED=${seed}`);
  const dir = scratchDir();
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  for (const mode of modes) {
    const at = join(dir, mode);
    const argv = [process.execPath, join(__dirname, 'driver.js'), String(seed), String(requests), mode];
    const done = await command(argv, { limitMs, env: { LAMINA_FUZZ_AT: at } });
    const last = done.code === 0 ? '' : `\nlast request: ${readFileSync(at, 'latin1').trim()}`;
    t.equal(done.code, 0, `${mode}: ${requests} requests${done.stdout}${done.stderr}${last}`);
  }
  return undefined;
});

void t.test('a CREATE that asks for another type makes a file, and closes no fd of others', async (t) => {
  if (process.getuid?.() !== 0 && !privilegedRequired)
    return t.plan(0, 'not root: device nodes and trusted xattrs cannot be made');
  const done = await command([process.execPath, join(__dirname, 'driver.js'), '1', '20000', 'union'], { limitMs: 120_000 });
  t.equal(done.code, 0, done.stdout + done.stderr);
  return undefined;
});
