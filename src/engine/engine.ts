// What all endpoints share.

import type { Context } from '../container/context.js';
import type { Execs } from '../container/exec.js';
import type { Lifecycle } from '../container/lifecycle.js';

export interface Engine {
  readonly context: Context;
  readonly lifecycle: Lifecycle;
  readonly execs: Execs;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly version: string;
}
