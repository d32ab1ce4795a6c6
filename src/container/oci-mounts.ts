// The mounts of a container's OCI spec: what every container has, the engine's own files, volumes and tmpfs, in the order
// in which they are mounted. Used by oci-spec.ts.

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

const SHM_SIZE = 64 << 20;

function kernelMounts(record: ContainerRecord): OciMount[] {
  const { Privileged: privileged, ShmSize: shm } = record.hostConfig;
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
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${shm || SHM_SIZE}`],
    },
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

/**
 * All mounts, shallow first.
 * @param routed volumes that the root's own mount presents already (`--storage-opt lamina.bypass=...`)
 */
export function ociMounts(
  record: ContainerRecord,
  directory: string,
  sources: ReadonlyMap<string, string>,
  routed: boolean,
): OciMount[] {
  const tmpfs = Object.entries(record.hostConfig.Tmpfs ?? {}).map(([destination, options]) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: tmpfsOptions(options),
  }));
  const asked = (record.hostConfig.Mounts ?? [])
    .filter(({ Type }) => Type === 'tmpfs')
    .map((mount) => ({
      destination: mount.Target ?? '',
      type: 'tmpfs',
      source: 'tmpfs',
      options: [
        'noexec',
        'nosuid',
        'nodev',
        ...(mount.ReadOnly ? ['ro'] : []),
        ...(mount.TmpfsOptions?.SizeBytes ? [`size=${mount.TmpfsOptions.SizeBytes}`] : []),
        ...(mount.TmpfsOptions?.Mode ? [`mode=${mount.TmpfsOptions.Mode.toString(8)}`] : []),
      ],
    }));
  const volumes = routed ? [] : record.mounts.map((mount) => volumeMount(mount, sources.get(mount.Destination) ?? mount.Source));
  const own = sortMounts([...volumes, ...tmpfs, ...asked]);
  const destinations = new Set([...record.mounts.map((mount) => mount.Destination), ...own.map((each) => each.destination)]);
  const kernel = kernelMounts(record).filter(({ destination }) => !destinations.has(destination));
  return [...kernel, ...own, ...engineFiles(record, directory, destinations)];
}
