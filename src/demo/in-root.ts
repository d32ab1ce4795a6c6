// Commands in the mounted root: a container of runc when runc works here, chroot otherwise. Called by main.ts.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Done, Stage } from './stage.js';

interface RuncConfig {
  process: { terminal: boolean; args: string[]; rlimits?: unknown };
  root: { path: string; readonly: boolean };
  linux: { seccomp?: unknown };
}

export class InRoot {
  private constructor(
    private readonly stage: Stage,
    private readonly target: string,
    /** What runs the commands. */
    readonly runner: 'runc' | 'chroot',
  ) {}

  /** Finds out what can run commands in the root mounted at `target`. */
  static async open(stage: Stage, target: string): Promise<InRoot> {
    const runc = new InRoot(stage, target, 'runc');
    const works = await runc.#runc('true').then(
      (done) => done.code === 0,
      () => false,
    );
    return works ? runc : new InRoot(stage, target, 'chroot');
  }

  /** Shows a shell line and what it printed; its output. Throws when it fails. */
  async show(line: string): Promise<string> {
    const done = await this.try(line);
    if (done.code !== 0) throw new Error(`exit ${done.code} in the root of: ${line}`);
    return done.output;
  }

  /** Shows a shell line that may fail and what it printed. */
  async try(line: string): Promise<Done> {
    this.stage.say(`  / # ${line}`);
    const done = await (this.runner === 'runc' ? this.#runc(line) : this.#chroot(line));
    this.stage.sayOutput(done.output);
    return done;
  }

  #chroot(line: string): Promise<Done> {
    return this.stage.run(['chroot', this.target, '/bin/sh', '-c', line]);
  }

  async #runc(line: string): Promise<Done> {
    const bundle = this.stage.path('bundle');
    const file = join(bundle, 'config.json');
    mkdirSync(bundle, { recursive: true });
    rmSync(file, { force: true });
    await this.stage.must(['runc', 'spec', '--bundle', bundle]);
    const config = JSON.parse(readFileSync(file, 'utf8')) as RuncConfig;
    config.process.terminal = false;
    config.process.args = ['/bin/sh', '-c', line];
    // A runc without libseccomp, or a shell with lower limits, would refuse the defaults.
    delete config.process.rlimits;
    delete config.linux.seccomp;
    config.root = { path: this.stage.path(this.target), readonly: false };
    writeFileSync(file, JSON.stringify(config));
    return this.stage.run(['runc', '--root', this.stage.path('runc'), 'run', '--bundle', bundle, this.stage.container]);
  }
}
