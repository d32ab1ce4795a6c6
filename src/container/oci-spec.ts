// The OCI runtime bundle of a container: config.json from its record. Reads the host's devices; the users are the caller's to
// resolve.
// The shapes are the OCI runtime spec's (config.md, config-linux.md).

import { isHostRoot } from '../native/host-root.js';
import type { ContainerRecord } from '../store/index.js';
import { capabilities } from './capabilities.js';
import { cgroupPath } from './cgroup.js';
import { devicesOf } from './devices.js';
import type { Namespace } from './namespaces.js';
import { resources } from './resources.js';
import type { OciMount } from './oci-mounts.js';
import { seccompProfile } from './seccomp.js';
import type { ContainerUser } from './users.js';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const MASKED: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
export const READ_ONLY: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** What the record does not say. */
export interface SpecInput {
  readonly root: string;
  readonly hostname: string;
  readonly user: ContainerUser;
  readonly mounts: readonly OciMount[];
  readonly namespaces: readonly Namespace[];
  /** Variables of the engine's, which the container's own replace. */
  readonly environment: readonly string[];
  /** Of the init that runs the command; undefined for none. */
  readonly init?: string;
}

/** One process of a container. */
export interface ProcessInput {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly tty: boolean;
  readonly user: ContainerUser;
  readonly privileged: boolean;
}

/** Later entries of a variable replace earlier ones, in the earlier one's place. */
export function mergedEntries(...lists: readonly (readonly string[])[]): string[] {
  return [...new Map(lists.flat().map((entry) => [entry.split('=', 1)[0] ?? '', entry])).values()];
}

/** The environment that the lists make; `-e NAME` without a value takes a variable away, the engine's own too. */
export function mergeEnv(...lists: readonly (readonly string[])[]): string[] {
  return mergedEntries(...lists).filter((entry) => entry.includes('='));
}

/** `process` of the spec. */
export function processSpec(record: ContainerRecord, input: ProcessInput): object {
  const { hostConfig } = record;
  const caps = capabilities(hostConfig.CapAdd ?? [], hostConfig.CapDrop ?? [], input.privileged);
  const isRoot = input.user.uid === 0;
  const held = isRoot ? caps : [];
  const rlimits = (hostConfig.Ulimits ?? []).map(({ Name, Soft, Hard }) => ({
    type: `RLIMIT_${Name.toUpperCase()}`,
    soft: Soft,
    hard: Hard,
  }));
  return {
    terminal: input.tty,
    user: { uid: input.user.uid, gid: input.user.gid, additionalGids: input.user.additionalGids },
    args: input.args,
    env: input.env,
    cwd: input.cwd || '/',
    capabilities: { bounding: caps, effective: held, permitted: held, inheritable: [] },
    rlimits,
    noNewPrivileges: (hostConfig.SecurityOpt ?? []).some((option) => /^no-new-privileges([:=](1|t|true))?$/i.test(option)),
    oomScoreAdj: hostConfig.OomScoreAdj ?? 0,
  };
}

/** Environment that every process of the container starts with. */
export function baseEnv(record: ContainerRecord, hostname: string, tty: boolean, user: ContainerUser): string[] {
  const own = record.config.Env ?? [];
  const defaults = [PATH, `HOSTNAME=${hostname}`, ...(tty ? ['TERM=xterm'] : [])];
  const home = own.some((entry) => entry.startsWith('HOME=')) ? [] : [`HOME=${user.home}`];
  return mergeEnv(defaults, own, home);
}

/** What a mount passes on, or is to hear of, the root of the container's mount namespace must not cut off. */
function rootPropagation({ mounts }: ContainerRecord): { rootfsPropagation?: string } {
  const has = (kind: RegExp): boolean => mounts.some(({ Propagation }) => kind.test(Propagation));
  return has(/^r?shared$/) ? { rootfsPropagation: 'shared' } : has(/^r?slave$/) ? { rootfsPropagation: 'rslave' } : {};
}

/** What any user may do in a network that is the container's own, as Docker has it: ping, and ports below 1024. */
const IN_OWN_NETWORK = { 'net.ipv4.ping_group_range': '0 2147483647', 'net.ipv4.ip_unprivileged_port_start': '0' };

function sysctls({ config: { Domainname: domain }, hostConfig }: ContainerRecord): Readonly<Record<string, string>> {
  const { NetworkMode: network = '', Sysctls: asked } = hostConfig;
  // In a user namespace not all groups are there.
  const hasOwn = network !== 'host' && !network.startsWith('container:') && isHostRoot();
  return { ...(hasOwn ? IN_OWN_NETWORK : {}), ...(domain ? { 'kernel.domainname': domain } : {}), ...asked };
}

/** The whole config.json. */
export function ociSpec(record: ContainerRecord, input: SpecInput): object {
  const { config, hostConfig } = record;
  const tty = config.Tty ?? false;
  const privileged = hostConfig.Privileged ?? false;
  const { devices, rules } = devicesOf(hostConfig);
  const unconfined = privileged || (hostConfig.SecurityOpt ?? []).some((option) => /^systempaths[:=]unconfined$/.test(option));
  return {
    ociVersion: '1.0.2',
    process: processSpec(record, {
      args: input.init === undefined ? record.command : [input.init, '--', ...record.command],
      env: mergeEnv(input.environment, baseEnv(record, input.hostname, tty, input.user)),
      cwd: config.WorkingDir ?? '/',
      tty,
      user: input.user,
      privileged,
    }),
    root: { path: input.root, readonly: hostConfig.ReadonlyRootfs ?? false },
    hostname: hostConfig.UTSMode === 'host' ? undefined : input.hostname,
    mounts: input.mounts,
    ...(hostConfig.Annotations ? { annotations: hostConfig.Annotations } : {}),
    linux: {
      cgroupsPath: cgroupPath(record),
      namespaces: input.namespaces,
      devices,
      resources: resources(hostConfig, rules),
      sysctl: sysctls(record),
      maskedPaths: unconfined ? [] : (hostConfig.MaskedPaths ?? MASKED),
      readonlyPaths: unconfined ? [] : (hostConfig.ReadonlyPaths ?? READ_ONLY),
      seccomp: seccompProfile(record, privileged),
      ...rootPropagation(record),
    },
  };
}
