// What a container asks of its host, checked before anything is made: Docker's limits in Docker's words, and what this engine
// cannot do refused by name rather than passed over. Used by create.ts and lifecycle.ts.

import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { ContainerConfig, ContainerRecord, HostConfig } from '../store/index.js';
import { bypassOf } from './bypass.js';
import { badParameter, conflict } from './errors.js';
import { checkLogOptions } from './log-options.js';
import { parseSignal } from './signals.js';

const RESTART: readonly string[] = ['', 'no', 'always', 'unless-stopped', 'on-failure'];
const LEAST_MEMORY = 6 << 20;

function refuse(flag: string, why: string): never {
  throw badParameter(`${flag} is not supported: ${why}`);
}

function checkRestart({ RestartPolicy: asked, AutoRemove: remove }: HostConfig): void {
  const { Name: policy = '', MaximumRetryCount: retries = 0 } = asked ?? {};
  if (!RESTART.includes(policy))
    throw badParameter(`invalid restart policy: unknown policy '${policy}'; use one of '${RESTART.slice(1).join("', '")}'`);
  if (retries > 0 && policy !== 'on-failure') {
    throw badParameter(`invalid restart policy: maximum retry count can only be used with 'on-failure'`);
  }
  if (retries < 0) throw badParameter('invalid restart policy: maximum retry count cannot be negative');
  if (remove && policy !== '' && policy !== 'no') {
    throw badParameter("can't create 'AutoRemove' container with restart policy");
  }
}

function checkMemory({ Memory = 0, MemorySwap = 0, MemoryReservation = 0, MemorySwappiness }: HostConfig): void {
  const usage = 'see usage';
  if (Memory > 0 && Memory < LEAST_MEMORY) throw badParameter('Minimum memory limit allowed is 6MB');
  if (Memory > 0 && MemorySwap > 0 && MemorySwap < Memory) {
    throw badParameter(`Minimum memoryswap limit should be larger than memory limit, ${usage}`);
  }
  if (Memory === 0 && MemorySwap > 0) {
    throw badParameter(`You should always set the Memory limit when using Memoryswap limit, ${usage}`);
  }
  if (MemoryReservation > 0 && MemoryReservation < LEAST_MEMORY) {
    throw badParameter('Minimum memory reservation allowed is 6MB');
  }
  if (Memory > 0 && MemoryReservation > Memory) {
    throw badParameter(`Minimum memory limit can not be less than memory reservation limit, ${usage}`);
  }
  const swappiness = MemorySwappiness ?? -1;
  if (swappiness < -1 || swappiness > 100) {
    throw badParameter(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
}

/** NUMA nodes with memory; a kernel without NUMA has one. */
function memoryNodes(): string {
  try {
    return readFileSync('/sys/devices/system/node/has_memory', 'utf8').trim() || '0';
  } catch {
    return '0';
  }
}

/** `0-2,7` as numbers. */
function cpuList(text: string, kind: 'cpus' | 'mems'): number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
    if (first === undefined) throw badParameter(`Invalid value ${text} for cpuset ${kind}`);
    const from = Number(first);
    return Array.from({ length: Math.max(0, Number(last ?? first) - from) + 1 }, (_, i) => from + i);
  });
}

function checkCpus({ NanoCpus = 0, CpuPeriod = 0, CpuQuota = 0, CpusetCpus = '', CpusetMems = '' }: HostConfig): void {
  const count = cpus().length;
  if (NanoCpus > 0 && CpuPeriod > 0) throw badParameter('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (NanoCpus > 0 && CpuQuota > 0) throw badParameter('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  if (NanoCpus < 0 || NanoCpus > count * 1e9) {
    throw badParameter(`range of CPUs is from 0.01 to ${count}.00, as there are only ${count} CPUs available`);
  }
  if (CpuPeriod !== 0 && (CpuPeriod < 1000 || CpuPeriod > 1_000_000)) {
    throw badParameter('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (CpuQuota > 0 && CpuQuota < 1000) throw badParameter('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if (CpusetCpus !== '' && cpuList(CpusetCpus, 'cpus').some((cpu) => cpu >= count)) {
    throw badParameter(`Requested CPUs are not available - requested ${CpusetCpus}, available: 0-${count - 1}`);
  }
  const nodes = memoryNodes();
  const known = cpuList(nodes, 'mems');
  if (CpusetMems !== '' && cpuList(CpusetMems, 'mems').some((node) => !known.includes(node))) {
    throw badParameter(`Requested memory nodes are not available - requested ${CpusetMems}, available: ${nodes}`);
  }
}

/**
 * What was asked of a container, before its image adds to it, that its network or UTS namespace cannot be given.
 * Errors: EngineError 400.
 */
export function checkConflicts(config: ContainerConfig, host: HostConfig): void {
  const { NetworkMode: network = '' } = host;
  const conflict = (is: boolean, what: string): void => {
    if (is) throw badParameter(`conflicting options: ${what}`);
  };
  const some = (value: object | null | undefined): boolean => Object.keys(value ?? {}).length > 0;
  const shared = network.startsWith('container:');
  const links = "can't be used with links. This would result in undefined behavior";
  conflict(host.UTSMode === 'host' && Boolean(config.Hostname), 'hostname and the UTS mode');
  conflict(network === 'host' && some(host.Links), `host type networking ${links}`);
  conflict(network === 'host' && Boolean(config.MacAddress), 'mac-address and the network mode');
  if (!shared) return;
  conflict(Boolean(config.Hostname), 'hostname and the network mode');
  conflict(some(host.Links), `container type network ${links}`);
  conflict(some(host.Dns), 'dns and the network mode');
  conflict(some(host.ExtraHosts), 'custom host-to-IP mapping and the network mode');
  conflict(Boolean(config.MacAddress), 'mac-address and the network mode');
  conflict(some(host.PortBindings) || (host.PublishAllPorts ?? false), 'port publishing and the container type network mode');
  conflict(some(config.ExposedPorts), 'port exposing and the container type network mode');
}

/** Docker's: a number or a range, and a protocol. */
function checkPorts({ PortBindings: bindings }: HostConfig): void {
  for (const [port, bound] of Object.entries(bindings ?? {})) {
    const wrong = /^\d+(-\d+)?(\/(tcp|udp|sctp))?$/.test(port)
      ? (bound ?? []).map(({ HostPort: host }) => host ?? '').find((host) => !/^(\d{1,5}(-\d{1,5})?)?$/.test(host))
      : port;
    if (wrong !== undefined) throw badParameter(`invalid port specification: ${JSON.stringify(wrong)}`);
  }
}

function checkModes(host: HostConfig): void {
  const { NetworkMode: network = '', IpcMode: ipc = '', PidMode: pid = '', UTSMode: uts = '' } = host;
  const { UsernsMode: userns = '', CgroupnsMode: cgroupns = '' } = host;
  if (/^container(:?$|::)/.test(network))
    throw badParameter('Invalid network mode: invalid container format container:<name|id>');
  if (!/^(|private|shareable|host|none|container:.+)$/.test(ipc)) throw badParameter(`invalid IPC mode: ${ipc}`);
  if (!/^(|host|private|container:.+)$/.test(pid)) throw badParameter(`invalid PID mode: ${pid}`);
  if (!/^(|host)$/.test(uts)) throw badParameter(`invalid UTS mode: ${uts}`);
  if (!/^(|host)$/.test(userns)) throw badParameter(`invalid user namespace mode: ${userns}`);
  if (!/^(|host|private)$/.test(cgroupns)) throw badParameter(`invalid cgroup namespace mode: ${cgroupns}`);
}

function checkSecurity({ SecurityOpt: options }: HostConfig): void {
  for (const option of options ?? []) {
    const [, name = '', value = ''] = /^([^:=]+)[:=]?(.*)$/s.exec(option) ?? [];
    if (name === 'apparmor' && value !== 'unconfined') refuse(`--security-opt ${option}`, 'containers run without AppArmor');
    if (name === 'label' && value !== 'disable') refuse(`--security-opt ${option}`, 'containers run without SELinux');
    if (name === 'no-new-privileges' && !/^(|1|t|true|0|f|false)$/i.test(value)) {
      throw badParameter(`invalid --security-opt 2: ${JSON.stringify(option)}`);
    }
    const known = ['apparmor', 'label', 'no-new-privileges', 'seccomp', 'systempaths'].includes(name);
    if (!known || (name === 'systempaths' && value !== 'unconfined')) {
      throw badParameter(`invalid --security-opt 2: ${JSON.stringify(option)}`);
    }
  }
}

function checkUnsupported(host: HostConfig): void {
  for (const name of Object.keys(host.StorageOpt ?? {})) {
    if (name !== 'lamina.bypass') refuse(`--storage-opt ${name}`, 'this storage driver knows lamina.bypass');
  }
  bypassOf(host);
  const { Runtime: runtime = '', Isolation: isolation = '', DeviceRequests: requests } = host;
  if (runtime !== '' && runtime !== 'runc') throw badParameter(`unknown or invalid runtime name: ${runtime}`);
  if (isolation !== '' && isolation !== 'default') throw badParameter(`invalid isolation '${isolation}' on linux`);
  const [request] = requests ?? [];
  if (request) {
    const wanted = (request.Capabilities ?? []).map((set) => `[${set.join(' ')}]`).join(' ');
    throw badParameter(`could not select device driver ${JSON.stringify(request.Driver ?? '')} with capabilities: [${wanted}]`);
  }
  if (host.KernelMemory) refuse('--kernel-memory', 'kernels no longer have this limit');
  if (host.KernelMemoryTCP) refuse('HostConfig.KernelMemoryTCP', 'kernels no longer have this limit');
  if (host.Cgroup) refuse('HostConfig.Cgroup', 'use --cgroup-parent');
}

/**
 * What `update` is to change: clients send all fields, with nothing in those that stay. Only a limit of processes can be taken
 * away, by 0 or less.
 */
export function changesAsked({ RestartPolicy: restart, PidsLimit: pids, ...limits }: HostConfig): HostConfig {
  const asked = Object.entries(limits).filter(([, value]) => Boolean(value));
  return {
    ...Object.fromEntries(asked),
    ...(typeof pids === 'number' ? { PidsLimit: Math.max(pids, 0) } : {}),
    ...(restart?.Name ? { RestartPolicy: restart } : {}),
  };
}

/** What a container that is there cannot be changed to. Errors: EngineError 400, 409. */
export function checkUpdate({ id, hostConfig }: ContainerRecord, asked: HostConfig): void {
  const because = `Cannot update container ${id}: `;
  if (asked.RestartPolicy && hostConfig.AutoRemove) {
    throw conflict(`${because}Restart policy cannot be updated because AutoRemove is enabled for the container`);
  }
  const nano = (hostConfig.NanoCpus ?? 0) > 0;
  for (const [kept, what, changed] of [
    [nano && Boolean(asked.CpuPeriod), 'CPU Period', 'NanoCPUs'],
    [nano && Boolean(asked.CpuQuota), 'CPU Quota', 'NanoCPUs'],
    [Boolean(asked.NanoCpus && hostConfig.CpuPeriod), 'Nano CPUs', 'CPU Period'],
    [Boolean(asked.NanoCpus && hostConfig.CpuQuota), 'Nano CPUs', 'CPU Quota'],
  ] as const) {
    if (kept) throw conflict(`${because}Conflicting options: ${what} cannot be updated as ${changed} has already been set`);
  }
  const swap = hostConfig.MemorySwap ?? 0;
  if (asked.Memory && !asked.MemorySwap && swap > 0 && asked.Memory > swap) {
    throw badParameter(
      `${because}Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time`,
    );
  }
}

/** Docker's defaults, which `inspect` shows: as much swap as memory, and any number of processes. */
export function withDefaults(host: HostConfig): HostConfig {
  return {
    ...host,
    ...(host.Memory && !host.MemorySwap ? { MemorySwap: host.Memory * 2 } : {}),
    ...((host.PidsLimit ?? 0) <= 0 ? { PidsLimit: null } : {}),
  };
}

/** Errors: EngineError 400. */
export function checkHostOptions(config: ContainerConfig, host: HostConfig): void {
  checkRestart(host);
  checkMemory(host);
  checkCpus(host);
  checkModes(host);
  checkPorts(host);
  if ((host.ShmSize ?? 0) < 0) throw badParameter('SHM size can not be less than 0');
  checkSecurity(host);
  checkUnsupported(host);
  checkLogOptions(host);
  if (config.StopSignal) parseSignal(config.StopSignal);
  const score = host.OomScoreAdj ?? 0;
  if (score < -1000 || score > 1000) {
    throw badParameter(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  }
  for (const { Name: name, Soft: soft, Hard: hard } of host.Ulimits ?? []) {
    if (hard !== -1 && (soft === -1 || soft > hard)) {
      throw badParameter(`invalid ulimit ${name}: ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
    }
  }
}
