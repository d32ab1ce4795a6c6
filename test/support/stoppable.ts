// A directory that another process serves by FUSE and that can be made to hang: its server is stopped, and goes on when
// told to. Used by tests of what a hung backing or layer stalls.

import { readFileSync, rmdirSync } from 'node:fs';
import { command, mustCommand, processesWith, waitFor } from './command.js';
import { scratchDir } from './paths.js';

function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat[stat.lastIndexOf(')') + 2] ?? '';
}

export class Stoppable {
  readonly path = scratchDir(); // not below a root's directory, where nothing may stay mounted

  get #servers(): number[] {
    return processesWith(`LAMINA_TEST_BACKING=${this.path}`);
  }

  /** Shows `directory` at `path`. */
  async serve(directory: string): Promise<void> {
    await mustCommand(['fuse-overlayfs', '-o', `lowerdir=${directory}`, this.path], { env: { LAMINA_TEST_BACKING: this.path } });
  }

  async stop(): Promise<void> {
    const servers = this.#servers;
    for (const pid of servers) process.kill(pid, 'SIGSTOP');
    await waitFor('the backing to stop', () => servers.every((pid) => stateOf(pid) === 'T'));
  }

  wake(): void {
    for (const pid of this.#servers) process.kill(pid, 'SIGCONT');
  }

  /** Throws when it is still in use. */
  async end(): Promise<void> {
    await mustCommand(['umount', this.path]);
    await waitFor('the backing server to end', () => this.#servers.length === 0);
  }

  /** Takes it away, whatever state it is in. */
  async dispose(): Promise<void> {
    this.wake();
    await command(['umount', '-l', this.path]);
    rmdirSync(this.path);
  }
}
