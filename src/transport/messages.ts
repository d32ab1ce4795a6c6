// What the mounting thread and the serving worker say to each other.

import type { MountStats } from '../native/mount.js';
import type { MountPlan, RoutePlan } from './plan.js';

/** What the worker starts with: the mounting thread owns the eventfd. */
export interface WorkerData {
  wakeFd: number;
}

/** What a mount shows: a union, or the backing directory or file of a route. */
export type Shown = { union: MountPlan } | { route: RoutePlan; posixAcl: boolean };

export type ToWorker =
  | { type: 'serve'; mount: number; fuseFd: number; shown: Shown }
  /** How many fds a mount may keep open, beside its roots; comes before `serve`, and whenever it changes. */
  | { type: 'fds'; mount: number; limit: number }
  | { type: 'stats'; mount: number; reply: number }
  /** Serve it no longer, whoever still has it. */
  | { type: 'end'; mount: number }
  | { type: 'stop' };

export type FromWorker =
  /** The kernel got its INIT answer. `paths`: where each route of a union's plan is in the root. */
  | { type: 'ready'; mount: number; paths: string[] }
  | { type: 'failed'; mount: number; message: string }
  | { type: 'ended'; mount: number }
  | { type: 'stats'; reply: number; stats: MountStats | undefined }
  | { type: 'log'; message: string };
