// Volumes while a container runs: where each one's source is on the host (made, mounted by its driver, pinned below a
// subpath), and when it was last used; and the removal of those that nothing uses.

import { closeSync, fstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sys } from '../native/load.js';
import { openInside } from '../native/open-inside.js';
import { AT_FDCWD, MNT_DETACH, Open, Resolve } from '../native/syscalls.js';
import { removeTree } from '../process/remove-tree.js';
import { type ContainerRecord, type MountPoint, volumeRecords } from '../store/index.js';
import { bindPath } from '../transport/bind.js';
import { mountpointsBelow } from '../transport/check.js';
import { openSource } from '../volume/backing.js';
import { removeVolume } from '../volume/named.js';
import { errno, errnoText } from '../abi/errno.js';
import type { Context } from './context.js';
import { EngineError, badParameter, conflict } from './errors.js';

function bytes(path: string): string {
  return Buffer.from(path).toString('latin1');
}

/**
 * Binds the place of a subpath, found without leaving the volume, to a place of the bundle: whatever happens to the path
 * afterwards, that is what the container gets.
 */
async function pinSubpath(mount: MountPoint, place: string): Promise<string> {
  const { Source: source, subpath = '' } = mount;
  const base = sys.openat2(AT_FDCWD, bytes(source), Open.PATH | Open.DIRECTORY, 0, 0);
  if (base < 0) throw badParameter(`cannot access path ${source}: ${errnoText(base)}`);
  const fd = openInside(base, bytes(subpath), Open.PATH, 0, Resolve.BENEATH);
  closeSync(base);
  if (fd === -errno.EXDEV)
    throw badParameter(`path concatenation escapes the base directory, base: ${source}, subpath: ${subpath}`);
  if (fd < 0) throw badParameter(`cannot access path ${source}/${subpath}: ${errnoText(fd)}`);
  try {
    if (fstatSync(fd).isDirectory()) mkdirSync(place, { recursive: true, mode: 0o700 });
    else writeFileSync(place, '', { mode: 0o600 });
    const complaint = await bindPath(`/proc/${process.pid}/fd/${fd}`, place);
    if (complaint !== undefined) throw badParameter(`cannot pin ${source}/${subpath}: ${complaint}`);
    return place;
  } finally {
    closeSync(fd);
  }
}

/** Sources by destination. Errors: VolumeSpecError, VolumeError, EngineError; what was done goes with `releaseVolumes`. */
export async function useVolumes(context: Context, record: ContainerRecord): Promise<ReadonlyMap<string, string>> {
  const sources = new Map<string, string>();
  const names = record.mounts.flatMap(({ Name }) => Name ?? []);
  await context.drivers.use(record.id, names);
  const places = join(context.bundle(record.id), 'subpaths');
  for (const [i, mount] of record.mounts.entries()) {
    if (mount.Type === 'tmpfs') continue;
    const source = mount.Type === 'bind' ? openSource(mount.Source, mount.create ?? false) : mount.Source;
    if (mount.subpath !== undefined) mkdirSync(places, { recursive: true, mode: 0o711 });
    const place = join(places, String(i));
    sources.set(mount.Destination, mount.subpath === undefined ? source : await pinSubpath(mount, place));
  }
  await touchVolumes(context, record);
  for (const { Name: name, Destination: destination, RW: rw } of record.mounts) {
    if (name === undefined) continue;
    const where = { destination, 'read/write': String(rw), propagation: '' };
    context.events.publish('volume', 'mount', name, { container: record.id, driver: 'local', ...where });
  }
  return sources;
}

/** Takes down what `useVolumes` has made, and the bundle. */
export async function releaseVolumes(context: Context, id: string): Promise<void> {
  const pinned = mountpointsBelow(join(context.bundle(id), 'subpaths'));
  for (const mountpoint of pinned) sys.umount2(bytes(mountpoint), MNT_DETACH);
  await removeTree(context.bundle(id));
  await context.drivers.release(id);
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

/** Removes a volume unless something other than `id`, which goes or has failed, uses it. Whether it did. */
export async function removeUnused(context: Context, name: string, id: string): Promise<boolean> {
  const mustBeUnused = (): void => {
    if (context.registry.volumeUsers(name).some((user) => user !== id)) throw conflict(`volume ${name} is in use`);
  };
  try {
    await removeVolume(context.root, volumeRecords(context.store), name, mustBeUnused);
    return true;
  } catch (error) {
    if (error instanceof EngineError) return false;
    throw error;
  }
}
