// Owner, mode, xattrs and times of unpacked entries, and what a process without privilege may leave out. Overlay's
// own xattrs in an image are escaped, so that no image can forge a redirect or an opaque mark. Used by unpack.ts and
// extract.ts.

import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { Mode } from '../native/syscalls.js';
import { shown } from './image-error.js';
import { EntryRefused, must } from './unpack-path.js';
import type { TarHeader } from '../tar/tar-header.js';

/**
 * What could not be kept, by kind, with its count. Without privilege (euid not 0) owners, devices, trusted.* and
 * security.* attributes are left out, as they must be; with privilege only attributes that the filesystem does not
 * support are.
 */
export class Omissions {
  readonly counts = new Map<string, number>();

  constructor(readonly privileged: boolean) {}

  add(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  /** Passes `result`, or counts a refusal of privilege that this process has to live with. */
  tolerate(result: number, kind: string, what: string): number {
    if (!this.privileged && (result === -errno.EPERM || result === -errno.EINVAL)) {
      this.add(kind);
      return 0;
    }
    return must(result, what);
  }
}

const OWN = ['trusted.overlay.', 'user.overlay.'];

/** The name under which an image's attribute is kept on disk; undefined for one that is dropped. */
export function storedName(name: string): string | undefined {
  if (name.startsWith('user.fuseoverlayfs.')) return undefined;
  // The escape of overlayfs: trusted.overlay.x of the user is trusted.overlay.overlay.x on disk.
  const own = OWN.find((prefix) => name.startsWith(prefix));
  return own === undefined ? name : `${own}overlay.${name.slice(own.length)}`;
}

function setXattr(fd: number, path: string, type: number, name: string, value: Buffer, omitted: Omissions): void {
  const stored = storedName(name);
  if (stored === undefined) return;
  const result = sys.setxattr(fd, path, stored, value, 0);
  if (result >= 0) return;
  // The kernel allows user.* on regular files and directories only.
  const misplaced = result === -errno.EPERM && name.startsWith('user.') && type !== Mode.REG && type !== Mode.DIR;
  if (result === -errno.EOPNOTSUPP || misplaced || (!omitted.privileged && result === -errno.EPERM)) {
    omitted.add('extended attributes');
    return;
  }
  throw new EntryRefused(`cannot set its attribute ${shown(name)}: ${errnoText(result)}`);
}

/**
 * Gives the object at `path` below `fd` (empty: `fd` itself) all that its header says. The order matters: chown clears
 * setuid bits and capabilities, without privilege a mode may forbid to set attributes, and only the times come last.
 */
export function applyAttributes(fd: number, path: string, type: number, header: TarHeader, omitted: Omissions): void {
  omitted.tolerate(sys.fchownat(fd, path, header.uid, header.gid), 'owners', 'set its owner');
  for (const [name, value] of header.xattrs) setXattr(fd, path, type, name, value, omitted);
  if (type !== Mode.LNK) must(sys.fchmodat(fd, path, header.mode), 'set its mode');
  must(sys.utimensat(fd, path, header.mtime, header.mtime), 'set its time');
}
