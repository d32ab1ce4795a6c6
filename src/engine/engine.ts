// What all endpoints share.

import type { Context } from '../container/context.js';
import type { Execs } from '../container/exec.js';
import type { Health } from '../container/health.js';
import type { Lifecycle } from '../container/lifecycle.js';
import type { EngineNetworks } from './network.js';

export interface Engine {
  readonly context: Context;
  readonly lifecycle: Lifecycle;
  readonly execs: Execs;
  readonly health: Health;
  readonly networks: EngineNetworks;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly version: string;
}
