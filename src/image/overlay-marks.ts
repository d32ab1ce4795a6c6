// What one layer hides of the layers below it, on disk in kernel overlayfs's form (whiteout devices, opaque
// directories) and as an answer: what still shows through at a path. One per Unpacker.

import { errno } from '../abi/errno.js';
import { WHITEOUT_PREFIX } from '../layer/format.js';
import { sys } from '../native/load.js';
import { Mode, Open } from '../native/syscalls.js';
import { type LowerLayers } from './lower-layers.js';
import type { LowerObject } from './lower-layers.js';
import { EntryRefused, INSIDE, joined, must } from './unpack-path.js';
import type { Dir } from './unpack-path.js';

const CREATE = Open.WRONLY | Open.CREAT | Open.EXCL | Open.NOFOLLOW;

export class OverlayMarks {
  private readonly whiteouts = new Set<string>();
  /** Directories below which, and those at which, nothing shows through from lower layers. */
  private readonly opaque = new Set<string>();
  private readonly renewed = new Set<string>();

  constructor(
    private readonly lower: LowerLayers,
    private readonly privileged: boolean,
    private readonly modeOf: (dir: number, base: string) => number,
  ) {}

  isWhiteout(path: string): boolean {
    return this.whiteouts.has(path);
  }

  /** Drops what is known of `path` and all below it: the object there is gone. */
  forget(path: string): void {
    for (const set of [this.whiteouts, this.opaque, this.renewed]) {
      for (const key of set) if (key === path || key.startsWith(`${path}/`)) set.delete(key);
    }
  }

  /** A whiteout hides only lower layers: what this layer itself has at `base` stays, a directory becoming opaque. */
  placeWhiteout(parent: Dir, base: string): void {
    if (base === '' || base === '.' || base === '..') throw new EntryRefused('it is a whiteout of nothing');
    const path = joined(parent.path, base);
    if (this.whiteouts.has(path)) return;
    const type = this.modeOf(parent.fd, base) & Mode.FMT;
    if (type === Mode.DIR) return this.renew(parent.fd, base, path);
    if (type !== 0) return;
    let name = base;
    let result = sys.mknodat(parent.fd, name, Mode.CHR, 0n);
    if (result === -errno.EPERM && !this.privileged) {
      // Kernels before 5.8 want CAP_MKNOD even for a whiteout; the union reads this form too.
      name = WHITEOUT_PREFIX + base;
      result = sys.openat2(parent.fd, name, CREATE, 0o600, INSIDE);
      if (result >= 0) result = sys.close(result);
    }
    must(result, 'create the whiteout');
    must(sys.utimensat(parent.fd, name, 0n, 0n), 'set its time');
    this.whiteouts.add(path);
  }

  /** Removes the whiteout at `path`, if one is there: something real takes its place, and hides what is below. */
  uncover(parent: Dir, base: string, path: string): boolean {
    if (!this.whiteouts.delete(path)) return false;
    if (sys.unlinkat(parent.fd, base, 0) === -errno.ENOENT)
      must(sys.unlinkat(parent.fd, WHITEOUT_PREFIX + base, 0), 'replace a whiteout');
    return true;
  }

  /** Nothing of lower layers shows through in the directory `base` of `dir` (empty: `dir` itself), which is at `path`. */
  setOpaque(dir: number, base: string, path: string): void {
    const name = this.privileged ? 'trusted.overlay.opaque' : 'user.overlay.opaque';
    must(sys.setxattr(dir, base, name, Buffer.from('y'), 0), 'mark its directory opaque');
    this.opaque.add(path);
  }

  /** The directory at `path` replaces what lower layers have there. */
  renew(dir: number, base: string, path: string): void {
    this.setOpaque(dir, base, path);
    this.renewed.add(path);
  }

  /** What lower layers show at `path`, unless this layer hides it. */
  below(path: string): LowerObject | undefined {
    if (this.renewed.has(path) || this.whiteouts.has(path)) return undefined;
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      if (this.opaque.has(path.slice(0, slash))) return undefined;
    }
    return this.opaque.has('') ? undefined : this.lower.find(path);
  }

  /** The target of the symlink that shows through at `path`. */
  lowerLink(path: string): string | undefined {
    const found = this.below(path);
    if (!found || (found.mode & Mode.FMT) !== Mode.LNK) return undefined;
    const target = sys.readlinkat(found.fd, found.path);
    return typeof target === 'number' ? undefined : target;
  }
}
