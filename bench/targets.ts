// What is measured: lamina in its tiers and its peers, each as a mount command over the same layers. Workloads mount
// through here, so that each mount is registered to be undone and its server's end is awaited.

import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import * as fuseNative from './fuse-native.js';
import { root } from './load.js';
import { run, until } from './process.js';
import { alive, minorOf, serverPid } from './server.js';
import type { Undo } from './undo.js';

/** The directories a mount is made of; all exist and lie on one file system. */
export interface Stack {
  /** Topmost first. */
  lowers: readonly string[];
  upper: string;
  work: string;
  /** Backing directory of the volume, for the targets that mount one. */
  volume?: string;
}

export interface Target {
  name: string;
  /** Programs it needs: names to find in PATH, or paths. */
  needs: readonly string[];
  /** The mount command, without any for a plain directory. */
  command?: (stack: Stack, at: string) => string[];
  /** Known not to keep modification times (a peer's defect): they are left out of its comparison. */
  losesTimes?: true;
  /** Where in the mounted tree the volume appears. */
  volumeAt?: string;
}

const lamina = join(root, 'bin/lamina');
const mountLamina = join(root, 'bin/mount.lamina');

function overlayOptions(stack: Stack): string {
  return `lowerdir=${stack.lowers.join(':')},upperdir=${stack.upper},workdir=${stack.work}`;
}

function laminaVolume(tier: 'bind' | 'passthrough' | 'relay'): Target {
  const command = (stack: Stack, at: string): string[] => [
    ...[lamina, 'mount', '--lower', stack.lowers.join(':'), '--upper', stack.upper, '--work', stack.work],
    ...['-v', `${stack.volume ?? ''}:/volume`, '--bypass', tier, at],
  ];
  return { name: `lamina-${tier}`, needs: [lamina], command, volumeAt: 'volume' };
}

export const targets: readonly Target[] = [
  { name: 'plain', needs: [] },
  { name: 'bind', needs: ['mount'], command: (stack, at) => ['mount', '--bind', stack.volume ?? stack.upper, at] },
  {
    name: 'overlay',
    needs: ['mount'],
    command: (stack, at) => ['mount', '-t', 'overlay', 'overlay', '-o', overlayOptions(stack), at],
  },
  {
    name: 'fuse-overlayfs',
    needs: ['fuse-overlayfs'],
    command: (stack, at) => ['fuse-overlayfs', '-o', overlayOptions(stack), at],
  },
  {
    name: 'unionfs-fuse',
    needs: ['unionfs'],
    losesTimes: true,
    command: (stack, at) => [
      'unionfs',
      '-o',
      'cow',
      [`${stack.upper}=RW`, ...stack.lowers.map((dir) => `${dir}=RO`)].join(':'),
      at,
    ],
  },
  {
    name: 'fuse-native',
    needs: fuseNative.needs,
    command: (stack, at) => fuseNative.command(at, [stack.upper, ...stack.lowers]),
  },
  { name: 'lamina', needs: [mountLamina], command: (stack, at) => [mountLamina, at, '-o', overlayOptions(stack)] },
  laminaVolume('bind'),
  laminaVolume('passthrough'),
  laminaVolume('relay'),
];

function found(name: string): boolean {
  const candidates = name.includes('/') ? [name] : (process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, name));
  return candidates.some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why a target cannot be measured here, or undefined when it can. */
export function unavailable(target: Target): string | undefined {
  const missing = target.needs.find((name) => !found(name));
  if (missing !== undefined) return `${missing} not found`;
  return target.needs.includes(lamina) || target.needs.includes(mountLamina) ? laminaUnbuilt() : undefined;
}

function laminaUnbuilt(): string | undefined {
  return existsSync(join(root, 'build/Release/lamina.node')) ? undefined : 'addon not built (npm run build)';
}

/** A mounted target. Owns the mount until `unmount`. */
export interface Mounted {
  target: Target;
  path: string;
  command: readonly string[];
  /** Its server, undefined for kernel file systems. */
  server: number | undefined;
  unmount: () => Promise<void>;
}

async function takeDown(path: string, server: number | undefined): Promise<void> {
  const evenInterrupted = true;
  if (minorOf(path) !== undefined) {
    await run(['umount', '-R', path], { limit: 60_000, evenInterrupted }).catch(() =>
      run(['umount', '-Rl', path], { limit: 10_000, evenInterrupted }),
    );
  }
  if (server === undefined) return;
  try {
    await until(`server ${server} ends after umount`, () => !alive(server), 10_000);
  } catch (cause) {
    process.kill(server, 'SIGKILL');
    throw cause;
  }
}

/** Where a mount command and the server it leaves behind write their stderr. */
export function logOf(at: string): string {
  return `${at}.log`;
}

/** Mounts `target` over `stack` at `at` (created when missing). A plain directory is `at` itself. */
export async function mount(undo: Undo, target: Target, stack: Stack, at: string): Promise<Mounted> {
  mkdirSync(at, { recursive: true });
  const command = target.command?.(stack, at) ?? [];
  if (command.length === 0) return { target, path: at, command, server: undefined, unmount: () => Promise.resolve() };
  const unmount = undo.push(() => takeDown(at, serverPid(at)));
  await run(command, { limit: 60_000, log: logOf(at) });
  if (minorOf(at) === undefined) throw new Error(`${target.name}: its mount command succeeded, yet nothing is mounted at ${at}`);
  return { target, path: at, command, server: serverPid(at), unmount };
}

/** The volume inside a mounted target; for the plain and bind targets the root itself. */
export function volumeOf(mounted: Mounted): string {
  return mounted.target.volumeAt === undefined ? mounted.path : join(mounted.path, mounted.target.volumeAt);
}

/** Takes over a mount made by somebody else's command (mount times): registers its unmount. */
export function adopt(undo: Undo, at: string): () => Promise<void> {
  return undo.push(() => takeDown(at, serverPid(at)));
}
