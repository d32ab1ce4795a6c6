// Which namespaces a container has of its own, and which it shares with the host or with another container. Used by create.ts,
// start.ts and oci-spec.ts.

import type { ContainerRecord, HostConfig } from '../store/index.js';
import { EngineError, badParameter, conflict } from './errors.js';
import { isUp } from './state.js';

export interface Namespace {
  readonly type: string;
  /** Of an existing one to join. */
  readonly path?: string;
}

/** The container that `container:NAME` names. Errors: 404, 409 when it does not run. */
function donor(mode: string, kind: string, find: (reference: string) => ContainerRecord): ContainerRecord {
  const other = find(mode.slice('container:'.length));
  if (!isUp(other)) throw conflict(`cannot join ${kind} of a non running container: ${other.id}`);
  return other;
}

const isContainer = (mode = ''): boolean => mode.startsWith('container:');

/**
 * `container:NAME` by id: who lends a namespace does so whatever it is called later. One that is not there stays as it was named,
 * for the start to tell.
 */
export function fixedDonors(host: HostConfig, find: (reference: string) => ContainerRecord): HostConfig {
  const fixed = (mode: string): string => {
    try {
      return `container:${find(mode.slice('container:'.length)).id}`;
    } catch (error) {
      if (error instanceof EngineError) return mode;
      throw error;
    }
  };
  const modes = (['NetworkMode', 'IpcMode', 'PidMode'] as const).flatMap((name) => {
    const mode = host[name];
    return isContainer(mode) ? [[name, fixed(mode ?? '')] as const] : [];
  });
  return modes.length === 0 ? host : { ...host, ...Object.fromEntries(modes) };
}

/** The container whose IPC namespace and /dev/shm are used; undefined for none. Errors: EngineError. */
export function ipcDonor(record: ContainerRecord, find: (reference: string) => ContainerRecord): ContainerRecord | undefined {
  const { IpcMode: mode = '' } = record.hostConfig;
  if (!isContainer(mode)) return undefined;
  const other = donor(mode, 'IPC', find);
  if (other.hostConfig.IpcMode !== 'shareable') {
    throw badParameter(
      `cannot join IPC namespace of container ${other.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  }
  return other;
}

/** Whose network a container has: its own, or that of the container that it joined, which may have joined another. Errors: 404. */
export function networkOwner(record: ContainerRecord, find: (reference: string) => ContainerRecord): ContainerRecord {
  const seen = new Set<string>();
  let owner = record;
  // Two that wait for each other are nobody's.
  while (isContainer(owner.hostConfig.NetworkMode) && !seen.has(owner.id)) {
    seen.add(owner.id);
    owner = find((owner.hostConfig.NetworkMode ?? '').slice('container:'.length));
  }
  return owner;
}

/** Errors: EngineError. */
export function namespacesOf(
  record: ContainerRecord,
  netns: string,
  find: (reference: string) => ContainerRecord,
): readonly Namespace[] {
  const { PidMode: pid = '', IpcMode: ipc = '', UTSMode: uts = '', CgroupnsMode: cgroup = '' } = record.hostConfig;
  const own = (type: string, mode: string, kind: string): Namespace[] => {
    if (mode === 'host') return [];
    return isContainer(mode) ? [{ type, path: `/proc/${donor(mode, kind, find).state.pid}/ns/${type}` }] : [{ type }];
  };
  return [
    { type: 'mount' },
    ...own('pid', pid, 'PID'),
    ...own('ipc', ipc, 'IPC'),
    ...own('uts', uts, 'UTS'),
    ...(cgroup === 'private' ? [{ type: 'cgroup' }] : []),
    ...(netns === 'host' ? [] : [{ type: 'network', ...(netns === 'none' ? {} : { path: netns }) }]),
  ];
}
