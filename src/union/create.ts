// Making names in union directories: mkdir, mknod, symlink, create, O_TMPFILE, link. One skeleton holds the order of
// checks; a name that upper whites out is replaced by building in work/ and exchanging.

import { errno } from '../abi/errno.js';
import { ENTRY_OUT } from '../abi/protocol.js';
import type { Creation } from '../abi/requests.js';
import { isWhiteoutDevice, setOpaque } from '../layer/format.js';
import { sys } from '../native/load.js';
import type { NodeId } from '../native/mount.js';
import { Mode, Open, Rename, STAT_WORDS, Stat } from '../native/syscalls.js';
import { noteCopy } from './origin.js';
import { allowName } from './plain-names.js';
import { asNewName, refuseNew } from './protection.js';
import { UPPER, isWhiteout } from './directory.js';
import { unlink } from './remove.js';
import type { Answer, Owner } from './stack.js';
import type { Union, WritableDirectory } from './union.js';

const stat = new BigInt64Array(STAT_WORDS);

/** Whether upper itself holds a whiteout at `name`, which must give way. */
function whitedOutInUpper(at: WritableDirectory, name: string): boolean {
  const entry = at.index.entries.get(name);
  return entry !== undefined && isWhiteout(entry) && isWhiteoutDevice(at.fd, name);
}

/** Makes an object under the given name. Returns an fd on it (regular file), 0, or -errno. */
type Maker = (dirfd: number, name: string) => number;

/** Puts what `make` makes at `name` of a writable directory. Returns what `make` returned. */
function place(union: Union, at: WritableDirectory, name: string, type: number, make: Maker): number {
  if (at.index.get(name) !== undefined) return -errno.EEXIST;
  const refused = allowName(union, at, name);
  if (refused) return refused;
  const made = whitedOutInUpper(at, name) ? replaceWhiteout(union, at, name, type, make) : make(at.fd, name);
  if (made >= 0) at.index.set(name, UPPER, type >> 12);
  return made;
}

/** Builds the object in work/, in a directory that hands down what its parent will, and exchanges it for the whiteout. */
function replaceWhiteout(union: Union, at: WritableDirectory, name: string, type: number, make: Maker): number {
  const work = union.work;
  if (!work) return -errno.EROFS;
  const nursery = work.nursery(at.fd);
  if (typeof nursery === 'number') return nursery;
  const made = make(nursery.fd, name);
  // What the whiteout hid must stay hidden once a directory stands in its place.
  const error =
    Math.min(made, 0) ||
    (type === Mode.DIR ? setOpaque(nursery.fd, name, union.stack.scheme) : 0) ||
    asNewName(at.fd, () => sys.renameat2(nursery.fd, name, at.fd, name, Rename.EXCHANGE));
  sys.close(nursery.fd);
  work.discard(nursery.name);
  if (error && made > 0) sys.close(made);
  return error || made;
}

function makeAndEnter(union: Union, parent: NodeId, what: Creation, owner: Owner): { id: number; fd: number } | number {
  const refused = refuseNew(union, parent);
  if (refused) return refused;
  const at = union.writableDirectory(parent);
  if (typeof at === 'number') return at;
  const type = what.mode & Mode.FMT;
  const { native } = union;
  const fd = place(union, at, what.name, type, (dirfd, name) =>
    native.make(dirfd, name, what.mode, what.rdev, what.target, owner.uid, owner.gid, owner.group, owner.umask),
  );
  if (fd < 0) return fd;
  const id = native.enter(parent, at.upper, what.name, 0, 0, 0n);
  if (id > 0) return { id, fd };
  if (fd > 0) sys.close(fd);
  return id;
}

/** mkdir, mknod, symlink. */
export function make(union: Union, parent: NodeId, what: Creation, owner: Owner): Answer {
  // Nobody may make what means "nothing is here" (Linux: ovl_mknod).
  if ((what.mode & Mode.FMT) === Mode.CHR && what.rdev === 0) return -errno.EPERM;
  const made = makeAndEnter(union, parent, what, owner);
  if (typeof made === 'number') return made;
  if (made.fd > 0) sys.close(made.fd);
  return ENTRY_OUT;
}

/** CREATE: makes and opens. A name that turns out to exist the kernel looks up again, and opens by its own request. */
export function create(union: Union, parent: NodeId, what: Creation, owner: Owner): Answer {
  const made = makeAndEnter(union, parent, what, owner);
  if (made === -errno.EEXIST && !(what.flags & Open.EXCL)) return -errno.ESTALE;
  if (typeof made === 'number') return made;
  union.native.adopt(made.id as NodeId, made.fd);
  const answer = union.native.openEntered(made.id as NodeId, what.flags);
  if (answer < 0) unlink(union, parent, what.name); // its maker cannot have it open
  return answer;
}

export function tmpfile(union: Union, parent: NodeId, what: Creation, owner: Owner): Answer {
  const refused = refuseNew(union, parent);
  if (refused) return refused;
  const at = union.writableDirectory(parent);
  if (typeof at === 'number') return at;
  const { native } = union;
  const fd = native.makeTmpfile(at.fd, what.mode, what.flags, owner.uid, owner.gid, owner.group, owner.umask);
  if (fd < 0) return fd;
  const id = native.enterTmpfile(parent, fd);
  sys.close(fd);
  if (id < 0) return id;
  return native.openEntered(id as NodeId, what.flags);
}

/** A further name for a node that is on upper (the native side has seen to that). */
export function link(union: Union, node: NodeId, parent: NodeId, name: string): Answer {
  const refused = refuseNew(union, parent);
  if (refused) return refused;
  const at = union.writableDirectory(parent);
  if (typeof at === 'number') return at;
  const fd = union.native.nodeFd(node);
  if (fd < 0) return fd;
  const type = sys.statx(fd, '', stat) === 0 ? Number(stat[Stat.mode]) & Mode.FMT : Mode.REG;
  const noted = noteCopy(union.native, at.dir, fd, union.stack.scheme);
  const linked = noted || place(union, at, name, type, (dirfd, target) => sys.linkat(fd, '', dirfd, target));
  if (linked < 0) return linked;
  const id = union.native.enter(parent, at.upper, name, 0, 0, 0n);
  return id < 0 ? id : ENTRY_OUT;
}
