// Types of the addon's Mount and Loop: the node table, places and replies that the union drives, and the serving loop
// that drives the union. All calls belong to the thread that made the object. Values are >= 0 or -errno.

/** The kernel's handle for an inode of one mount: a counter, root 1, never reused, below 2^53. */
export type NodeId = number & { readonly [nodeIdBrand]: 'NodeId' };
declare const nodeIdBrand: unique symbol;

/** A directory or object in one layer or backing directory, as a reference held by TypeScript until `placeDrop`. */
export type PlaceId = number & { readonly [placeIdBrand]: 'PlaceId' };
declare const placeIdBrand: unique symbol;

/** What an op answers when its request is parked: the loop answers it again when the work it waits for has ended. */
export const PARKED = -1000;

export const ROOT_ID = 1 as NodeId;

/** What a node is; the same bits as NodeFlag in native/node.h. */
export const NodeFlag = {
  union: 1 << 0,
  merged: 1 << 1,
  writable: 1 << 2,
  route: 1 << 3,
  readOnly: 1 << 4,
  mountParent: 1 << 5,
  mountRoot: 1 << 6,
  removed: 1 << 7,
  moved: 1 << 8,
  relay: 1 << 9,
  dir: 1 << 10,
} as const;

export interface MountOptions {
  /** Passthrough was agreed at INIT. */
  passthrough?: boolean;
  /** Overlay attributes are user.overlay.* (no CAP_SYS_ADMIN). */
  userXattr?: boolean;
  /** Lower hard links have been copied up: lookups of their other names come to TypeScript. */
  linkIndex?: boolean;
  /** The kernel caches directories and sends no OPENDIR; wrong where others change them. */
  cacheDirs?: boolean;
  /** fsync on the union does nothing: upper need not survive a crash. */
  skipSync?: boolean;
  /** The kernel is told to send locks: set before the loop gets the mount. */
  locks?: boolean;
  maxWrite?: number;
  /** Triples: id on disk, id shown, how many. Ids outside of them are shown as 65534; without any, as they are. */
  uidMap?: readonly number[];
  gidMap?: readonly number[];
  /** Every object is shown with this owner. */
  squashUid?: number | undefined;
  squashGid?: number | undefined;
  /** Seconds that the kernel trusts attributes of the union; routes always use 0. */
  attrTimeout?: number;
  /** Seconds that the kernel trusts names of the union, absent ones among them. */
  entryTimeout?: number;
}

export interface MountStats {
  /** Requests by opcode. */
  requests: number[];
  /** Requests that TypeScript answered. */
  decisions: number;
  errors: number;
  bytesRead: number;
  bytesWritten: number;
  /** Polls for the next request, and times the loop slept instead. */
  spins: number;
  sleeps: number;
  nodes: number;
  /** Where objects are in layers: one or more a node. */
  places: number;
  /** Fds open on layers and backing directories, without their roots. */
  openFds: number;
  handles: number;
  /** Owners that hold or wait for locks which came to us. */
  locks: number;
  /** 1 when files are opened with passthrough. */
  passthrough: number;
}

export interface NativeMount {
  /** The buffer in which replies are built; offset 0 is the first byte of the payload. */
  bindReply(payload: Uint8Array): void;
  setOptions(options: MountOptions): void;
  /** Owns: the /dev/fuse fd from now on. */
  attach(fuseFd: number): void;
  /** Closes /dev/fuse, so that the kernel ends the mount if no other process holds it, and frees all the mount had. */
  detach(): void;

  /** A layer, route or work directory over `fd` (owned). Its nodes get `nodeFlags`. Returns its root place. */
  addRoot(fd: number, nodeFlags: number): PlaceId;
  /** From here on the union is read-only; routes keep their own mode. */
  seal(): void;
  placeChild(parent: PlaceId, name: string): PlaceId;
  placeOfNode(node: NodeId): PlaceId;
  placeDrop(place: PlaceId): number;
  /** An O_PATH fd that stays open at least until the request at hand is answered. */
  placeFd(place: PlaceId): number;
  /** The same for the very next call: what goes through hundreds of layers must not hold them all open. */
  placeFdBriefly(place: PlaceId): number;
  /** Fds that may be open on layers and backing directories, without their roots. */
  setFdLimit(limit: number): void;
  placeMove(place: PlaceId, parent: PlaceId, name: string): number;

  makeRootNode(place: PlaceId, flags: number): NodeId;
  /**
   * Finds or makes the node for `name` in `dir`, writes its entry at `offset` of the reply. Lookup count: +1.
   * `ino` 0n shows the backing object's own number.
   */
  enter(parent: NodeId, dir: PlaceId, name: string, flags: number, offset: number, ino: bigint): number;
  /** Writes a cacheable "does not exist"; returns the payload length. */
  negative(): number;
  /** `root` is the index of addRoot calls. Returns the route's root node. */
  addMountpoint(parent: NodeId, name: string, root: number): number;
  /** Takes back the lookup counts of `enter` since the last request, when nobody is told of them. */
  forgetEntered(): void;
  /** Root node of the route mounted there, or 0. */
  isMountpoint(parent: NodeId, name: string): number;
  /** Opens the file of a node just entered, behind its entry at the start of the reply. `flags`: open(2). The reply's length, or -errno. */
  openEntered(node: NodeId, flags: number): number;
  /** Gives the node an fd on its object. Owns: fd. */
  adopt(node: NodeId, fd: number): void;
  /**
   * Makes an object with the caller's identity. A regular file comes back open for reading (its fd, owned by the
   * caller), others as 0. `rdev` is in wire form.
   */
  make(
    dirfd: number,
    name: string,
    mode: number,
    rdev: number,
    target: string,
    uid: number,
    gid: number,
    group: number,
    umask: number,
  ): number;
  /** O_TMPFILE with the caller's identity: an O_RDWR fd. */
  makeTmpfile(dirfd: number, mode: number, flags: number, uid: number, gid: number, group: number, umask: number): number;
  /** A node without a name for the tmpfile `fd` (stays the caller's); entry at offset 0. Lookup count: +1. */
  enterTmpfile(parent: NodeId, fd: number): number;

  /** The node of the object `name` in `dir`; 0 when the kernel does not know it. */
  nodeAt(dir: PlaceId, name: string): number;
  /** Call before a name in `dir` goes; returns the node whose fd is kept, 0, or -errno: an open file cannot be kept. */
  keepBeforeUnlink(dir: PlaceId, name: string): number;
  afterUnlink(node: NodeId, dir: PlaceId, name: string): void;
  moveNode(node: NodeId, newParent: NodeId, dir: PlaceId, name: string): number;
  /** The node's object now is `name` in `dir` on upper. Returns the node that lives: a new one if a reader holds the old. */
  settleOnUpper(node: NodeId, dir: PlaceId, name: string, set: number, clear: number): number;
  /** The same for a node whose name is gone: its copy is the tmpfile `fd`. */
  settleUnnamed(node: NodeId, fd: number): number;
  /** The number that stat shows for `name` in `dir` (empty name: the place itself); 0n when absent. */
  shownIno(dir: PlaceId, name: string): bigint;
  nodeFlags(node: NodeId): number;
  setNodeFlags(node: NodeId, set: number, clear: number): number;
  /** Names that a node has beyond the links of its backing object. */
  setNlinkDelta(node: NodeId, delta: number): void;
  /** 0 for the root. */
  nodeParent(node: NodeId): NodeId;
  nodeName(node: NodeId): string | undefined;
  /** O_PATH fd of the node's object. */
  nodeFd(node: NodeId): number;
  /** Closes a cached backing id; false when it is in use, or was since the last call. */
  evictBackingId(node: NodeId): boolean;
  /** Union directories whose nodes are gone. */
  takeDropped(): NodeId[];
  /** Nodes that got a backing id. */
  takeRegistered(): NodeId[];
  stats(): MountStats;

  /**
   * Begins to copy the first `length` bytes of `src` (all when negative) to the empty file `dst` on a thread beside the
   * loop. The work's number, or 0 when it is done sooner in place: it is small, or no loop serves the mount.
   */
  copyBeside(src: number, dst: number, length: bigint): number;
  /** The same for an fsync. */
  syncBeside(fd: number): number;
  /** 1 while that work runs, then 0 or -errno, which is told once. */
  offloadResult(work: number): number;
  /** The request at hand is answered again when that work has ended. Returns PARKED. */
  parkUntil(work: number): number;

  /** Starts a reply; `tag` is or-ed into every offset. */
  direntStart(size: number, plus: boolean, tag: bigint): void;
  /**
   * Appends an entry: 1 or the nodeid entered, 0 when the reply is full, -errno when the object is gone.
   * `enter` only matters for READDIRPLUS: false leaves the entry to a later lookup. `at`: the object's name in `dir`
   * when it is listed under another.
   */
  direntAdd(
    name: string,
    dir: PlaceId,
    off: number,
    type: number,
    parent: NodeId,
    flags: number,
    enter: boolean,
    ino: bigint,
    at?: string,
  ): number;
  direntLength(): number;
}

/** What the loop asks for; every function returns a payload length or 0, or -errno, and throws nothing. */
export interface LoopHandler {
  /** An eventfd (duplicated): writing 8 bytes makes run() return. */
  wakeFd: number;
  /** Whole requests, header first. */
  request: Uint8Array;
  /** Reply header (16 bytes), then payload. */
  reply: Uint8Array;
  decide(mount: number, opcode: number, nodeid: NodeId, length: number): number;
  /** Brings a node to upper; `length` < 0 copies all data. */
  copyUp(mount: number, nodeid: NodeId, length: bigint): number;
  tidy(mount: number): number;
  ended(mount: number): number;
}

export interface NativeLoop {
  add(index: number, mount: NativeMount): number;
  remove(index: number): void;
  /** Serves until the wake fd is written or no mount is left. */
  run(): void;
}
