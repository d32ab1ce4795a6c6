// Where the demo happens: a temporary directory with its own data and run directories, the commands shown as typed, and
// a way to leave nothing, also after a failure or Ctrl-C.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHECKOUT = join(__dirname, '..', '..', '..');
const LIMIT = 60_000;

export class Stage {
  readonly dir = mkdtempSync(join(tmpdir(), 'lamina-demo-'));
  readonly #env = { ...process.env, LAMINA_ROOT: join(this.dir, 'data'), LAMINA_RUN: join(this.dir, 'run') };
  readonly #hasRunc = spawnSync('runc', ['--version']).status === 0;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        this.clear();
        process.exit(130);
      });
    }
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** What runs commands in the root. */
  get runner(): string {
    return this.#hasRunc ? 'runc' : 'chroot';
  }

  /** Runs a lamina command, shown as typed with what it printed. Throws when it fails. */
  show(command: string, ...args: string[]): string {
    process.stdout.write(`  $ ${[command, ...args].join(' ').replaceAll(this.dir, '~')}\n`);
    return this.#run(join(CHECKOUT, 'bin', command), args);
  }

  /** Runs a shell line in the mounted root, shown with what it printed. */
  inRoot(line: string): string {
    process.stdout.write(`  / # ${line}\n`);
    const chroot = (): string => this.#run('chroot', [this.path('target'), '/bin/sh', '-c', line]);
    return this.#hasRunc ? this.#runc(line) : chroot();
  }

  /** Runs a program that is not shown; its output. */
  quiet(command: string, ...args: string[]): string {
    return this.#output(command === 'lamina' ? join(CHECKOUT, 'bin', command) : command, args);
  }

  #run(program: string, args: readonly string[]): string {
    const output = this.#output(program, args);
    for (const line of output.trimEnd().split('\n'))
      if (line !== '') process.stdout.write(`    ${line.replaceAll(this.dir, '~')}\n`);
    return output;
  }

  #output(program: string, args: readonly string[]): string {
    const done = spawnSync(program, args, {
      env: this.#env,
      encoding: 'utf8',
      timeout: LIMIT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = `${done.stdout}${done.stderr}`;
    if (done.status !== 0) throw new Error(`${[program, ...args].join(' ')}: ${done.error?.message ?? output.trim()}`);
    return output;
  }

  /** A bundle with the mounted root, run once. */
  #runc(line: string): string {
    const bundle = this.path('bundle');
    mkdirSync(bundle, { recursive: true });
    rmSync(join(bundle, 'config.json'), { force: true });
    this.#output('runc', ['spec', '--bundle', bundle]);
    const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as {
      process: { terminal: boolean; args: string[]; rlimits?: unknown };
      root: { path: string; readonly: boolean };
      linux: { namespaces: { type: string }[]; seccomp?: unknown; resources?: unknown };
    };
    config.process.terminal = false;
    config.process.args = ['/bin/sh', '-c', line];
    delete config.process.rlimits;
    config.root = { path: this.path('target'), readonly: false };
    delete config.linux.seccomp;
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    return this.#run('runc', ['--root', this.path('runc'), 'run', '--bundle', bundle, `lamina-demo-${process.pid}`]);
  }

  isWhiteout(name: string): boolean {
    const found = statSync(this.path(name));
    return found.isCharacterDevice() && found.rdev === 0;
  }

  #mounts(): string[] {
    return readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
      .filter((point) => point.startsWith(this.dir));
  }

  #servers(): string[] {
    return readdirSync('/proc').filter((name) => {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) return false;
      try {
        return readFileSync(`/proc/${name}/environ`, 'latin1').includes(`LAMINA_RUN=${this.dir}`);
      } catch {
        return false;
      }
    });
  }

  /** Takes everything away. */
  clear(): void {
    for (const point of this.#mounts().reverse()) {
      if (spawnSync('umount', [point], { timeout: LIMIT }).status !== 0) spawnSync('umount', ['-l', point], { timeout: LIMIT });
    }
    for (let tries = 0; tries < 100 && this.#servers().length > 0; tries++) spawnSync('sleep', ['0.05']);
    for (const pid of this.#servers()) process.kill(Number(pid), 'SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }

  isClear(): boolean {
    return this.#mounts().length === 0 && this.#servers().length === 0 && !existsSync(this.dir);
  }
}
