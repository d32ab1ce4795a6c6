// An engine that is killed at chosen steps (kill-at.ts) of chosen work, in the daemon, in the supervisor or in both, and
// checked afterwards (engine-audit.ts).

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './command.js';
import { EngineAudit } from './engine-audit.js';
import { EngineRig } from './engine-rig.js';
import type { KillOrders } from './kill-at.js';

export type Victim = 'daemon' | 'supervisor' | 'both';

/** Work to be cut short. */
export interface Work {
  readonly name: string;
  /** What must be there before each try. */
  readonly before?: () => Promise<unknown>;
  readonly act: () => Promise<unknown>;
  /** Takes away what a try has left that is whole. */
  readonly after?: () => Promise<unknown>;
}

/** Calls that come by the hundred: a few of each stand for all. */
const MANY =
  /^(mkdirat|mknodat|symlinkat|linkat|unlinkat|fchownat|fchmodat|utimensat|setxattr|copyData|openat2) |^renameat2 [^.]/;
const FEW = 4;

/** Numbers of the steps that are worth dying at. */
export function chosen(steps: readonly string[]): number[] {
  const numbers = steps.map((_, i) => i + 1);
  const many = numbers.filter((n) => MANY.test(steps[n - 1] ?? ''));
  const few = many.filter((_, i) => i === 0 || i === many.length - 1 || i % Math.ceil(many.length / FEW) === 1);
  return numbers.filter((n) => !MANY.test(steps[n - 1] ?? '') || few.includes(n));
}

export class KillRig {
  readonly rig = new EngineRig();
  readonly audit = new EngineAudit(this.rig);
  readonly #orders = this.rig.path('orders');

  start(): Promise<void> {
    return this.rig.start({
      LAMINA_KILL_ORDERS: this.#orders,
      NODE_OPTIONS: `--require ${join(__dirname, 'kill-at.js')}`,
    });
  }

  async order(role: 'daemon' | 'supervisor', orders: KillOrders): Promise<void> {
    const path = `${this.#orders}.${role}`;
    rmSync(`${path}.taken`, { force: true });
    writeFileSync(path, JSON.stringify(orders));
    const pid = this.rig.pid(role);
    if (pid === undefined) throw new Error(`no ${role} runs`);
    process.kill(pid, 'SIGUSR2');
    await waitFor(`the ${role} to take its orders`, () => existsSync(`${path}.taken`));
  }

  /** The steps that `work` takes when nobody is killed. */
  async steps(role: 'daemon' | 'supervisor', work: Work): Promise<string[]> {
    await work.before?.();
    const trace = this.rig.path('trace');
    await this.order(role, { trace });
    await work.act();
    // The end of some work goes on behind the answer.
    await this.audit.run();
    await this.order(role, {});
    await work.after?.();
    return readFileSync(trace, 'utf8').split('\n').filter(Boolean);
  }

  /** Does `work`, in which the victim dies at step `at`; restarts what died. False when it lived to the end. */
  async cut(victim: Victim, work: Work, at: number): Promise<boolean> {
    const role = victim === 'both' ? 'supervisor' : victim;
    await work.before?.();
    const pid = this.rig.pid(role);
    await this.order(role, { at });
    const isDead = (): boolean => pid === undefined || isGone(pid);
    const failed = await work.act().then(
      () => false,
      () => true,
    );
    // The client hears of it first.
    await waitFor('the victim to die', isDead, failed ? 1000 : 100).catch(() => undefined);
    const died = isDead();
    if (!died) await this.order(role, {});
    if (victim === 'both' || (victim === 'daemon' && died)) {
      await this.rig.kill();
      await this.start();
    }
    return died;
  }
}

function isGone(pid: number): boolean {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return true;
  }
}
