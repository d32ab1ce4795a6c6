// Freezing a container and thawing it. What is frozen and not known to be would not even take SIGKILL, so the record and
// the freezer go together, also on a disk without room. Called by lifecycle.ts.

import type { Context } from './context.js';
import { conflict } from './errors.js';
import { runc, whileItRuns } from './runc.js';

/** Errors: 409 when it does not run or is paused. */
export async function pauseContainer(context: Context, reference: string): Promise<void> {
  const { registry } = context;
  const { id } = registry.find(reference);
  await registry.exclusive(id, async () => {
    const record = registry.find(id);
    if (record.state.status === 'paused') throw conflict(`container ${id} is already paused`);
    if (record.state.status !== 'running') throw conflict(`container ${id} is not running`);
    await whileItRuns(record, runc(context.bundle(id), ['pause', id]));
    try {
      await registry.setState(id, { status: 'paused' });
    } catch (error) {
      await whileItRuns(record, runc(context.bundle(id), ['resume', id]));
      throw error;
    }
    context.publish('pause', record);
  });
}

/** Errors: 409 when it is not paused. */
export async function unpauseContainer(context: Context, reference: string): Promise<void> {
  const { registry } = context;
  const { id } = registry.find(reference);
  await registry.exclusive(id, async () => {
    const record = registry.find(id);
    if (record.state.status !== 'paused') throw conflict(`Container ${id} is not paused`);
    await whileItRuns(record, runc(context.bundle(id), ['resume', id]));
    await context.retries.do(`unpausing of ${id.slice(0, 12)}`, async () => {
      if (registry.get(id)?.state.status === 'paused') await registry.setState(id, { status: 'running' });
    });
    context.publish('unpause', record);
  });
}
