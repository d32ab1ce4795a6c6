// Devices of the host that a container gets, as the OCI spec lists them: `--device`, and all of them for `--privileged`.
// Used by oci-spec.ts and resources.ts.

import { type Stats, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { HostConfig } from '../store/index.js';
import { badParameter } from './errors.js';

export interface OciDevice {
  readonly path: string;
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface DeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

/** Directories of /dev that a container has its own of, and its terminal. */
const OWN: readonly string[] = ['pts', 'shm', 'fd', 'mqueue', 'console', 'lxc', 'lxd-fuse', '.udev', '.lxc'];

/** gnu_dev_major(3), gnu_dev_minor(3). */
export function deviceNumber(rdev: number): { major: number; minor: number } {
  const [high, low] = [Math.floor(rdev / 2 ** 32), rdev % 2 ** 32];
  const major = ((low >>> 8) & 0xfff) + (high & ~0xfff);
  const minor = (low & 0xff) + ((low >>> 12) & 0xfff00);
  return { major, minor };
}

function deviceAt(path: string, stat: Stats): OciDevice | undefined {
  const type = stat.isBlockDevice() ? 'b' : stat.isCharacterDevice() ? 'c' : undefined;
  if (!type) return undefined;
  return { path, type, ...deviceNumber(stat.rdev), fileMode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
}

/** All devices below a directory of the host; what vanishes meanwhile is left out. */
function below(directory: string, inside: string, skip: readonly string[]): OciDevice[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (skip.includes(entry.name)) return [];
    const [path, target] = [join(directory, entry.name), join(inside, entry.name)];
    try {
      if (entry.isDirectory()) return below(path, target, []);
      return entry.isSymbolicLink() ? [] : (deviceAt(target, statSync(path)) ?? []);
    } catch {
      return [];
    }
  });
}

/** What `--device HOST[:INSIDE[:rwm]]` means. Errors: 400, Docker's words. */
function asked(host: string, inside: string): OciDevice[] {
  const fail = (why: string): never => {
    throw badParameter(`error gathering device information while adding custom device ${JSON.stringify(host)}: ${why}`);
  };
  const stat = ((): Stats => {
    try {
      return statSync(host);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return fail(code === 'ENOENT' ? 'no such file or directory' : message);
    }
  })();
  const found = stat.isDirectory() ? below(host, inside, []) : [deviceAt(inside, stat) ?? []].flat();
  return found.length > 0 ? found : fail('not a device node');
}

/** `c 1:3 rwm`, as `--device-cgroup-rule` gives it. Errors: 400. */
function parseRule(text: string): DeviceRule {
  const [, type, major, minor, access] = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined || access === undefined) throw badParameter(`invalid device cgroup rule format: '${text}'`);
  const number = (word = '*'): number => (word === '*' ? -1 : Number(word));
  return { allow: true, type, major: number(major), minor: number(minor), access };
}

/** Nodes to make, and what the cgroup allows. Errors: 400. */
export function devicesOf(host: HostConfig): { devices: OciDevice[]; rules: DeviceRule[] } {
  const rules = (host.DeviceCgroupRules ?? []).map(parseRule);
  if (host.Privileged) return { devices: below('/dev', '/dev', OWN), rules: [{ allow: true, access: 'rwm' }] };
  const wanted = (host.Devices ?? []).map((each) => ({
    nodes: asked(each.PathOnHost, each.PathInContainer || each.PathOnHost),
    access: each.CgroupPermissions || 'rwm',
  }));
  const allowed = wanted.flatMap(({ nodes, access }) =>
    nodes.map(({ type, major, minor }) => ({ allow: true, type, major, minor, access })),
  );
  // A later one at the same place replaces an earlier one.
  const devices = new Map(wanted.flatMap(({ nodes }) => nodes.map((node) => [node.path, node])));
  return { devices: [...devices.values()], rules: [{ allow: false, access: 'rwm' }, ...allowed, ...rules] };
}
