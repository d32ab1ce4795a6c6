// Brings records and the world together at the daemon's start: unfinished work is undone or done, containers that have ended
// meanwhile are settled, those that run are taken over, and policies start what they are to start. Called by lifecycle.ts.

import { existsSync } from 'node:fs';
import { settleDownloads } from '../image/index.js';
import { volumeRecords } from '../store/index.js';
import { readRecords } from '../transport/registry.js';
import { settleVolumes } from '../volume/named.js';
import type { Context } from './context.js';
import { undoCreate } from './create.js';
import { sweepInitLayers } from './init-layer.js';
import type { Lifecycle } from './lifecycle.js';
import { finishRemove } from './remove.js';
import type { Restarts } from './restarts.js';
import { mountedRoots, takeDown } from './start.js';
import { isUp } from './state.js';
import type { SupervisorState } from './supervisor-protocol.js';
import { SIGKILL } from './signals.js';

/** What creations and removals that a daemon died in have left. */
async function finishJournal(context: Context): Promise<void> {
  for (const entry of await context.store.transaction((records) => records.list('journal'))) {
    await takeDown(context, entry.id);
    if (entry.op === 'create') await undoCreate(context, entry.id, entry.volumes);
    else await finishRemove(context, entry.id, entry.volumes);
  }
}

async function abandon(context: Context, id: string): Promise<void> {
  const supervisor = await context.supervisor();
  await supervisor.call('signal', { task: id, signal: SIGKILL });
  await takeDown(context, id);
}

/** Containers whose record says something else than the supervisor. */
async function settleContainers(lifecycle: Lifecycle, state: SupervisorState | undefined): Promise<void> {
  const { context } = lifecycle;
  const mounted = mountedRoots(context);
  const tasks = new Map(state?.tasks.map((task) => [task.task, task]) ?? []);
  for (const record of context.registry.list()) {
    const task = tasks.get(record.id);
    if (isUp(record) && task && !task.exit) continue;
    if (isUp(record)) await lifecycle.exited(record.id, task?.exit ?? { code: 255, at: Date.now() });
    // A start that was cut short has no record of running.
    else if (task && !task.exit) await abandon(context, record.id);
    else if (mounted.has(record.id) || existsSync(context.bundle(record.id))) await takeDown(context, record.id);
  }
}

/** Tasks of containers that are no more, and ends that have been taken note of. */
async function forgetUnknown(context: Context, state: SupervisorState | undefined): Promise<void> {
  const supervisor = state && (await context.supervisor());
  for (const { task, container, exit } of state?.tasks ?? []) {
    const record = context.registry.get(container);
    if (exit) await supervisor?.call('forget', { task });
    else if (!record) await abandon(context, container);
  }
  for (const id of state?.mounts ?? []) if (!context.registry.get(id)) await takeDown(context, id);
}

async function startByPolicy({ registry }: Context, restarts: Restarts): Promise<void> {
  for (const record of registry.list()) {
    const policy = record.hostConfig.RestartPolicy?.Name;
    if (isUp(record) || record.state.startedAt === 0 || restarts.has(record.id)) continue;
    if (policy !== 'always' && (policy !== 'unless-stopped' || record.stopped)) continue;
    // What the user has stopped is up again with the daemon.
    if (record.stopped) await registry.update(record.id, { stopped: false });
    restarts.startLater(record.id, 0);
  }
}

/** @param state what the supervisor that is there has; undefined when there is none */
export async function recover(lifecycle: Lifecycle, restarts: Restarts, state: SupervisorState | undefined): Promise<void> {
  const { context } = lifecycle;
  const { root, store, registry } = context;
  await settleVolumes(root, volumeRecords(store));
  settleDownloads(root);
  await finishJournal(context);
  await settleContainers(lifecycle, state);
  await forgetUnknown(context, state);
  for (const { id, transient } of registry.list()) if (transient) await lifecycle.remove(id, { force: true, volumes: true });
  await sweepInitLayers(context);
  // Drops those of mounts that have ended.
  readRecords();
  await context.drivers.adopt(registry.list().filter(isUp));
  await startByPolicy(context, restarts);
}
