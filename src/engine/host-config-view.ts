// How a container's HostConfig looks to clients: with every field that Docker's has, and its defaults where nothing was asked.

import { SHM_SIZE } from '../container/oci-mounts.js';
import { MASKED, READ_ONLY } from '../container/oci-spec.js';
import type { HostConfig } from '../store/index.js';

/** What Docker shows of what nobody asked for. */
const UNASKED = {
  Binds: null,
  ContainerIDFile: '',
  PortBindings: {},
  AutoRemove: false,
  VolumeDriver: '',
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: 'host',
  Dns: null,
  DnsOptions: null,
  DnsSearch: null,
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: 'private',
  Cgroup: '',
  Links: null,
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: SHM_SIZE,
  Runtime: 'runc',
  Isolation: '',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuCount: 0,
  CpuPercent: 0,
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  IOMaximumBandwidth: 0,
  IOMaximumIOps: 0,
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: false,
  PidsLimit: null,
  Ulimits: [],
};

/** `links`: as they are shown. */
export function hostConfigView(asked: HostConfig, links: readonly string[]): object {
  // Clients send '', 0 and null for what was not asked.
  const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== null && value !== '' && value !== 0));
  return {
    ...UNASKED,
    ...given,
    LogConfig: { Type: asked.LogConfig?.Type || 'json-file', Config: asked.LogConfig?.Config ?? {} },
    RestartPolicy: { Name: asked.RestartPolicy?.Name || 'no', MaximumRetryCount: asked.RestartPolicy?.MaximumRetryCount ?? 0 },
    NetworkMode: asked.NetworkMode || 'bridge',
    MemorySwappiness: asked.MemorySwappiness ?? null,
    // 0 is what an update has taken away.
    PidsLimit: asked.PidsLimit ?? null,
    Links: links.length > 0 ? links : null,
    MaskedPaths: asked.MaskedPaths ?? (asked.Privileged ? null : MASKED),
    ReadonlyPaths: asked.ReadonlyPaths ?? (asked.Privileged ? null : READ_ONLY),
  };
}
