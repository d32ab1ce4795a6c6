// POSIX as Linux has it, call by call, on every kind of mount: the reference filesystems prove the expectations, lamina
// must meet each of them. LAMINA_POSIX=all runs the whole matrix, LAMINA_POSIX_TARGET names one target of targets.ts,
// LAMINA_CASE is a part of a behaviour's name.

import t from 'tap';
import { leaks, privilegedRequired, unavailable } from '../../support/mounts.js';
import { runOn } from './run.js';
import { CHOSEN } from './suite.js';
import { TARGETS } from './targets.js';

const wanted = process.env['LAMINA_POSIX_TARGET'];

void t.test('POSIX', { timeout: 300_000 }, async (t) => {
  const missing = (await unavailable('lamina')) ?? (await unavailable('overlay'));
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  t.equal(new Set(CHOSEN.map((item) => item.name)).size, CHOSEN.length, 'every behaviour has a name of its own');
  for (const [name, build] of Object.entries(TARGETS)) {
    if (wanted !== undefined && wanted !== name) continue;
    const report = await runOn(await build(), CHOSEN);
    t.strictSame(report.failures, [], `${report.checks} checks hold on ${name}`);
  }
  t.strictSame(leaks(), [], 'no mount and no directory is left');
  return undefined;
});
