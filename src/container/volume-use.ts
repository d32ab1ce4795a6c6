// Volumes while a container runs: where each one's source is on the host (made, mounted by its driver, pinned below a
// subpath), and when it was last used.

import { closeSync } from 'node:fs';
import { sys } from '../native/load.js';
import { AT_FDCWD, Open, Resolve } from '../native/syscalls.js';
import type { ContainerRecord, MountPoint } from '../store/index.js';
import { openSource } from '../volume/backing.js';
import { errno, errnoText } from '../abi/errno.js';
import type { Context } from './context.js';
import { badParameter } from './errors.js';

function bytes(path: string): string {
  return Buffer.from(path).toString('latin1');
}

/** The place of a subpath, found without leaving the volume. */
function subpathOf(mount: MountPoint): string {
  const { Source: source, subpath = '' } = mount;
  const base = sys.openat2(AT_FDCWD, bytes(source), Open.PATH | Open.DIRECTORY, 0, 0);
  if (base < 0) throw badParameter(`cannot access path ${source}: ${errnoText(base)}`);
  const fd = sys.openat2(base, bytes(subpath), Open.PATH, 0, Resolve.BENEATH);
  closeSync(base);
  if (fd === -errno.EXDEV)
    throw badParameter(`path concatenation escapes the base directory, base: ${source}, subpath: ${subpath}`);
  if (fd < 0) throw badParameter(`cannot access path ${source}/${subpath}: ${errnoText(fd)}`);
  closeSync(fd);
  return `${source}/${subpath}`;
}

/** Sources by destination. Errors: VolumeSpecError, VolumeError, EngineError. */
export async function useVolumes(
  context: Context,
  record: ContainerRecord,
  routed: boolean,
): Promise<ReadonlyMap<string, string>> {
  const sources = new Map<string, string>();
  if (routed) return sources;
  for (const mount of record.mounts) {
    const source = mount.Type === 'bind' ? openSource(mount.Source, mount.create ?? false) : mount.Source;
    sources.set(mount.Destination, mount.subpath === undefined ? source : subpathOf(mount));
  }
  await touchVolumes(context, record);
  return sources;
}

/** Notes when the container's volumes were last in use. */
export async function touchVolumes(context: Context, record: ContainerRecord): Promise<void> {
  const names = record.mounts.flatMap(({ Name }) => Name ?? []);
  if (names.length === 0) return;
  await context.store.transaction(async (records) => {
    const volumes = await Promise.all(names.map((name) => records.get('volume', name)));
    const known = volumes.flatMap((volume) => volume ?? []);
    await records.commit(known.map((value) => ({ table: 'volume', key: value.name, value: { ...value, lastUsed: Date.now() } })));
  });
}
