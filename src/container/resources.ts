// `linux.resources` of the OCI spec: what `--memory`, `--cpus` and their like ask of the cgroups. Used by oci-spec.ts.

import { statSync } from 'node:fs';
import type { HostConfig } from '../store/index.js';
import { type DeviceRule, deviceNumber } from './devices.js';
import { badParameter } from './errors.js';

const CPU_PERIOD = 100_000;

function memory(host: HostConfig): object {
  const swappiness = host.MemorySwappiness ?? -1;
  return {
    ...(host.Memory ? { limit: host.Memory, swap: host.MemorySwap || host.Memory * 2 } : {}),
    ...(host.MemoryReservation ? { reservation: host.MemoryReservation } : {}),
    ...(host.OomKillDisable ? { disableOOMKiller: true } : {}),
    ...(swappiness >= 0 ? { swappiness } : {}),
  };
}

function cpu(host: HostConfig): object {
  const quota = host.NanoCpus ? Math.round((host.NanoCpus * CPU_PERIOD) / 1e9) : host.CpuQuota;
  return {
    ...(host.CpuShares ? { shares: host.CpuShares } : {}),
    ...(quota ? { quota } : {}),
    ...(quota || host.CpuPeriod ? { period: host.CpuPeriod || CPU_PERIOD } : {}),
    ...(host.CpuRealtimePeriod ? { realtimePeriod: host.CpuRealtimePeriod } : {}),
    ...(host.CpuRealtimeRuntime ? { realtimeRuntime: host.CpuRealtimeRuntime } : {}),
    ...(host.CpusetCpus ? { cpus: host.CpusetCpus } : {}),
    ...(host.CpusetMems ? { mems: host.CpusetMems } : {}),
  };
}

/** Errors: 400 for a path that is no device. */
function numberOf(path: string): { major: number; minor: number } {
  try {
    return deviceNumber(statSync(path).rdev);
  } catch (error) {
    throw badParameter((error as Error).message);
  }
}

function blockIo(host: HostConfig): object | undefined {
  const rates = (list: HostConfig['BlkioDeviceReadBps']): object[] | undefined =>
    list && list.length > 0 ? list.map(({ Path, Rate }) => ({ ...numberOf(Path), rate: Rate })) : undefined;
  const weights = host.BlkioWeightDevice ?? [];
  const limits = {
    weight: host.BlkioWeight || undefined,
    weightDevice: weights.length > 0 ? weights.map(({ Path, Weight }) => ({ ...numberOf(Path), weight: Weight })) : undefined,
    throttleReadBpsDevice: rates(host.BlkioDeviceReadBps),
    throttleWriteBpsDevice: rates(host.BlkioDeviceWriteBps),
    throttleReadIOPSDevice: rates(host.BlkioDeviceReadIOps),
    throttleWriteIOPSDevice: rates(host.BlkioDeviceWriteIOps),
  };
  return Object.values(limits).some((value) => value !== undefined) ? limits : undefined;
}

/** Errors: 400. */
export function resources(host: HostConfig, devices: readonly DeviceRule[]): object {
  const blocks = blockIo(host);
  return {
    devices,
    memory: memory(host),
    cpu: cpu(host),
    ...(host.PidsLimit && host.PidsLimit > 0 ? { pids: { limit: host.PidsLimit } } : {}),
    ...(blocks ? { blockIO: blocks } : {}),
  };
}
