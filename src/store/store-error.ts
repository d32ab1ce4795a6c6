// The error of the store: its message names the path, the cause and the next step, and is meant for the user.

export class StoreError extends Error {
  override readonly name = 'StoreError';

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
  }
}
