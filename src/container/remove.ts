// Removing a container: the record goes first, with a journal entry in the same batch by which a daemon that dies half way
// finishes what is left: directories, mounts, anonymous volumes that nothing else refers to.

import { removeTree } from '../process/remove-tree.js';
import { type ContainerRecord, volumeRecords } from '../store/index.js';
import type { Context } from './context.js';
import { removeUnused } from './volume-use.js';

/** Anonymous volumes of a container that go with it when nothing else refers to them. */
function anonymousOf(record: ContainerRecord): string[] {
  return record.mounts.flatMap(({ Type, Name, named }) => (Type === 'volume' && Name !== undefined && !named ? [Name] : []));
}

/** Does what a journal entry `remove` says, of a container that has nothing running or mounted any more. */
export async function finishRemove(context: Context, id: string, volumes: readonly string[]): Promise<void> {
  await removeTree(context.directory(id));
  const records = volumeRecords(context.store);
  for (const name of volumes) {
    if (!(await records.get(name))?.anonymous) continue;
    if (await removeUnused(context, name, id)) context.events.publish('volume', 'destroy', name, { driver: 'local' });
  }
  await context.store.transaction((each) => each.commit([{ table: 'journal', key: id }]));
}

/** Removes a container that does not run, with its anonymous volumes if `volumes`. */
export async function removeContainer(context: Context, record: ContainerRecord, volumes: boolean): Promise<void> {
  const { id } = record;
  const going = volumes ? anonymousOf(record) : [];
  await context.registry.delete(id, [{ table: 'journal', key: id, value: { id, op: 'remove', volumes: going } }]);
  await context.retries.do(`removal of ${id.slice(0, 12)}`, () => finishRemove(context, id, going));
  context.publish('destroy', record);
  context.registry.wake(record, 'removed');
}
