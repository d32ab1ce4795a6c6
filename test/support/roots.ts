// A container root mounted through bin/lamina, in a scratch directory of its own with its own run and data directories.
// Used by tests of routes, of the command line and of leaks; operations run in a child (worker.ts).

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { abortFuse, command, mountTable, mustCommand, processesWith, signal, waitFor, type Done } from './command.js';
import { lostNodes } from './lost-nodes.js';
import type { Op, Outcome } from './ops.js';
import { checkout, scratchDir } from './paths.js';
import { Worker } from './worker.js';

export class Root {
  readonly dir = scratchDir();
  readonly target = join(this.dir, 'target');
  readonly upper = join(this.dir, 'upper');
  readonly env = { LAMINA_RUN: join(this.dir, 'run'), LAMINA_ROOT: join(this.dir, 'data'), LAMINA_TEST_ROOT: this.dir };
  #worker: Worker | undefined;

  /** `nofile`: how many files lamina may have open. */
  constructor(private readonly nofile?: number) {
    for (const name of ['target', 'upper', 'work', 'lower']) mkdirSync(join(this.dir, name));
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  /** Runs bin/lamina. */
  lamina(...args: string[]): Promise<Done> {
    const limited = this.nofile === undefined ? [] : ['prlimit', `--nofile=${this.nofile}:${this.nofile}`];
    return command([...limited, join(checkout, 'bin', 'lamina'), ...args], { env: this.env, cwd: this.dir, limitMs: 60_000 });
  }

  /** Mounts `lower` with upper and work; further arguments come before the target. Throws with its complaint. */
  async mount(...args: string[]): Promise<void> {
    const done = await this.lamina(
      'mount',
      '--lower',
      this.path('lower'),
      '--upper',
      this.upper,
      '--work',
      this.path('work'),
      ...args,
      this.target,
    );
    if (done.code !== 0) throw new Error(`mount: exit ${done.code}: ${done.stderr}`);
  }

  /** Runs operations in the mounted root, from a child. */
  run(...ops: Op[]): Promise<Outcome[]> {
    this.#worker ??= new Worker();
    return this.#worker.run(this.target, ops);
  }

  /** What each operation ended with: its value, or the name of its errno. */
  async results(...ops: Op[]): Promise<unknown[]> {
    return (await this.run(...ops)).map((outcome) => ('v' in outcome ? outcome.v : 'e' in outcome ? outcome.e : outcome.x));
  }

  mounts(): string[] {
    return mountTable()
      .map((entry) => entry.point)
      .filter((point) => point.startsWith(this.dir));
  }

  servers(): number[] {
    return processesWith(`LAMINA_TEST_ROOT=${this.dir}`);
  }

  /** Unmounts through bin/lamina; throws when anything of the mount is left, or was held in it by its server. */
  async umount(): Promise<void> {
    await this.#worker?.end();
    this.#worker = undefined;
    const lost = await lostNodes(this.env.LAMINA_RUN, this.target);
    const done = await this.lamina('umount', this.target);
    if (done.code !== 0) throw new Error(`umount: exit ${done.code}: ${done.stderr}`);
    await this.settle();
    if (this.mounts().length > 0) throw new Error(`left mounted: ${this.mounts().join(', ')}`);
    if (lost !== undefined) throw new Error(`the server held ${lost}`);
  }

  /** Waits for the server to end: what it served is unmounted. */
  settle(): Promise<void> {
    return waitFor('the server to end', () => this.servers().length === 0);
  }

  /** Takes everything away, whatever state it is in. */
  async dispose(): Promise<void> {
    await this.#worker?.end();
    for (const point of this.mounts().reverse()) {
      const gone = await command(['umount', point], { limitMs: 5000 });
      if (gone.code === 0) continue;
      if (point === this.target) abortFuse(point);
      await command(['umount', '-l', point], { limitMs: 5000 });
    }
    for (const pid of this.servers()) signal(pid, 'SIGKILL');
    // rm, which does not mind paths of any length.
    await mustCommand(['rm', '-rf', '--one-file-system', this.dir], { limitMs: 120_000 });
  }
}
