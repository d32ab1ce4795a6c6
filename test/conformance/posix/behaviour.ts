// The words in which the POSIX suite is written: a behaviour is what is there beforehand and operations, each with what
// it must end with. Every operation is one check. Used by the tables beside this file and by run.ts.

import { attrs, bind, create, mkfifo, stamp, since } from '../../support/ops-posix.js';
import { chmod, chown, fails, gives, mkdir, mknod, rmdir, symlink, unlink, type Op } from '../../support/ops.js';

export interface Behaviour {
  readonly name: string;
  /** Made beforehand; in a lower layer, where the target has one. Absent objects are the business of `ops`. */
  readonly given: readonly Op[];
  readonly ops: readonly Op[];
  /** Why objects from a lower layer do not behave so, in the kernel's overlayfs as well: not run there. */
  readonly notFromLower?: string;
  /** Why kernel overlayfs fails here with objects from a lower layer, and lamina does not. */
  readonly notFromOverlaysLower?: string;
  /** One of a matrix whose other members say nearly the same: run when LAMINA_POSIX is "all". */
  readonly long?: boolean;
  /** Needs what only the first user namespace gives: device nodes. */
  readonly devices?: boolean;
}

export const behaviour = (name: string, given: readonly Op[], ops: readonly Op[], more: Partial<Behaviour> = {}): Behaviour => ({
  name,
  given,
  ops,
  ...more,
});

/** uid, gid and further groups of those who are not root. */
export const ALICE = [65534, 65534] as const;
export const BOB = [65533, 65533] as const;
export const CAROL = [65535, 65535] as const;

export type Type = 'file' | 'dir' | 'fifo' | 'blk' | 'chr' | 'socket' | 'symlink';
export const TYPES: readonly Type[] = ['file', 'dir', 'fifo', 'blk', 'chr', 'socket', 'symlink'];
/** What has a mode of its own. */
export const WITH_MODE = TYPES.filter((type) => type !== 'symlink');
export const NOT_DIR = TYPES.filter((type) => type !== 'dir');
/** What a path cannot go on behind. */
export const DEAD_ENDS = NOT_DIR.filter((type) => type !== 'symlink');
export const isDevice = (type: Type): boolean => type === 'blk' || type === 'chr';

export interface Owned {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

function object(type: Type, path: string): Op {
  switch (type) {
    case 'file':
      return create(path, 0o644);
    case 'dir':
      return mkdir(path, 0o755);
    case 'fifo':
      return mkfifo(path, 0o644);
    case 'socket':
      return bind(path);
    case 'symlink':
      return symlink('nothing', path);
    default:
      return mknod(path, type, 0o644, [1, 2]);
  }
}

/** An object of the type, with mode 0644 (directories, sockets and symlinks: 0755, 0755, 0777) unless said otherwise. */
export function make(type: Type, path: string, { mode, uid, gid }: Owned = {}): Op[] {
  const ops = [object(type, path)];
  if (uid !== undefined || gid !== undefined) ops.push(chown(path, uid ?? -1, gid ?? uid ?? -1));
  if (mode !== undefined) ops.push(chmod(path, mode));
  return ops;
}

/** A directory of somebody. */
export const room = (path: string, mode: number, owner: number): Op[] => make('dir', path, { mode, uid: owner });

export const remove = (type: Type, path: string): Op => (type === 'dir' ? rmdir(path) : unlink(path));

/** Fields of the object (lstat) are these; see `attrs`. */
export const is = (path: string, want: string, value: string): Op => gives(value, attrs(path, want));
/** The same behind a symlink. */
export const leadsTo = (path: string, want: string, value: string): Op => gives(value, attrs(path, want, true));
export const gone = (path: string): Op => fails('ENOENT', attrs(path, 'type'));

/** "PATH atime", "PATH mtime" or "PATH ctime". */
type Watched = readonly `${string} ${'atime' | 'mtime' | 'ctime'}`[];

/** `act` makes the named times later. */
export const moves = (watched: Watched, act: readonly Op[]): Op[] => watching('later', watched, act);

/** `act` leaves the named times as they are. */
export const leaves = (watched: Watched, act: readonly Op[]): Op[] => watching('same', watched, act);

function watching(end: 'later' | 'same', watched: Watched, act: readonly Op[]): Op[] {
  const each = watched.map((text) => text.split(' ') as [string, 'atime' | 'mtime' | 'ctime']);
  return [
    ...each.map(([path, of], i) => stamp(`t${i}`, path, of)),
    ...act,
    ...each.map(([path, of], i) => gives(end, since(`t${i}`, path, of))),
  ];
}

export const eachType = (types: readonly Type[], write: (type: Type) => Behaviour | readonly Behaviour[]): Behaviour[] =>
  types.flatMap((type) => {
    const made = write(type);
    const list: readonly Behaviour[] = 'name' in made ? [made] : made;
    return list.map((item) => (isDevice(type) ? { ...item, devices: true } : item));
  });
