// Restarts by policy: which containers have ended and will be started again, and when. Owned by lifecycle.ts, which says what
// has ended and what somebody has stopped.

import type { ContainerRecord } from '../store/index.js';
import type { Context } from './context.js';
import { messageOf } from './errors.js';
import { isUp } from './state.js';
import type { TaskExit } from './supervisor-protocol.js';

/** Docker's pauses between restarts: doubled each time, reset by a run of ten seconds. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 60_000;
const STEADY_MS = 10_000;

/** Whether a container's restart policy starts it again when it has ended so. */
function startsAgain({ hostConfig, stopped, restartCount }: ContainerRecord, { code }: TaskExit): boolean {
  const { Name: policy = '', MaximumRetryCount: most = 0 } = hostConfig.RestartPolicy ?? {};
  if (stopped || hostConfig.AutoRemove) return false;
  return policy === 'on-failure'
    ? code !== 0 && (most === 0 || restartCount < most)
    : ['always', 'unless-stopped'].includes(policy);
}

export class Restarts {
  /** `due`: it has ended, and its policy has not yet started it again. */
  readonly #known = new Map<string, { timer?: NodeJS.Timeout; pause: number; due: boolean }>();

  constructor(
    private readonly context: Context,
    /** Called in the container's queue. */
    private readonly start: (record: ContainerRecord) => Promise<unknown>,
  ) {}

  /** Whether a container has ended and its restart policy will start it again. */
  isDue(id: string): boolean {
    const record = this.context.registry.get(id);
    return this.#known.get(id)?.due === true && record !== undefined && !isUp(record);
  }

  /** Whether it is due, or its policy has started it before. */
  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** A container has ended, which its record does not say yet: it is due from now on, or forgotten. */
  noteEnd(record: ContainerRecord, exit: TaskExit): void {
    if (startsAgain(record, exit)) this.#known.set(record.id, { pause: this.#pauseOf(record.id), due: true });
    else this.cancel(record.id);
  }

  /** What has ended is taken down: its next start can come. */
  schedule(record: ContainerRecord, exit: TaskExit): void {
    // Somebody may have stopped it since it was said to start again.
    if (!startsAgain(record, exit)) return this.cancel(record.id);
    const ran = exit.at - record.state.startedAt;
    const last = ran > STEADY_MS ? 0 : this.#pauseOf(record.id);
    this.startLater(record.id, Math.min(last === 0 ? FIRST_PAUSE_MS : last * 2, LONGEST_PAUSE_MS));
  }

  startLater(id: string, pause: number): void {
    const timer = setTimeout(() => {
      const record = this.context.registry.get(id);
      const isDue = record !== undefined && !isUp(record) && !record.stopped;
      this.#known.set(id, { pause, due: isDue });
      if (!isDue) return;
      this.#startNow(id).catch((error: unknown) => {
        this.context.log(`container ${id.slice(0, 12)}: restart: ${messageOf(error)}`);
        if (this.#known.has(id)) this.#known.set(id, { pause, due: false });
      });
    }, pause);
    this.#known.set(id, { timer, pause, due: true });
  }

  /** It is not to be started again. */
  cancel(id: string): void {
    clearTimeout(this.#known.get(id)?.timer);
    this.#known.delete(id);
  }

  /** Ends the waiting of all. */
  close(): void {
    for (const id of this.#known.keys()) this.cancel(id);
  }

  #pauseOf(id: string): number {
    return this.#known.get(id)?.pause ?? 0;
  }

  #startNow(id: string): Promise<void> {
    const { registry } = this.context;
    return registry.exclusive(id, async () => {
      const last = registry.get(id);
      // Somebody else was quicker.
      if (!last || isUp(last) || last.stopped) return;
      await registry.update(id, { restartCount: last.restartCount + 1 });
      await this.start(registry.find(id));
    });
  }
}
