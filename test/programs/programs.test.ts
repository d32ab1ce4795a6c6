// Real programs in a mounted Debian root: packages are installed and removed, a compiler, git, Python, SQLite and
// PostgreSQL work, and what they left is what the kernel's overlay shows for the same layers.

import { cpSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { command, mustCommand } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { Root } from '../support/roots.js';
import { CACHE, PACKAGES, baseLayer, inRoot, install } from './debian.js';

const LONG = { limitMs: 280_000 };
const TIERS = ['bind', 'passthrough', 'relay'] as const;

async function mountOver(root: Root, lowers: readonly string[], ...args: string[]): Promise<void> {
  const done = await root.lamina(
    'mount',
    '--lower',
    lowers.join(':'),
    '--upper',
    root.upper,
    '--work',
    root.path('work'),
    ...args,
    root.target,
  );
  if (done.code !== 0) throw new Error(done.stderr);
}

/** The packages layer: the upper of a mount in which apt-get installed them. */
async function packagesLayer(t: Test, base: string): Promise<string> {
  const layer = join(CACHE, `packages-${PACKAGES.join('-')}`);
  await t.test('apt-get installs a compiler, git, python, sqlite and postgresql', LONG_TEST, async (t) => {
    if (existsSync(layer)) return t.pass('made by an earlier run');
    const root = new Root();
    t.teardown(() => root.dispose());
    await mountOver(root, [base]);
    cpSync('/etc/resolv.conf', root.path('upper-resolv.conf'), { dereference: true });
    await mustCommand(['cp', root.path('upper-resolv.conf'), join(root.target, 'etc', 'resolv.conf')]);
    t.equal((await inRoot(root, install(...PACKAGES))).trim(), '', 'dpkg finds nothing to complain of');
    await root.umount();
    await mustCommand(['mv', root.upper, `${layer}.${process.pid}`]);
    renameSync(`${layer}.${process.pid}`, layer);
    return undefined;
  });
  return layer;
}

const LONG_TEST = { timeout: 290_000 } as const;

const GIT = `
  cd /root; git init -q r; cd r; git config user.email a@b; git config user.name n
  cp -r /usr/share/doc/. . ; git add . ; git commit -qm one; git mv $(git ls-files | head -1) moved; git commit -qam two
  cd ..; git clone -q r r2; cd r2; test -z "$(git status --porcelain)"; git fsck --strict 2>&1 | grep -v dangling || true
  git gc -q; git checkout -q HEAD~1; git status --porcelain`;

const PYTHON = `python3 - <<'END'
import importlib, pkgutil, sys
skip = {'antigravity', 'this', 'idlelib', 'turtledemo', '__main__', 'tkinter', 'turtle', 'lib2to3'}
path = [p for p in sys.path if p.endswith('python3.11')]
count = 0
for module in pkgutil.iter_modules(path):
    if module.name in skip: continue
    try:
        importlib.import_module(module.name)
        count += 1
    except ImportError: pass
print(count > 150)
END`;

const sqlite = (directory: string): string => `
  for mode in delete wal; do rm -f ${directory}/t.db*; sqlite3 ${directory}/t.db "pragma journal_mode=$mode; create table t(a,b);
    with recursive c(x) as (select 1 union all select x+1 from c where x<20000) insert into t select x, hex(randomblob(20)) from c;
    update t set b=1 where a%3=0; delete from t where a%7=0; pragma integrity_check; select count(*) from t;"; done`;

const POSTGRES = `
  mkdir -p /data/pg; chown postgres: /data/pg; PG=/usr/lib/postgresql/15/bin; START="$PG/pg_ctl -w -D /data/pg -o '-k /tmp -h 127.0.0.1 -p 59431' -l /tmp/pg.log start"
  su postgres -c "$PG/initdb -D /data/pg >/dev/null 2>&1 && $START >/dev/null && $PG/pgbench -h /tmp -p 59431 -i -s 1 postgres >/dev/null 2>&1 && $PG/pgbench -h /tmp -p 59431 -c 4 -T 2 postgres >/dev/null 2>&1"
  head -1 /data/pg/postmaster.pid > /tmp/pid; kill -9 $(cat /tmp/pid); for i in $(seq 100); do pgrep -u postgres postgres >/dev/null || break; sleep 0.1; done
  su postgres -c "$START >/dev/null"; su postgres -c "psql -h /tmp -p 59431 -Atc 'select count(*) from pgbench_accounts' postgres"
  su postgres -c "$PG/pg_ctl -w -D /data/pg -m fast stop >/dev/null"`;

async function testPrograms(t: Test, lowers: string[]): Promise<void> {
  const root = new Root();
  t.teardown(() => root.dispose());
  await mountOver(root, lowers);
  await t.test('dpkg -i and apt-get remove', LONG_TEST, async (t) => {
    const out = await inRoot(
      root,
      `apt-get update -qq; cd /tmp; apt-get download -qq hello; dpkg -i hello_*.deb >/dev/null 2>&1; hello; apt-get remove -y -qq rsync >/dev/null 2>&1; dpkg --audit; command -v rsync || echo gone`,
    );
    t.equal(out, 'Hello, world!\ngone\n');
  });
  await t.test('a C file is compiled and run, setuid works for an ordinary user', LONG_TEST, async (t) => {
    const out = await inRoot(
      root,
      `printf '#include <unistd.h>\\n#include <stdio.h>\\nint main(){printf("%%d\\\\n",geteuid());}' > /tmp/a.c; gcc -o /usr/local/bin/a /tmp/a.c; chmod 4755 /usr/local/bin/a; su nobody -s /bin/sh -c /usr/local/bin/a`,
    );
    t.equal(out, '0\n');
  });
  await t.test('git commits, clones, collects, and its status is clean', LONG_TEST, async (t) => {
    t.equal((await inRoot(root, GIT)).trim(), '');
  });
  await t.test('python imports its library', LONG_TEST, async (t) => {
    t.equal(await inRoot(root, PYTHON), 'True\n');
  });
  await t.test('sqlite with a rollback journal and with a wal, in the union', LONG_TEST, async (t) => {
    t.equal(await inRoot(root, sqlite('/root')), 'delete\nok\n17143\nwal\nok\n17143\n');
  });
  await root.umount();
  await t.test('kernel overlayfs shows the same tree for these layers', LONG_TEST, (t) => sameTree(t, root, lowers));
}

/** Fingerprint of a tree: type, mode, owner, size, time and link of everything, content of files. */
const fingerprint = (directory: string): string =>
  `cd ${directory} && { find . -xdev ! -type d -printf '%P %y %m %U:%G %s %T@ %l\\n' | sort; find . -xdev -type d -printf '%P %y %m %U:%G %T@\\n' | sort; find . -xdev -type f -print0 | sort -z | xargs -0 sha1sum; } | sha1sum`;

async function sameTree(t: Test, root: Root, lowers: readonly string[]): Promise<void> {
  await mountOver(root, lowers);
  const ours = await mustCommand(['sh', '-c', fingerprint(root.target)], LONG);
  await root.umount();
  mkdirSync(root.path('kernel'));
  const options = `lowerdir=${lowers.join(':')},upperdir=${root.upper},workdir=${root.path('work')},redirect_dir=on`;
  const kernel = await command(
    [
      'unshare',
      '-m',
      'sh',
      '-euc',
      `mount -t overlay overlay -o ${options} ${root.path('kernel')}; ${fingerprint(root.path('kernel'))}`,
    ],
    LONG,
  );
  t.equal(kernel.stdout, ours, kernel.stderr);
}

async function testTier(t: Test, lowers: string[], tier: string): Promise<void> {
  await t.test(`${tier}: postgresql survives kill -9, sqlite keeps its integrity, on a volume`, LONG_TEST, async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    mkdirSync(root.path('vol'));
    await mountOver(root, lowers, '--bypass', tier, '-v', `${root.path('vol')}:/data`);
    t.match(await inRoot(root, POSTGRES), /^100000\n$/);
    t.equal(await inRoot(root, sqlite('/data')), 'delete\nok\n17143\nwal\nok\n17143\n');
    t.ok(existsSync(root.path('vol/pg/PG_VERSION')));
    await root.umount();
  });
}

void t.test('programs', { timeout: 1_200_000 }, async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  const base = await baseLayer();
  const packages = await packagesLayer(t, base);
  await testPrograms(t, [packages, base]);
  for (const tier of TIERS) await testTier(t, [packages, base], tier);
  return undefined;
});
