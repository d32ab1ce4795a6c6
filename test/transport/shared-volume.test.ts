// One volume in two roots and on the host at once: databases that all three write stay whole.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mustCommand } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { Root } from '../support/roots.js';

const ROWS = 40;

/** Inserts one row a transaction. */
function writer(database: string, who: string): Promise<string> {
  const insert = (i: number): string => `begin immediate; insert into rows values ('${who}', ${i}); commit;`;
  const script = Array.from({ length: ROWS }, (_, i) => insert(i)).join('\n');
  return mustCommand(['sqlite3', '-bail', '-cmd', '.timeout 60000', database], { input: script, limitMs: 120_000 });
}

// A WAL's index is shared memory: relay has a page cache for each mount, so it is for one root (README).
const CASES = [
  ['bind', 'delete'],
  ['bind', 'wal'],
  ['passthrough', 'delete'],
  ['passthrough', 'wal'],
  ['relay', 'delete'],
] as const;

void t.test('shared volume', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  for (const [tier, journal] of CASES) {
    await t.test(`${tier}: SQLite (journal ${journal}) written by two roots and the host`, async (t) => {
      const [one, two] = [new Root(), new Root()];
      t.teardown(() => Promise.all([one.dispose(), two.dispose()]));
      mkdirSync(one.path('vol'));
      for (const root of [one, two]) await root.mount('--bypass', tier, '-v', `${one.path('vol')}:/data`);
      const host = one.path('vol/db');
      t.match(await mustCommand(['sqlite3', host, `pragma journal_mode=${journal}; create table rows (who, i);`]), journal);
      const places = { one: join(one.target, 'data/db'), two: join(two.target, 'data/db'), host };
      await Promise.all(Object.entries(places).map(([who, path]) => writer(path, who)));
      for (const path of Object.values(places)) {
        const found = await mustCommand([
          'sqlite3',
          path,
          'pragma integrity_check; select who, count(*) from rows group by who;',
        ]);
        t.equal(found, `ok\nhost|${ROWS}\none|${ROWS}\ntwo|${ROWS}\n`, path);
      }
      await one.umount();
      await two.umount();
    });
  }
  return undefined;
});
