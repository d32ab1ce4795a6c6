// Another name for a container, which its networks and whoever looks it up learn. Called by lifecycle.ts.

import type { Context } from './context.js';
import { EngineError } from './errors.js';
import { announce } from './start.js';

/** Docker says what it was at. */
function naming(reserve: () => string): string {
  try {
    return reserve();
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.status, `Error when allocating new name: ${error.message}`);
  }
}

/** Errors: 400 for a name that is none, 409 for one that is taken. */
export async function renameContainer(context: Context, reference: string, name: string): Promise<void> {
  const { registry } = context;
  const { id } = registry.find(reference);
  if (name === '') throw new EngineError(400, 'Neither old nor new names may be empty');
  await registry.exclusive(id, async () => {
    const record = registry.find(id);
    if (name.replace(/^\//, '') === record.name) {
      throw new EngineError(400, 'Renaming a container with the same name as its current name');
    }
    const taken = naming(() => registry.reserveName(name, id));
    const renamed = await registry.update(id, { name: taken }).catch((error: unknown) => {
      registry.releaseName(taken, id);
      throw error;
    });
    registry.releaseName(record.name, id);
    if (renamed) announce(context, renamed);
    context.publish('rename', { ...record, name: taken }, { oldName: `/${record.name}` });
  });
}
