// Health checks of running containers: each is run in the container at its interval, and what it finds is the container's
// health, kept in memory as execs are. Follows the containers by their events. Made by engine/daemon.ts.

import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerRecord, HealthConfig } from '../store/index.js';
import type { Context } from './context.js';
import { messageOf } from './errors.js';
import type { Execs } from './exec.js';
import { healthCommand } from './health-config.js';
import { timerMs } from './timers.js';

const SECOND = 1e9;
const MILLISECOND = 1e6;
/** Docker's. */
const DEFAULTS = { interval: 30 * SECOND, timeout: 30 * SECOND, startInterval: 5 * SECOND, retries: 3 };
const KEPT_RESULTS = 5;
const SHELL: readonly string[] = ['/bin/sh', '-c'];

export interface HealthResult {
  readonly Start: string;
  readonly End: string;
  readonly ExitCode: number;
  readonly Output: string;
}

/** `State.Health`. */
export interface HealthState {
  Status: 'starting' | 'healthy' | 'unhealthy';
  FailingStreak: number;
  Log: HealthResult[];
}

interface Watch {
  readonly state: HealthState;
  stop: AbortController;
}

/** Read anew after a wait, which the compiler does not expect to change it. */
const hasStopped = (signal: AbortSignal): boolean => signal.aborted;

export class Health {
  readonly #watches = new Map<string, Watch>();
  readonly #unsubscribe: () => void;

  constructor(
    private readonly context: Context,
    private readonly execs: Execs,
  ) {
    const actions: Readonly<Record<string, (id: string) => void>> = {
      start: (id) => this.#begin(id, true),
      unpause: (id) => this.#begin(id, false),
      pause: (id) => this.#watches.get(id)?.stop.abort(),
      die: (id) => this.#end(id),
      destroy: (id) => void this.#watches.delete(id),
    };
    this.#unsubscribe = context.events.subscribe(({ Type, Action, Actor }) => {
      if (Type === 'container') actions[Action]?.(Actor.ID);
    });
  }

  /** Health of a container; undefined when it has no check. */
  of(id: string): HealthState | undefined {
    return this.#watches.get(id)?.state;
  }

  /** Takes over the containers that run already. */
  adopt(): void {
    for (const { id, state } of this.context.registry.list()) {
      if (state.status === 'running' && !this.#watches.has(id)) this.#begin(id, true);
    }
  }

  close(): void {
    this.#unsubscribe();
    for (const { stop } of this.#watches.values()) stop.abort();
  }

  #begin(id: string, afresh: boolean): void {
    const record = this.context.registry.get(id);
    const config = record?.config.Healthcheck;
    const command = healthCommand(config, record?.config.Shell ?? SHELL);
    if (!record || !config || !command) return;
    const known = afresh ? undefined : this.#watches.get(id)?.state;
    this.#watches.get(id)?.stop.abort();
    const watch = { state: known ?? { Status: 'starting' as const, FailingStreak: 0, Log: [] }, stop: new AbortController() };
    this.#watches.set(id, watch);
    void this.#follow(record, config, command, watch).catch((error: unknown) =>
      this.context.log(`container ${id.slice(0, 12)}: health: ${messageOf(error)}`),
    );
  }

  #end(id: string): void {
    const watch = this.#watches.get(id);
    if (!watch) return;
    watch.stop.abort();
    watch.state.Status = 'unhealthy';
  }

  async #follow(record: ContainerRecord, config: HealthConfig, command: readonly string[], watch: Watch): Promise<void> {
    const { signal } = watch.stop;
    const begun = Date.now();
    const interval = (config.Interval || DEFAULTS.interval) / MILLISECOND;
    const startPeriod = (config.StartPeriod ?? 0) / MILLISECOND;
    const startInterval = (config.StartInterval || DEFAULTS.startInterval) / MILLISECOND;
    while (!signal.aborted) {
      const isStarting = watch.state.Status === 'starting' && Date.now() - begun < startPeriod;
      await delay(timerMs(isStarting ? Math.min(startInterval, interval) : interval), undefined, { signal }).catch(
        () => undefined,
      );
      if (hasStopped(signal)) return;
      const result = await this.#check(record, config, command, signal);
      if (hasStopped(signal)) return;
      const forgiven = watch.state.Status === 'starting' && Date.now() - begun < startPeriod;
      this.#note(record, watch.state, result, config.Retries || DEFAULTS.retries, forgiven);
    }
  }

  async #check(
    record: ContainerRecord,
    config: HealthConfig,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<HealthResult> {
    const limit = (config.Timeout || DEFAULTS.timeout) / MILLISECOND;
    const Start = new Date().toISOString();
    const done = (ExitCode: number, Output: string): HealthResult => ({ Start, End: new Date().toISOString(), ExitCode, Output });
    try {
      const { exitCode, output, late } = await this.execs.run(record, command, limit, signal);
      if (!late) return done(exitCode, output);
      return done(
        -1,
        `Health check exceeded timeout (${limit >= 1000 ? `${limit / 1000}s` : `${limit}ms`})${output && `: ${output}`}`,
      );
    } catch (error) {
      return done(-1, messageOf(error));
    }
  }

  #note(record: ContainerRecord, state: HealthState, result: HealthResult, retries: number, forgiven: boolean): void {
    const before = state.Status;
    state.Log.push(result);
    if (state.Log.length > KEPT_RESULTS) state.Log.shift();
    if (result.ExitCode === 0) {
      state.FailingStreak = 0;
      state.Status = 'healthy';
    } else if (!forgiven) {
      state.FailingStreak++;
      if (state.FailingStreak >= retries) state.Status = 'unhealthy';
    }
    if (state.Status !== before) this.context.publish(`health_status: ${state.Status}`, record);
  }
}
