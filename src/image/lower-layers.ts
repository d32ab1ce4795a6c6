// What the layers below the one being unpacked show at a path. Tars may leave out the directories above an entry:
// these then keep the owner, mode and attributes they have below, and symlinks below are followed, as they are by
// engines that unpack into a mounted root. A layer whose unpacking asked depends on what lies below it. Used by unpack.ts.

import { closeSync, constants, openSync } from 'node:fs';
import { errno } from '../abi/errno.js';
import { WHITEOUT_PREFIX } from '../layer/format.js';
import { sys } from '../native/load.js';
import { Mode, Open, Stat, STAT_WORDS } from '../native/syscalls.js';
import type { StatBuffer } from '../native/syscalls.js';
import { INSIDE, must } from './unpack-path.js';

/** A visible object: `path` in the layer directory `fd`, which stays open. */
export interface LowerObject {
  readonly fd: number;
  readonly path: string;
  readonly mode: number;
}

export class LowerLayers {
  private fds: number[] | undefined;
  private readonly stat: StatBuffer = new BigInt64Array(STAT_WORDS);

  /** `dirs`: topmost first. */
  constructor(private readonly dirs: readonly string[]) {}

  /** Whether `find` was called: the layer's tree may depend on these. */
  consulted = false;

  /** The object that the union of these layers shows at `path`, whose parents must be no symlinks in the union. */
  find(path: string): LowerObject | undefined {
    this.consulted = true;
    this.fds ??= this.dirs.map((dir) => openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY));
    const parts = path.split('/');
    for (const fd of this.fds) {
      const found = this.findIn(fd, parts);
      if (found === 'absent') continue;
      return found === 'hidden' ? undefined : found;
    }
    return undefined;
  }

  close(): void {
    this.fds?.forEach(closeSync);
    this.fds = undefined;
  }

  /** absent: look further down · hidden: nothing shows through from further down. */
  private findIn(fd: number, parts: readonly string[]): LowerObject | 'absent' | 'hidden' {
    let opaque = false;
    for (let depth = 1; depth <= parts.length; depth++) {
      const path = parts.slice(0, depth).join('/');
      const mode = this.modeOf(fd, path);
      if (mode === 0) return opaque || this.modeOf(fd, whiteoutName(parts, depth)) !== 0 ? 'hidden' : 'absent';
      if (mode === -1) return 'hidden';
      if (depth === parts.length) return { fd, path, mode };
      if ((mode & Mode.FMT) !== Mode.DIR) return 'hidden';
      opaque ||= this.isOpaque(fd, path);
    }
    return 'absent';
  }

  /** 0 when nothing is there, -1 for a whiteout. */
  private modeOf(fd: number, path: string): number {
    const result = sys.statx(fd, path, this.stat);
    if (result === -errno.ENOENT || result === -errno.ENOTDIR) return 0;
    must(result, 'look into the layers below');
    const mode = Number(this.stat[Stat.mode]);
    return (mode & Mode.FMT) === Mode.CHR && this.stat[Stat.rdev] === 0n ? -1 : mode;
  }

  private isOpaque(fd: number, path: string): boolean {
    return ['trusted.overlay.opaque', 'user.overlay.opaque'].some((name) => typeof sys.getxattr(fd, path, name) !== 'number');
  }
}

/** The form that a whiteout has where a device cannot be made. */
function whiteoutName(parts: readonly string[], depth: number): string {
  return [...parts.slice(0, depth - 1), WHITEOUT_PREFIX + (parts[depth - 1] ?? '')].join('/');
}

const OWN_XATTR = /^(trusted|user)\.overlay\.(?!overlay\.)/;

/** Gives the directory `fd` the owner, mode, attributes and times of `from`, as far as this process may. */
export function copyAttributes(
  fd: number,
  from: LowerObject,
  tolerate: (result: number, kind: string, what: string) => number,
): void {
  const source = must(sys.openat2(from.fd, from.path, Open.PATH | Open.NOFOLLOW, 0, INSIDE), 'open its lower directory');
  try {
    const stat: StatBuffer = new BigInt64Array(STAT_WORDS);
    must(sys.statx(source, '', stat), 'stat its lower directory');
    tolerate(sys.fchownat(fd, '', Number(stat[Stat.uid]), Number(stat[Stat.gid])), 'owners', 'set its owner');
    const names = sys.listxattr(source, '');
    for (const name of typeof names === 'number' ? [] : names.filter((each) => !OWN_XATTR.test(each))) {
      const value = sys.getxattr(source, '', name);
      if (typeof value !== 'number') tolerate(sys.setxattr(fd, '', name, value, 0), 'extended attributes', 'set its attributes');
    }
    must(sys.fchmodat(fd, '', Number(stat[Stat.mode]) & 0o7777), 'set its mode');
    const mtime = stat[Stat.mtime] ?? 0n;
    must(sys.utimensat(fd, '', mtime, mtime), 'set its time');
  } finally {
    sys.close(source);
  }
}
