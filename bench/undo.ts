// What must be taken back when the bench ends, in reverse order of making, however it ends.
// targets.ts pushes unmounts, host.ts busy loops, main.ts the scratch directory; main.ts alone unwinds.

export type Action = () => Promise<void>;

export class Undo {
  readonly #actions = new Set<Action>();

  /** Registers `action`; the returned function performs it now, once, and forgets it. */
  push(action: Action): Action {
    this.#actions.add(action);
    return async () => {
      if (this.#actions.delete(action)) await action();
    };
  }

  /** Performs what is left, newest first. Failures are returned, none stops the rest. */
  async unwind(): Promise<Error[]> {
    const failures: Error[] = [];
    for (const action of [...this.#actions].reverse()) {
      this.#actions.delete(action);
      await action().catch((cause: unknown) => failures.push(cause instanceof Error ? cause : new Error(String(cause))));
    }
    return failures;
  }
}
