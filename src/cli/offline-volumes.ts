// `lamina volume ls` and `rm` while no engine runs: the data root is read and changed here. Called by volume-commands.ts.

import { dataRoot, type Store, volumeRecords, withStore } from '../store/index.js';
import { readRecords } from '../transport/registry.js';
import { removeVolume } from '../volume/named.js';
import type { Offline } from './command.js';
import { tellAsOwn } from './failures.js';
import { table } from './table.js';

export const ls: Offline = {
  flags: ['quiet', 'json'],
  tell: tellAsOwn,
  async run(args) {
    const volumes = await withStore(dataRoot(), (store) => volumeRecords(store).list());
    if (args.has('json')) process.stdout.write(`${JSON.stringify(volumes, undefined, 2)}\n`);
    else if (args.has('quiet')) for (const volume of volumes) process.stdout.write(`${volume.name}\n`);
    else {
      const rows = volumes.map((volume) => ['local', volume.name]);
      process.stdout.write(table(['DRIVER', 'VOLUME NAME'], rows));
    }
    return 0;
  },
};

async function removeOne(store: Store, name: string): Promise<string | undefined> {
  const volume = await volumeRecords(store).get(name);
  if (!volume) return `get ${name}: no such volume`;
  const containers = await store.transaction((records) => records.list('container'));
  const users = containers.filter(({ mounts }) => mounts.some((mount) => mount.Name === name)).map(({ id }) => id);
  if (users.length > 0) return `remove ${name}: volume is in use - [${users.join(', ')}]`;
  const user = readRecords().find((record) => record.routes.some((route) => route.source === volume.path));
  if (user) return `remove ${name}: volume is in use - [${user.target}]`;
  await removeVolume(dataRoot(), volumeRecords(store), name);
  return undefined;
}

export const rm: Offline = {
  flags: [],
  tell: tellAsOwn,
  async run(args) {
    let code = 0;
    for (const name of args.rest) {
      const error = await withStore(dataRoot(), (store) => removeOne(store, name));
      if (error === undefined) process.stdout.write(`${name}\n`);
      else process.stderr.write(`lamina: ${error}\n`);
      if (error !== undefined) code = 1;
    }
    return code;
  },
};
