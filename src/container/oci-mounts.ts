// The mounts of a container's OCI spec: what every container has, the engine's own files, volumes and tmpfs, in the order
// in which they are mounted. Used by oci-spec.ts.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerRecord, MountPoint } from '../store/index.js';
import { sortMounts } from '../volume/spec.js';
import { tmpfsOptions } from './tmpfs.js';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export const SHM_SIZE = 64 << 20;
/** Where the init is: in /dev, so that nothing of it is in the container's files. */
export const INIT_PATH = '/dev/init';

/** /dev/shm and /dev/mqueue: the container's own, the host's, or, where `shm` is a directory, those of several. */
function ipcMounts(record: ContainerRecord, shm: string | undefined): OciMount[] {
  const { IpcMode: mode, ShmSize: size } = record.hostConfig;
  const bound = (destination: string, source: string): OciMount => ({
    destination,
    type: 'bind',
    source,
    options: ['rbind', 'rprivate', 'nosuid', 'noexec', 'nodev'],
  });
  const queue = { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] };
  // A host may have no message queues mounted: then there are none to share but by the namespace.
  if (mode === 'host')
    return [existsSync('/dev/mqueue') ? bound('/dev/mqueue', '/dev/mqueue') : queue, bound('/dev/shm', '/dev/shm')];
  if (mode === 'none') return [queue];
  if (shm !== undefined) return [queue, bound('/dev/shm', shm)];
  const options = ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${size || SHM_SIZE}`];
  return [queue, { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options }];
}

function kernelMounts(record: ContainerRecord, shm: string | undefined): OciMount[] {
  const { Privileged: privileged } = record.hostConfig;
  const access = privileged ? 'rw' : 'ro';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', access] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [access, 'nosuid', 'noexec', 'nodev'] },
    ...ipcMounts(record, shm),
  ];
}

/** Files that the engine writes, over whatever the image or a volume has there; not over a user's own mount. */
function engineFiles(record: ContainerRecord, directory: string, taken: ReadonlySet<string>): OciMount[] {
  return ['resolv.conf', 'hostname', 'hosts']
    .map((name) => ({ name, destination: `/etc/${name}` }))
    .filter(({ destination }) => !taken.has(destination))
    .map(({ name, destination }) => ({
      destination,
      type: 'bind',
      source: join(directory, name),
      options: ['rbind', 'rprivate', record.hostConfig.ReadonlyRootfs ? 'ro' : 'rw'],
    }));
}

/** A volume's mount. `source` is where it is on the host, which for a subpath is a pinned place. */
export function volumeMount(mount: MountPoint, source: string): OciMount {
  const access = mount.RW ? 'rw' : mount.writableBelow ? 'ro' : 'rro';
  return {
    destination: mount.Destination,
    type: 'bind',
    source,
    options: [mount.nonRecursive ? 'bind' : 'rbind', mount.Propagation || 'rprivate', access],
  };
}

/** One that `--mount type=tmpfs` asks for. */
function tmpfsMount({ Destination: destination, RW: rw, tmpfs = {} }: MountPoint): OciMount {
  const { SizeBytes: size, Mode: mode } = tmpfs;
  const more = [rw ? [] : 'ro', size ? `size=${size}` : [], mode ? `mode=${mode.toString(8)}` : []].flat();
  return { destination, type: 'tmpfs', source: 'tmpfs', options: ['noexec', 'nosuid', 'nodev', ...more] };
}

export interface MountPlaces {
  /** Directory of the files that the engine writes. */
  readonly files: string;
  /** Of a /dev/shm that others may share. */
  readonly shm: string | undefined;
  /** Of the init, when there is one. */
  readonly init: string | undefined;
}

/**
 * All mounts, shallow first.
 * @param routed volumes that the root's own mount presents already (`--storage-opt lamina.bypass=...`)
 */
export function ociMounts(
  record: ContainerRecord,
  places: MountPlaces,
  sources: ReadonlyMap<string, string>,
  routed: boolean,
): OciMount[] {
  const tmpfs = Object.entries(record.hostConfig.Tmpfs ?? {}).map(([destination, options]) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: tmpfsOptions(options),
  }));
  const volumes = record.mounts.flatMap((mount) => {
    if (mount.Type === 'tmpfs') return tmpfsMount(mount);
    return routed ? [] : volumeMount(mount, sources.get(mount.Destination) ?? mount.Source);
  });
  const own = sortMounts([...volumes, ...tmpfs]);
  const destinations = new Set([...record.mounts.map((mount) => mount.Destination), ...own.map((each) => each.destination)]);
  const kernel = kernelMounts(record, places.shm).filter(({ destination }) => !destinations.has(destination));
  const init = { destination: INIT_PATH, type: 'bind', source: places.init ?? '', options: ['bind', 'rprivate', 'ro'] };
  return [...kernel, ...own, ...engineFiles(record, places.files, destinations), ...(places.init ? [init] : [])];
}
