// The life of containers: every change of state goes through here, one at a time for each container. Called by engine/.

import type { ContainerRecord, HostConfig } from '../store/index.js';
import type { Context } from './context.js';
import { type CreateRequest, createContainer } from './create.js';
import { EngineError, conflict, failure, messageOf } from './errors.js';
import { wasKilledForMemory } from './memory.js';
import { recover } from './recovery.js';
import { removeContainer } from './remove.js';
import { renameContainer } from './rename.js';
import { Restarts } from './restarts.js';
import { changesAsked, checkHostOptions, checkUpdate } from './host-options.js';
import { pauseContainer, unpauseContainer } from './pausing.js';
import { updateLimits, whileItRuns } from './runc.js';
import { SIGKILL, parseSignal } from './signals.js';
import { timerMs } from './timers.js';
import { announce, startContainer, takeDown } from './start.js';
import { isUp } from './state.js';
import type { SupervisorState, TaskExit } from './supervisor-protocol.js';
import { readRecords } from '../transport/registry.js';
import { touchVolumes } from './volume-use.js';

const STOP_TIMEOUT_S = 10;
/** How long a killed container may take to end. */
const KILL_LIMIT_MS = 30_000;

export class Lifecycle {
  /** Ids of containers that are being removed. */
  readonly #removing = new Set<string>();
  /** Ids of containers that somebody restarts: their end is not what removes them. */
  readonly #restarted = new Set<string>();
  readonly #restarts: Restarts;

  constructor(readonly context: Context) {
    this.#restarts = new Restarts(context, (record) => this.#startNow(record));
  }

  create(request: CreateRequest): Promise<ContainerRecord> {
    return createContainer(this.context, request);
  }

  /** Errors: 304 when it runs, 409 when it is paused, and those of `startContainer`. */
  async start(reference: string, size?: readonly [number, number]): Promise<ContainerRecord> {
    const { id } = this.context.registry.find(reference);
    try {
      return await this.context.registry.exclusive(id, async () => {
        const record = this.context.registry.find(id);
        if (record.state.status === 'paused') throw conflict('cannot start a paused container, try unpause instead');
        if (record.state.status === 'running') throw new EngineError(304, 'container already started');
        this.#restarts.cancel(id);
        const { restartCount } = record;
        const fresh = restartCount === 0 ? record : await this.context.registry.update(id, { restartCount: 0 });
        return this.#startNow(fresh ?? record, size);
      });
    } catch (error) {
      const record = this.context.registry.get(id);
      if (record?.hostConfig.AutoRemove && !isUp(record)) await this.remove(id, { force: false, volumes: true });
      throw error;
    }
  }

  /** Sends a signal. Errors: 409 when it does not run. */
  async kill(reference: string, signal: string): Promise<void> {
    const { registry } = this.context;
    const number = parseSignal(signal || 'SIGKILL');
    const { id } = registry.find(reference);
    const isOver = number === SIGKILL && this.isRestarting(id) && (await registry.exclusive(id, () => this.#giveUp(id)));
    const record = registry.find(id);
    if (isOver) return this.context.publish('kill', record, { signal: String(number) });
    if (!isUp(record)) throw conflict(`cannot kill container: ${reference}: container ${record.id} is not running`);
    // Docker's: who sends the signal that stops it does not want it to be started again.
    if ([SIGKILL, parseSignal(record.config.StopSignal || 'SIGTERM')].includes(number)) await this.#noteStop(id);
    await this.#signal(record, number);
    this.context.publish('kill', record, { signal: String(number) });
    if (number !== SIGKILL) return;
    // A paused container takes no signal; one that is to die must be thawed.
    await this.#thaw(record.id);
    await this.#untilExit(record.id, KILL_LIMIT_MS);
  }

  /** Signal, time to obey, SIGKILL. Errors: 304 when it does not run. */
  async stop(reference: string, timeout?: number, signal?: string): Promise<void> {
    const record = this.context.registry.find(reference);
    const { id } = record;
    this.#restarts.cancel(id);
    if (!isUp(record)) {
      await this.#noteStop(id);
      throw new EngineError(304, 'container already stopped');
    }
    await this.#noteStop(id);
    const seconds = timeout ?? record.config.StopTimeout ?? STOP_TIMEOUT_S;
    const first = parseSignal(signal || record.config.StopSignal || 'SIGTERM');
    await this.#signal(record, first);
    this.context.publish('kill', record, { signal: String(first) });
    await this.#thaw(id);
    if (!(await this.#untilExit(id, seconds < 0 ? undefined : seconds * 1000))) {
      await this.#signal(record, SIGKILL);
      this.context.publish('kill', record, { signal: String(SIGKILL) });
      await this.#untilExit(id, KILL_LIMIT_MS);
    }
    this.context.publish('stop', record);
  }

  async restart(reference: string, timeout?: number, signal?: string): Promise<void> {
    const record = this.context.registry.find(reference);
    this.#restarted.add(record.id);
    try {
      if (isUp(record)) await this.stop(record.id, timeout, signal);
      await this.start(record.id);
    } finally {
      this.#restarted.delete(record.id);
    }
    this.context.publish('restart', record);
  }

  pause(reference: string): Promise<void> {
    return pauseContainer(this.context, reference);
  }

  unpause(reference: string): Promise<void> {
    return unpauseContainer(this.context, reference);
  }

  /** Lets a paused container take the signal that was sent to it; somebody else may thaw it at the same time. */
  async #thaw(id: string): Promise<void> {
    if (this.context.registry.get(id)?.state.status !== 'paused') return;
    await this.unpause(id).catch((error: unknown) => {
      if (!(error instanceof EngineError)) throw error;
    });
  }

  rename(reference: string, name: string): Promise<void> {
    return renameContainer(this.context, reference, name);
  }

  /** Changes limits and the restart policy; of a container that runs, at once. */
  async update(reference: string, change: HostConfig): Promise<void> {
    const { id } = this.context.registry.find(reference);
    await this.context.registry.exclusive(id, async () => {
      const record = this.context.registry.find(id);
      const asked = changesAsked(change);
      const hostConfig = { ...record.hostConfig, ...asked };
      checkUpdate(record, asked);
      checkHostOptions(record.config, hostConfig);
      if (isUp(record)) await whileItRuns(record, updateLimits(this.context.bundle(id), id, asked));
      await this.context.registry.update(id, { hostConfig });
      this.context.publish('update', record);
    });
  }

  /** Errors: 409 when it runs and `force` is not given, or somebody else is at it. */
  async remove(reference: string, options: { force: boolean; volumes: boolean }): Promise<void> {
    const record = this.context.registry.find(reference);
    if (this.#removing.has(record.id)) throw conflict(`removal of container ${record.id} is already in progress`);
    this.#removing.add(record.id);
    try {
      await this.#remove(record, options);
    } finally {
      this.#removing.delete(record.id);
    }
  }

  async #remove({ id }: ContainerRecord, options: { force: boolean; volumes: boolean }): Promise<void> {
    const { registry } = this.context;
    for (let isGone = false; !isGone;) {
      const record = registry.get(id);
      if (!record) return;
      if (isUp(record)) await this.#endForRemoval(record, options.force);
      this.#restarts.cancel(id);
      isGone = await registry.exclusive(id, async () => {
        const last = registry.get(id);
        // A start was before us in the queue.
        if (last && isUp(last)) return false;
        if (last) await removeContainer(this.context, last, options.volumes);
        return true;
      });
    }
  }

  /** Errors: 409 without `force`. */
  async #endForRemoval(record: ContainerRecord, force: boolean): Promise<void> {
    const state = record.state.status === 'paused' ? 'paused' : 'running';
    const advice = record.state.status === 'paused' ? 'unpause and then stop the container' : 'stop the container';
    if (!force) {
      throw conflict(
        `cannot remove container "${record.name}": container is ${state}: ${advice} before removing or force remove`,
      );
    }
    await this.kill(record.id, 'SIGKILL').catch((error: unknown) => {
      if (!(error instanceof EngineError)) throw error;
    });
    const left = this.context.registry.get(record.id);
    if (left && isUp(left) && left.state.pid === record.state.pid)
      throw failure(
        `cannot remove container "${record.name}": tried to kill it, but it has not ended in ${KILL_LIMIT_MS / 1000} s: try again`,
      );
  }

  /** The supervisor says that a container's init has ended. */
  async exited(id: string, exit: TaskExit): Promise<void> {
    const { registry } = this.context;
    await registry.exclusive(id, async () => {
      const record = registry.get(id);
      if (record && isUp(record)) {
        this.#restarts.noteEnd(record, exit);
        await this.#settle(record, exit);
      }
      await (await this.context.supervisor()).call('forget', { task: id });
    });
    const record = registry.get(id);
    if (!record || isUp(record)) return;
    if (this.#removing.has(id) || this.#restarted.has(id)) return;
    if (record.hostConfig.AutoRemove) await this.remove(id, { force: false, volumes: true });
    else this.#restarts.schedule(record, exit);
  }

  /** What the last daemon has left is settled; `state` is the supervisor's when there is one. */
  recover(state: SupervisorState | undefined): Promise<void> {
    return recover(this, this.#restarts, state);
  }

  /** The supervisor has died, and with it the roots of all containers. */
  async lost(): Promise<void> {
    for (const record of this.context.registry.list()) {
      if (isUp(record)) await this.exited(record.id, { code: 137, at: Date.now() });
    }
    // Drops those of the dead one.
    readRecords();
  }

  /** Whether a container has ended and its restart policy will start it again. */
  isRestarting(id: string): boolean {
    return this.#restarts.isDue(id);
  }

  /** Ends the waiting for restarts. */
  close(): void {
    this.#restarts.close();
  }

  async #startNow(record: ContainerRecord, size?: readonly [number, number]): Promise<ContainerRecord> {
    try {
      return await startContainer(this.context, record, size);
    } catch (error) {
      if (!(error instanceof EngineError)) throw failure(messageOf(error), error);
      throw error;
    }
  }

  async #settle(record: ContainerRecord, exit: TaskExit): Promise<void> {
    const { registry } = this.context;
    const { id } = record;
    const state = {
      status: 'exited' as const,
      pid: 0,
      exitCode: exit.code,
      oomKilled: wasKilledForMemory(record),
      finishedAt: exit.at,
    };
    const ended = (await registry.setState(id, state, { endpoints: [], ports: {} })) ?? record;
    announce(this.context, ended);
    this.context.publish('die', ended, { exitCode: String(exit.code) });
    registry.wake(ended, 'exit');
    await takeDown(this.context, id);
    this.context.publishNetworks('disconnect', ended);
    await touchVolumes(this.context, ended);
    for (const { Name: name } of ended.mounts) {
      if (name !== undefined) this.context.events.publish('volume', 'unmount', name, { container: id, driver: 'local' });
    }
  }

  /** Whether it was waiting to be started again, which to Docker is to run; now it is not. */
  async #giveUp(id: string): Promise<boolean> {
    await this.#noteStop(id);
    if (!this.isRestarting(id)) return false;
    this.#restarts.cancel(id);
    return true;
  }

  /** A full disk must keep nobody from stopping what fills it. */
  async #noteStop(id: string): Promise<void> {
    const log = (error: unknown): void => this.context.log(`container ${id.slice(0, 12)}: ${messageOf(error)}`);
    await this.context.registry.update(id, { stopped: true }).catch(log);
  }

  async #signal(record: ContainerRecord, signal: number): Promise<void> {
    await (await this.context.supervisor()).call('signal', { task: record.id, signal });
  }

  /** Whether it has ended within the limit; then what it had is free, its ports among it, and its end has been told. */
  async #untilExit(id: string, limitMs: number | undefined): Promise<boolean> {
    const hasEnded = await this.#hasEnded(id, limitMs);
    if (hasEnded) await this.context.registry.exclusive(id, () => Promise.resolve());
    return hasEnded;
  }

  async #hasEnded(id: string, limitMs: number | undefined): Promise<boolean> {
    const { registry } = this.context;
    const record = registry.get(id);
    if (!record || !isUp(record)) return true;
    const abort = new AbortController();
    const timer = limitMs === undefined ? undefined : setTimeout(() => abort.abort(), timerMs(limitMs));
    try {
      await registry.wait(id, 'exit', abort.signal);
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
