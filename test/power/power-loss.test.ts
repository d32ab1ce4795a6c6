// Power fails at any moment while a union is changed: its upper is on ext4 on a disk that records every write and flush
// (disk.py); from the recording, disks as a loss could have left them are made, mounted and looked at (work.py).
// LAMINA_POWER=N looks at N of them, LAMINA_POWER_SEED chooses which, LAMINA_POWER_KIND=overlay asks kernel overlayfs.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { command, mustCommand, processesWith, signal, waitFor } from '../support/command.js';
import { type Kind, mountLamina, mountOverlay, privilegedRequired, unavailable } from '../support/mounts.js';
import { checkout, scratchDir } from '../support/paths.js';
import { Recording } from './recording.js';

const LOSSES = Number(process.env['LAMINA_POWER'] ?? 8);
const SEED = Number(process.env['LAMINA_POWER_SEED'] ?? Date.now() % 1_000_000);
const KIND: Kind = process.env['LAMINA_POWER_KIND'] === 'overlay' ? 'overlay' : 'lamina';
const DISK_MB = 48;

const script = (name: string): string => join(checkout, 'test', 'power', name);

/** do: an fsync after each step · lazy: none, so that the kernel writes back what it likes when it likes. */
type Mode = 'do' | 'lazy';

class Bench {
  readonly dir = scratchDir();
  readonly #env = { LAMINA_TEST_RIG: this.dir };

  path(...names: string[]): string {
    return join(this.dir, ...names);
  }

  async prepare(): Promise<void> {
    for (const name of ['lower', 'disk', 'root']) mkdirSync(this.path(name));
    await mustCommand(['touch', this.path('device')]);
    await mustCommand(['python3', script('work.py'), 'lower', this.path('lower')]);
    await mustCommand(['truncate', '-s', `${DISK_MB}M`, this.path('base.img')]);
    await mustCommand(['mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', this.path('base.img')]);
    await this.withDisk(this.path('base.img'), async () => {
      for (const name of ['upper', 'work']) mkdirSync(this.path('disk', name));
      await Promise.resolve();
    });
  }

  /** Mounts the filesystem in `file`, calls `use`, unmounts. */
  async withDisk(file: string, use: () => Promise<void>): Promise<void> {
    const loop = (await mustCommand(['losetup', '--find', '--show', file])).trim();
    try {
      await mustCommand(['mount', '-t', 'ext4', loop, this.path('disk')]);
      await use();
      // A server that is gone from /proc may still be closing its files.
      await waitFor('the disk to be free', async () => (await command(['umount', this.path('disk')])).code === 0);
    } finally {
      await command(['losetup', '--detach', loop]);
    }
  }

  /** Mounts the union over the disk, calls `use` with its path, unmounts. */
  async withUnion(use: (root: string) => Promise<void>): Promise<void> {
    const dirs = { lower: [this.path('lower')], upper: this.path('disk/upper'), work: this.path('disk/work') };
    await (KIND === 'lamina' ? mountLamina(dirs, this.path('root'), this.#env) : mountOverlay(dirs, this.path('root')));
    await use(this.path('root'));
    await mustCommand(['umount', this.path('root')]);
    await waitFor('the server to end', () => processesWith(`LAMINA_TEST_RIG=${this.dir}`).length === 0);
  }

  /** The work, on a disk that records. */
  async record(mode: Mode): Promise<Recording> {
    const disk = spawn(
      'python3',
      [join(checkout, 'test', 'support', 'disk.py'), this.path('base.img'), this.path('log'), this.path('device')],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    const said = createInterface({ input: disk.stdout })[Symbol.asyncIterator]();
    if ((await said.next()).value !== 'ready') throw new Error('the recording disk did not start');
    const enter = async (mark: string): Promise<void> => {
      disk.stdin.write(`${mark}\n`);
      await said.next();
    };
    await this.withDisk(this.path('device'), () => this.withUnion((root) => work(mode, root, enter)));
    // A mount namespace that others made meanwhile may still show the union's disk.
    await waitFor('nobody to use the recording disk', async () => (await command(['umount', this.path('device')])).code === 0);
    if (disk.exitCode === null) await once(disk, 'exit');
    return new Recording(this.path('log'), this.path('base.img'));
  }

  /** What is wrong on the disk that a loss before entry `end` leaves. */
  async lose(recording: Recording, end: number, seed: number): Promise<string> {
    // A file for each: a mount namespace that others made meanwhile may keep the last one mounted, and written to.
    const lost = this.path(`lost-${end}-${seed}.img`);
    recording.loseAt(end, seed, lost);
    let faults = '';
    const look = async (root: string): Promise<void> => {
      const checked = await command(['python3', script('work.py'), 'check', root, ...recording.marks(end)]);
      faults = checked.code === 0 ? checked.stdout : checked.stderr;
    };
    await this.withDisk(lost, () => this.withUnion(look));
    rmSync(lost);
    return faults;
  }

  /** Takes everything away, whatever state it is in. */
  async dispose(): Promise<void> {
    for (const name of ['root', 'disk', 'device']) await command(['umount', '-l', this.path(name)]);
    for (const pid of processesWith(`LAMINA_TEST_RIG=${this.dir}`)) signal(pid, 'SIGKILL');
    await mustCommand(['rm', '-rf', '--one-file-system', this.dir]);
  }
}

/** Runs the steps; `enter` is called when the fsync of one has returned. */
async function work(mode: Mode, root: string, enter: (mark: string) => Promise<void>): Promise<void> {
  const child: ChildProcess = spawn('python3', [script('work.py'), mode, root], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  if (!child.stdout || !child.stdin) throw new Error('no pipes');
  for await (const line of createInterface({ input: child.stdout })) {
    await enter(line.replace('mark ', ''));
    child.stdin.write('\n');
  }
  const [code] = (await exited) as [number | null];
  if (code !== 0) throw new Error(`the work ended with ${code}`);
}

/** Where the power fails: spread over the recording, each a little off the even distance. */
function moments(recording: Recording): number[] {
  const distance = recording.length / LOSSES;
  return Array.from({ length: LOSSES }, (_, i) =>
    Math.min(recording.length, Math.ceil(distance * i + (((SEED * 7919 + i * 104_729) % 997) / 997) * distance)),
  );
}

const promises: Readonly<Record<Mode, string>> = {
  do: 'each object is wholly old or new, and new where fsync had returned',
  lazy: 'each object is wholly old or new, though nobody called fsync',
};

for (const mode of ['do', 'lazy'] as const) {
  void t.test(`${KIND}: after a loss of power ${promises[mode]}`, async (t: Test) => {
    const missing = await unavailable(KIND);
    if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
    const bench = new Bench();
    t.teardown(() => bench.dispose());
    await bench.prepare();
    const recording = await bench.record(mode);
    t.comment(`${recording.length} entries, ${recording.flushes} flushes, ${LOSSES} losses; LAMINA_POWER_SEED=${SEED}`);
    if (mode === 'do') t.ok(recording.flushes >= 24, 'every step reached the disk by itself');
    for (const end of [...moments(recording), recording.length]) {
      t.equal(await bench.lose(recording, end, SEED + end), '', `power lost before entry ${end}`);
    }
    return undefined;
  });
}
