// Routes inside a root: each destination is resolved in it, made when missing, and given to the native side. Root puts a
// mount of its own over it (route-mounts.ts); an ordinary user's route is served from here. Runs in the worker before the
// first request is read.

import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { NodeFlag, type NativeMount, type NodeId, ROOT_ID } from '../native/mount.js';
import { AT_FDCWD, Mode, Open, STAT_WORDS, Stat } from '../native/syscalls.js';
import { make } from '../union/create.js';
import { entryPlace } from '../union/directory.js';
import type { Union } from '../union/union.js';
import { resolveDestination, type ScopedTree, type Step } from '../volume/destination.js';
import { MountError } from './layers.js';
import type { RoutePlan } from './plan.js';

const stat = new BigInt64Array(STAT_WORDS);
const ROOT_OWNER = { uid: 0, gid: 0, group: 0, umask: 0 };

function typeAt(dirfd: number, name: string): number | undefined {
  return sys.statx(dirfd, name, stat) === 0 ? Number(stat[Stat.mode]) & Mode.FMT : undefined;
}

/** The mounted tree as seen before it serves: the union, and the routes set up so far. */
class MountedTree implements ScopedTree<NodeId> {
  readonly root = ROOT_ID;

  constructor(
    private readonly native: NativeMount,
    private readonly union: Union,
  ) {}

  step(directory: NodeId, name: string): Step<NodeId> {
    const mounted = this.native.isMountpoint(directory, name);
    if (mounted > 0) {
      const isDirectory = (this.native.nodeFlags(mounted as NodeId) & NodeFlag.dir) !== 0;
      return isDirectory ? { kind: 'directory', directory: mounted as NodeId } : { kind: 'file' };
    }
    return this.isRoute(directory) ? this.#stepInRoute(directory, name) : this.#stepInUnion(directory, name);
  }

  isRoute(directory: NodeId): boolean {
    return (this.native.nodeFlags(directory) & NodeFlag.route) !== 0;
  }

  #stepInUnion(id: NodeId, name: string): Step<NodeId> {
    const dir = this.union.directory(id);
    if (typeof dir === 'number') return { kind: 'missing' };
    const index = this.union.index(dir);
    const entry = typeof index === 'number' ? undefined : index.get(name);
    if (entry === undefined) return { kind: 'missing' };
    return this.#describe(this.native.placeFd(dir.place(entryPlace(entry))), name, () =>
      this.union.enterEntry(dir, name, entry, 0),
    );
  }

  #stepInRoute(id: NodeId, name: string): Step<NodeId> {
    const place = this.native.placeOfNode(id);
    const step = this.#describe(this.native.placeFd(place), name, () => this.native.enter(id, place, name, 0, 0, 0n));
    this.native.placeDrop(place);
    return step;
  }

  #describe(dirfd: number, name: string, enter: () => number): Step<NodeId> {
    const type = typeAt(dirfd, name);
    if (type === undefined) return { kind: 'missing' };
    if (type === Mode.LNK) {
      const target = sys.readlinkat(dirfd, name);
      return typeof target === 'number' ? { kind: 'missing' } : { kind: 'symlink', target };
    }
    if (type !== Mode.DIR) return { kind: 'file' };
    const node = enter();
    return node > 0 ? { kind: 'directory', directory: node as NodeId } : { kind: 'missing' };
  }

  /** Makes a mountpoint or a directory on the way to it: 0755, root's, an empty file for a file. 0 or -errno. */
  make(directory: NodeId, name: string, type: number): number {
    if (!this.isRoute(directory)) {
      const what = { name, mode: type | 0o755, umask: 0, rdev: 0, target: '', flags: 0 };
      return Math.min(make(this.union, directory, what, ROOT_OWNER), 0);
    }
    const fd = this.native.make(this.native.nodeFd(directory), name, type | 0o755, 0, '', 0, 0, 0, 0);
    if (fd > 0) sys.close(fd);
    return Math.min(fd, 0);
  }
}

function makeMountpoint(tree: MountedTree, parent: NodeId, names: readonly string[], type: number, route: RoutePlan): NodeId {
  let directory = parent;
  names.forEach((name, i) => {
    const last = i === names.length - 1;
    const error = tree.make(directory, name, last ? type : Mode.DIR);
    if (error) {
      const why = error === -errno.EROFS ? 'the root is read-only and has no such mountpoint' : errnoText(error);
      throw new MountError(`cannot make mountpoint ${route.destination}: ${why}`);
    }
    if (last) return;
    const step = tree.step(directory, name);
    if (step.kind !== 'directory') throw new MountError(`cannot make mountpoint ${route.destination}: ${name} vanished`);
    directory = step.directory;
  });
  return directory;
}

function addRoute(native: NativeMount, tree: MountedTree, route: RoutePlan, root: number): string {
  const fd = sys.openat2(AT_FDCWD, Buffer.from(route.source).toString('latin1'), Open.PATH, 0, 0);
  if (fd < 0) throw new MountError(`volume source ${route.source}: ${errnoText(fd)}`);
  const type = typeAt(fd, '') === Mode.DIR ? Mode.DIR : Mode.REG;
  const found = resolveDestination(tree, Buffer.from(route.destination).toString('latin1'));
  if (typeof found === 'string') {
    sys.close(fd);
    throw new MountError(`volume ${route.source}:${route.destination}: ${found}`);
  }
  if (found.found !== 'missing' && (found.found === 'directory') !== (type === Mode.DIR)) {
    sys.close(fd);
    throw new MountError(
      `cannot mount ${route.source} on ${route.destination}: not a directory: Are you trying to mount a directory onto a ` +
        'file (or vice-versa)? Check if the specified host path exists and is the expected type',
    );
  }
  const flags =
    NodeFlag.route | (route.readOnly ? NodeFlag.readOnly : NodeFlag.writable) | (route.tier === 'relay' ? NodeFlag.relay : 0);
  native.addRoot(fd, flags);
  const parent = found.found === 'missing' ? makeMountpoint(tree, found.parent, found.names, type, route) : found.parent;
  const mounted = native.addMountpoint(parent, found.names[found.names.length - 1] ?? '', root);
  if (mounted < 0) throw new MountError(`cannot mount ${route.source} on ${route.destination}: ${errnoText(mounted)}`);
  return Buffer.from(found.path, 'latin1').toString();
}

/**
 * Sets up the routes, shallow first as given. `firstRoot`: how many roots the native side has.
 * Returns each route's path in the root, free of symlinks. Errors: MountError.
 */
export function addRoutes(native: NativeMount, union: Union, routes: readonly RoutePlan[], firstRoot: number): string[] {
  const tree = new MountedTree(native, union);
  const paths = routes.map((route, i) => addRoute(native, tree, route, firstRoot + i));
  // A mountpoint holds the directories on the way to it.
  native.forgetEntered();
  return paths;
}
