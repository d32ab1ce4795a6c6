// Getting a mounted /dev/fuse fd: mount(2) as root (or with CAP_SYS_ADMIN in a user namespace), fusermount3 otherwise.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { MNT_DETACH, MountFlag } from '../native/syscalls.js';
import { MountError } from './layers.js';
import { own } from './children.js';
import { runMountWithin } from './mount-command.js';

export interface FuseMountOptions {
  /** Shown as the mount's source. */
  source: string;
  /** Users other than the one who mounts may enter. */
  allowOther: boolean;
  readOnly: boolean;
  /** suid bits and device nodes count; only root can grant it. */
  suidDev: boolean;
  /** Options that the kernel keeps for the mount: names of `mountFlags`. */
  flags: readonly string[];
  /** Whether the root is a directory; a file is mounted on a file. */
  directory: boolean;
}

const SUBTYPE = 'lamina';

/** mount(8)'s names of what the kernel does to a mount whatever its filesystem. */
export const mountFlags: ReadonlyMap<string, number> = new Map([
  ['nosuid', MountFlag.NOSUID],
  ['nodev', MountFlag.NODEV],
  ['noexec', MountFlag.NOEXEC],
  ['sync', MountFlag.SYNCHRONOUS],
  ['dirsync', MountFlag.DIRSYNC],
  ['noatime', MountFlag.NOATIME],
  ['nodiratime', MountFlag.NODIRATIME],
  ['relatime', MountFlag.RELATIME],
  ['strictatime', MountFlag.STRICTATIME],
]);

function flagBits(flags: readonly string[], readOnly: boolean): number {
  return flags.reduce((bits, name) => bits | (mountFlags.get(name) ?? 0), readOnly ? MountFlag.RDONLY : 0);
}

function openFuse(): number {
  try {
    return openSync('/dev/fuse', 'r+');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO') {
      throw new MountError(
        '/dev/fuse is missing: load the kernel module (modprobe fuse), or give the container the device (--device /dev/fuse)',
      );
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new MountError('/dev/fuse: permission denied: run as root, or install fuse3 for rootless mounts');
    }
    throw cause;
  }
}

function mountData(fd: number, options: FuseMountOptions): string {
  return [
    `fd=${fd}`,
    `rootmode=${options.directory ? '40000' : '100000'}`,
    `user_id=${process.getuid?.() ?? 0}`,
    `group_id=${process.getgid?.() ?? 0}`,
    'default_permissions',
    ...(options.allowOther ? ['allow_other'] : []),
  ].join(',');
}

function mountDirectly(target: string, options: FuseMountOptions): number {
  const fd = openFuse();
  const data = mountData(fd, options);
  const flags = flagBits(options.suidDev ? options.flags : [...options.flags, 'nosuid', 'nodev'], options.readOnly);
  const error = sys.mount(options.source, Buffer.from(target).toString('latin1'), `fuse.${SUBTYPE}`, flags, data);
  if (!error) return fd;
  closeSync(fd);
  if (error === -errno.EPERM)
    throw new MountError(`${target}: not permitted to mount: run as root, or install fuse3 for rootless mounts`);
  throw new MountError(`${target}: mount failed: ${errnoText(error)}`);
}

/** fusermount3 mounts and sends the fd back over a socket that it inherits. */
async function mountByHelper(target: string, options: FuseMountOptions): Promise<number> {
  const pair = sys.socketpair();
  if (typeof pair === 'number') throw new MountError(`socketpair: ${errnoText(pair)}`);
  const [ours, theirs] = pair;
  const wanted = [
    `fsname=${options.source}`,
    `subtype=${SUBTYPE}`,
    'default_permissions',
    ...(options.allowOther ? ['allow_other'] : []),
    ...(options.readOnly ? ['ro'] : []),
    ...options.flags,
  ].join(',');
  const child = own(
    spawn('fusermount3', ['-o', wanted, '--', target], {
      stdio: ['ignore', 'ignore', 'pipe', theirs],
      env: { ...process.env, _FUSE_COMMFD: '3' },
    }),
  );
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const status = await new Promise<number | NodeJS.ErrnoException>((resolve) => {
    child.once('error', resolve);
    child.once('close', (code) => resolve(code ?? 1));
  });
  closeSync(theirs);
  const fd = status === 0 ? sys.receiveFd(ours) : -1;
  closeSync(ours);
  if (fd >= 0) return fd;
  if (typeof status !== 'number')
    throw new MountError(`${target}: mounting without root needs fusermount3: install the package fuse3`);
  throw new MountError(`${target}: ${complaint.trim() || `fusermount3 exited with ${status}`}`);
}

/**
 * Mounts on `path` in `root`, a mount that this process serves: mount(8) does it, with the device as its fd 3. As root.
 * Returns the fd that serves it. Errors: MountError.
 */
export async function mountFuseBelow(root: string, path: string, options: FuseMountOptions): Promise<number> {
  const fd = openFuse();
  const wanted = [options.readOnly ? 'ro' : 'rw', ...options.flags, mountData(3, options)].join(',');
  const complaint = await runMountWithin(
    root,
    path,
    'mount',
    ['--internal-only', '--no-canonicalize', '-t', `fuse.${SUBTYPE}`, '-o', wanted, '--', options.source, '{}'],
    fd,
  );
  if (complaint === undefined) return fd;
  closeSync(fd);
  throw new MountError(`cannot mount ${options.source} on ${path} in ${root}: ${complaint}`);
}

/** Mounts on `target` and returns the fd that serves it. Errors: MountError. */
export async function mountFuse(target: string, options: FuseMountOptions): Promise<number> {
  return process.geteuid?.() === 0 ? mountDirectly(target, options) : mountByHelper(target, options);
}

/** Gives a live mount other flags, as `mount -o remount` asks. 0 or -errno. */
export function remountFuse(target: string, flags: readonly string[], readOnly: boolean): number {
  return sys.mount('', Buffer.from(target).toString('latin1'), '', MountFlag.REMOUNT | flagBits(flags, readOnly), '');
}

const UMOUNT_NOFOLLOW = 8;

/** Unmounts; as an ordinary user through fusermount3. `lazy` detaches a busy one. 0 or -errno. */
export async function unmountFuse(target: string, lazy: boolean): Promise<number> {
  if (process.geteuid?.() === 0) {
    return sys.umount2(Buffer.from(target).toString('latin1'), (lazy ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW);
  }
  const child = own(spawn('fusermount3', ['-u', '-q', ...(lazy ? ['-z'] : []), '--', target], { stdio: 'ignore' }));
  const code = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(1));
    child.once('close', (status) => resolve(status ?? 1));
  });
  return code === 0 ? 0 : -errno.EBUSY;
}
