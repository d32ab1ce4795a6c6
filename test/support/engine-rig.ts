// An engine of its own for a test: data root, run directory and socket in a scratch directory, images made from Debian's
// busybox, and clients to type at it. Everything it started is gone after `dispose`.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeBusyboxArchive } from '../../src/demo/busybox.js';
import { type Done, command, mountTable, mustCommand, processesWith, signal, waitFor } from './command.js';
import { checkout, scratchDir } from './paths.js';

/** The command lines that everything is typed in. */
export const clients = ['lamina', 'docker'] as const;
export type ClientName = (typeof clients)[number];

export class EngineRig {
  readonly dir = scratchDir();
  readonly socket = join(this.dir, 'engine.sock');
  readonly env = {
    LAMINA_ROOT: join(this.dir, 'data'),
    LAMINA_RUN: join(this.dir, 'run'),
    LAMINA_SOCKET: this.socket,
    LAMINA_TEST_ROOT: this.dir,
    LAMINA_NO_START: '1',
    DOCKER_HOST: `unix://${this.socket}`,
    DOCKER_CONFIG: join(this.dir, 'docker'),
    PATH: `${join(checkout, 'bin')}:${process.env['PATH'] ?? ''}`,
  };
  #daemon: ChildProcess | undefined;
  #isLimited = false;

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  /** Puts the data root on a small filesystem of its own. Before `start`. */
  async limitData(size: string, inodes?: number): Promise<void> {
    const disk = this.path('disk');
    mkdirSync(this.env.LAMINA_ROOT);
    await mustCommand(['truncate', '-s', size, disk]);
    const count = inodes === undefined ? [] : ['-N', String(inodes)];
    await mustCommand(['mkfs.ext4', '-q', '-m', '0', '-I', '256', ...count, disk]);
    await mustCommand(['mount', '-o', 'loop', disk, this.env.LAMINA_ROOT]);
    this.#isLimited = true;
  }

  /** Starts the daemon and waits until it answers. `env` is added to its environment. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const log = this.path('daemon.log');
    const child = spawn('sh', ['-c', `exec "$0" daemon 2>>"$1"`, join(checkout, 'bin', 'lamina'), log], {
      env: { ...process.env, ...this.env, ...env },
      stdio: 'ignore',
    });
    this.#daemon = child;
    await waitFor('the daemon to answer', () => {
      if (child.exitCode !== null) throw new Error(`the daemon ended: ${readFileSync(log, 'utf8')}`);
      return existsSync(this.socket);
    });
  }

  /** kill -9; its containers run on. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
    rmSync(this.socket, { force: true });
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#daemon;
    this.#daemon = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  /** An image `busybox`, also known as `ubuntu`. */
  async loadImages(): Promise<void> {
    const archive = this.path('busybox.tar');
    makeBusyboxArchive(archive);
    await this.must('lamina', 'load', '-i', archive);
    for (const name of ['busybox', 'ubuntu']) await this.must('lamina', 'tag', 'lamina-demo', name);
  }

  /** Runs a client in a directory of the rig. */
  run(client: string, ...args: string[]): Promise<Done> {
    return command([client, ...args], { env: this.env, cwd: this.dir, limitMs: 60_000 });
  }

  /** Its output without the last newline; throws when it fails. */
  async must(client: string, ...args: string[]): Promise<string> {
    const done = await this.run(client, ...args);
    if (done.code !== 0) throw new Error(`${client} ${args.join(' ')}: exit ${done.code}: ${done.stderr}${done.stdout}`);
    return done.stdout.replace(/\n$/, '');
  }

  /** A line for sh in the rig's directory, as a user types it. */
  async sh(line: string): Promise<Done> {
    return command(['sh', '-c', line], { env: this.env, cwd: this.dir, limitMs: 60_000 });
  }

  /** The daemon's or the supervisor's. A child that has not yet become what it is to run looks like its parent. */
  pid(role: 'daemon' | 'supervisor'): number | undefined {
    if (role === 'daemon') return this.#daemon?.pid;
    return this.processes().find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('supervisor-main.js');
      } catch {
        return false;
      }
    });
  }

  mounts(): string[] {
    return mountTable()
      .map((entry) => entry.point)
      .filter((point) => point.startsWith(this.dir));
  }

  processes(): number[] {
    return processesWith(`LAMINA_TEST_ROOT=${this.dir}`);
  }

  log(): string {
    return existsSync(this.path('daemon.log')) ? readFileSync(this.path('daemon.log'), 'utf8') : '';
  }

  /** `dispose`, which must find nothing left behind. */
  async end(): Promise<void> {
    const left = await this.dispose();
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
  }

  /** Removes every container and network, ends the engine, and takes away what is left. Returns what was left behind. */
  async dispose(): Promise<string[]> {
    if (this.#daemon) {
      const ids = (await this.run('lamina', 'ps', '-aq')).stdout.split('\n').filter(Boolean);
      if (ids.length > 0) await this.run('lamina', 'rm', '-f', '-v', ...ids);
    }
    await this.stop();
    const left: string[] = [];
    await waitFor('its processes to end', () => this.processes().length === 0, 5000).catch(() =>
      left.push(`processes ${this.processes().join(' ')}`),
    );
    for (const pid of this.processes()) signal(pid, 'SIGKILL');
    if (this.#isLimited) await command(['umount', this.env.LAMINA_ROOT], { limitMs: 10_000 });
    for (const point of this.mounts().reverse()) {
      left.push(`mount ${point}`);
      await command(['umount', '-l', point], { limitMs: 5000 });
    }
    await this.#removeBridges();
    rmSync(this.dir, { recursive: true, force: true });
    return left;
  }

  /** The engine keeps its default bridge, as Docker does. */
  async #removeBridges(): Promise<void> {
    const file = this.path('data', 'network', 'networks.json');
    if (!existsSync(file)) return;
    for (const { device, id } of JSON.parse(readFileSync(file, 'utf8')) as { device: string; id: string }[]) {
      if (device === '') continue;
      await command(['ip', 'link', 'delete', device]);
      for (const table of ['filter', 'nat']) {
        const rules = (await command(['iptables', '-w', '-t', table, '-S'])).stdout.split('\n');
        for (const rule of rules.filter((each) => each.includes(`lamina ${id.slice(0, 12)}`))) {
          await command(['sh', '-c', `iptables -w -t ${table} ${rule.replace(/^-A/, '-D')}`]);
        }
      }
    }
  }
}
