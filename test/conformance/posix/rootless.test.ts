// The POSIX suite without root: as nobody through fusermount3, and as root of a user namespace of 65,536 ids, as rootless
// engines run. What a plain ext4 directory does in the same place is the reference: lamina must not differ by a check.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { isDeepStrictEqual } from 'node:util';
import { command, mustCommand, waitFor } from '../../support/command.js';
import { privilegedRequired, unavailable } from '../../support/mounts.js';
import { checkout } from '../../support/paths.js';
import { Root } from '../../support/roots.js';
import { Worker } from '../../support/worker.js';
import type { Behaviour } from './behaviour.js';
import { runOn, type Report, type Target } from './run.js';
import { CHOSEN } from './suite.js';

/** Without LAMINA_POSIX=all one behaviour in three: an odd step, so that every table has its turn. */
const ASKED = CHOSEN.filter((_, i) => process.env['LAMINA_POSIX'] === 'all' || i % 3 === 0);
const NOBODY = 65534;
const FIRST_ID = 100_000;

/** A mount namespace with a /dev/fuse for all, kept by a process, and the words before a command that runs in it. */
class Elsewhere {
  readonly root = new Root();
  readonly #keepers: ChildProcess[] = [];
  prefix: string[] = [];

  async #keep(argv: readonly string[], inside: () => boolean): Promise<number> {
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { stdio: 'ignore' });
    this.#keepers.push(child);
    await waitFor(`${argv.join(' ')} to be there`, inside);
    return child.pid ?? 0;
  }

  /** As nobody. */
  async enterAsNobody(): Promise<void> {
    const pid = await this.#fuseForAll();
    this.#own(NOBODY);
    this.prefix = [
      'nsenter',
      '-t',
      String(pid),
      '-m',
      'setpriv',
      `--reuid=${NOBODY}`,
      `--regid=${NOBODY}`,
      '--clear-groups',
      'env',
      ...this.#env(),
    ];
  }

  /** As root of a user namespace, which lives as long as a process that sleeps in it; #keep has it ended. */
  async enterAsMappedRoot(): Promise<void> {
    const outer = await this.#fuseForAll();
    this.#own(FIRST_ID);
    const pidFile = this.root.path('pid');
    chmodSync(this.root.dir, 0o777);
    const script = `echo $$ > ${pidFile}; exec sleep 600`;
    await this.#keep(['nsenter', '-t', String(outer), '-m', 'unshare', '-U', '-m', 'sh', '-c', script], () => readable(pidFile));
    const pid = readFileSync(pidFile, 'utf8').trim();
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${map}`, `0 ${FIRST_ID} 65536`);
    this.prefix = ['nsenter', '-t', pid, '-U', '-m', '--setuid', '0', '--setgid', '0', 'env', ...this.#env()];
  }

  async #fuseForAll(): Promise<number> {
    const fuse = this.root.path('fuse');
    const there = this.root.path('checkout');
    mkdirSync(there);
    chmodSync(this.root.dir, 0o755);
    const script = `mknod ${fuse} c 10 229; chmod 666 ${fuse}; mount --bind ${fuse} /dev/fuse; mount --bind ${checkout} ${there}; touch ${there}-ready; exec sleep 600`;
    return this.#keep(['unshare', '-m', 'sh', '-euc', script], () => readable(`${there}-ready`));
  }

  #own(id: number): void {
    mkdirSync(this.root.path('plain'));
    mkdirSync(this.root.path('vol'));
    for (const name of ['.', 'target', 'upper', 'work', 'lower', 'plain', 'vol']) chownSync(this.root.path(name), id, id);
  }

  #env(): string[] {
    return [...Object.entries(this.root.env).map(([name, value]) => `${name}=${value}`), `HOME=${this.root.dir}`];
  }

  async lamina(...args: string[]): Promise<void> {
    await mustCommand([...this.prefix, this.root.path('checkout/bin/lamina'), ...args], { cwd: '/', limitMs: 60_000 });
  }

  worker(): Worker {
    return new Worker(this.prefix);
  }

  async leave(): Promise<void> {
    await command([...this.prefix, this.root.path('checkout/bin/lamina'), 'umount', this.root.target], {
      cwd: '/',
      limitMs: 20_000,
    });
    for (const keeper of this.#keepers.reverse()) keeper.kill('SIGKILL');
    await this.root.dispose();
  }
}

function readable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Where to work, in one that was entered; the mounts differ. */
function target(elsewhere: Elsewhere, name: string, has: (item: Behaviour) => boolean, up: () => Promise<string>): Target {
  return { name, up, down: () => Promise.resolve(), worker: () => elsewhere.worker(), has };
}

/** Operations whose outcome differs. */
function differences(reference: Report, report: Report): string[] {
  return [...reference.outcomes].flatMap(([name, outcomes]) =>
    outcomes.flatMap((outcome, i) => {
      const other = report.outcomes.get(name)?.[i];
      return isDeepStrictEqual(outcome, other)
        ? []
        : [`${name}, ${i}: ext4 ${JSON.stringify(outcome)}, lamina ${JSON.stringify(other)}`];
    }),
  );
}

async function compareThere(
  t: Test,
  enter: (elsewhere: Elsewhere) => Promise<void>,
  has: (item: Behaviour) => boolean,
): Promise<void> {
  const elsewhere = new Elsewhere();
  t.teardown(() => elsewhere.leave());
  await enter(elsewhere);
  const { root } = elsewhere;
  const plain = await runOn(
    target(elsewhere, 'ext4', has, () => Promise.resolve(root.path('plain'))),
    ASKED,
  );
  const layers = ['--lower', root.path('lower'), '--upper', root.upper, '--work', root.path('work')];
  const up = async (): Promise<string> => {
    await elsewhere.lamina('mount', ...layers, '-v', `${root.path('vol')}:/data`, root.target);
    return root.target;
  };
  const union = await runOn(target(elsewhere, 'union', has, up), ASKED);
  t.strictSame(differences(plain, union), [], `${union.checks} checks in a union end as on ext4`);
  const volume = await runOn(
    target(elsewhere, 'volume', has, () => Promise.resolve(`${root.target}/data`)),
    ASKED,
  );
  t.strictSame(differences(plain, volume), [], `${volume.checks} checks in a volume end as on ext4`);
  t.comment(`what this place refuses on ext4 too: ${plain.failures.length} checks`);
}

void t.test('POSIX without root', { timeout: 300_000 }, async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  const alone = (item: Behaviour): boolean => [...item.given, ...item.ops].every((op) => op.user === undefined);
  await t.test('as nobody, through fusermount3', (t) => compareThere(t, (elsewhere) => elsewhere.enterAsNobody(), alone));
  await t.test('as root of a user namespace', (t) =>
    compareThere(
      t,
      (elsewhere) => elsewhere.enterAsMappedRoot(),
      () => true,
    ),
  );
  return undefined;
});
