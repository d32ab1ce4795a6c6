// The native state of one mount: its roots, places, nodes, mountpoints, open handles and counters, and the rules that
// every op shares (identity of an object, what stat shows, timeouts). Loop thread only; the session and the union
// reach it through mount_object.cc, the serving loop through bypass.h.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dir_stream.h"
#include "fd_budget.h"
#include "fuse_abi.h"
#include "handle.h"
#include "id_map.h"
#include "node.h"
#include "offload.h"
#include "place.h"
#include "unique_fd.h"

namespace lamina {

class LockTable;

/** What a layer or a backing directory is to the mount. */
struct Root {
  Place* place;        // owned reference, pinned
  uint32_t nodeFlags;  // given to the nodes below: kInherited bits
};

struct MountOptions {
  bool passthrough = false;  // agreed at INIT; turned off when the kernel refuses the first id with EPERM
  bool userXattr = false;    // overlay attributes live under user.overlay. instead of trusted.overlay.
  bool linkIndex = false;    // some lower hard links are copied up: their other names are TypeScript's to find
  bool skipSync = false;     // upper need not survive a crash (overlayfs: volatile)
  bool locks = false;        // the kernel sends us the locks of this mount's files
  bool cacheDirs = true;     // ENOSYS to OPENDIR: the kernel caches directories (no route may be among them)
  IdMap uids, gids;
  uint32_t maxWrite = 1 << 20;
  double attrTimeout = 1e9;  // seconds, for the union; routes use 0
  double entryTimeout = 1e9;

  /** What this union calls the attribute `name` of kernel overlayfs. */
  std::string overlayXattr(const char* name) const {
    return std::string(userXattr ? "user.overlay." : "trusted.overlay.") + name;
  }
};

/** Set in the numbers of opens whose data does not come to us: there is no Handle behind them. */
constexpr uint64_t kPassthroughHandle = uint64_t{1} << 63;

struct Mountpoint {
  Node* parent;  // owned references
  std::string name;
  Node* root;
};

struct Counters {
  uint64_t requests[kOpcodeCount] = {};
  uint64_t decisions = 0;  // requests answered by TypeScript
  uint64_t errors = 0;
  uint64_t bytesRead = 0, bytesWritten = 0;
  uint64_t spins = 0, sleeps = 0;
};

class Mount {
 public:
  explicit Mount(size_t fdLimit);
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  /** Identity of a backing object; the salt sets the roots of routes apart from ordinary nodes. */
  NodeKey keyOf(const struct statx& st, uint32_t salt) const;
  /** The same of an object in `dir`. What a route shows, the union or another route may show too, and by other rules.
   */
  NodeKey keyIn(const Place* dir, const struct statx& st) const;
  /**
   * What stat shows for a backing inode: its own number, marked per filesystem past the first. Roots come first, so
   * that the marks are the same at every mount of the same layers, whoever is looked at first.
   */
  uint64_t shownIno(const struct statx& st);
  /** The same of another inode on the filesystem of `node`'s object. */
  uint64_t shownIno(const Node* node, uint64_t ino) { return ino ^ markOf(node->keyDev); }

  uint32_t shownNlink(const Node* node, const struct statx& st) const;
  void fillAttr(const Node* node, const struct statx& st, Attr* out) const;
  void fillEntry(const Node* node, const struct statx& st, EntryOut* out) const;
  void fillNegative(EntryOut* out) const;
  void setAttrTimeout(const Node* node, uint64_t* seconds, uint32_t* nanoseconds) const;

  /** The owner to show for an object of the node. */
  uint32_t shownUid(const Node* node, uint32_t uid) const {
    return node->has(kNodeRoute) ? uid : options.uids.shown(uid);
  }
  uint32_t shownGid(const Node* node, uint32_t gid) const {
    return node->has(kNodeRoute) ? gid : options.gids.shown(gid);
  }
  /** The owner to store for what a caller makes or gives away below the node. */
  uint32_t diskUid(const Node* node, uint32_t uid) const {
    return node->has(kNodeRoute) ? uid : options.uids.disk(uid);
  }
  uint32_t diskGid(const Node* node, uint32_t gid) const {
    return node->has(kNodeRoute) ? gid : options.gids.disk(gid);
  }

  /** statx of the object behind `node`, ESTALE when others have put another one in its place. 0 or -errno. */
  int statNode(Node* node, struct statx* st);
  /** The node that lives: a moved node's successor. */
  Node* live(Node* node) const { return node->forward ? node->forward : node; }
  /**
   * O_PATH fd of the object behind the node, or -errno. The kernel has checked rights for that object, so ESTALE when
   * others have put another one in its place meanwhile.
   */
  int nodeFd(Node* node);
  /** Where a system call finds the object: below a route only by its own fd, for the same reason. */
  Location locate(Node* node);

  /**
   * Finds or makes the node of the object `name` in `dir`, known by `st`, and counts one lookup.
   * `flags`: the node's own (union, merged) beside what it inherits from its root. `ino` 0: the backing's.
   */
  Node* enter(Node* parent, Place* dir, std::string_view name, const struct statx& st, uint32_t flags, uint64_t ino);

  /** The node of an object that has no name yet (O_TMPFILE), counting one lookup; null with *error set. `fd` stays the
   * caller's. */
  Node* enterUnnamed(Node* parent, int fd, int* error);

  /**
   * Before a name goes: if the object has a node, its fd is opened and kept. Returns that node or null, with *error set
   * when it may not go: it is open and we have no fd left to keep it by.
   */
  Node* keepBeforeUnlink(int dirfd, Place* dir, std::string_view name, int* error);
  /** After a name is gone: what no name leads to any more is marked. */
  void afterUnlink(Node* node, Place* dir, std::string_view name);
  /** The request is answered: fds that it used may be closed again, those of what has kept its name too. */
  void endRequest();

  /**
   * Lets go of removed files that nobody has open, so that their space is free before the kernel forgets them. False
   * when there were none. Who still holds one by O_PATH gets ESTALE.
   */
  bool abandonRemoved();

  /**
   * The node's object now is `name` in `dir` on upper. A file open through its lower backing cannot change it: a new
   * node takes over and the old one forwards to it. Returns the node that lives, or null with *error set.
   */
  Node* settleOnUpper(Node* node, Place* dir, std::string_view name, uint32_t set, uint32_t clear, int* error);

  /** The same for a node without a name: its copy is the O_TMPFILE `fd`, which stays the caller's. */
  Node* settleUnnamed(Node* node, int fd, int* error);

  /** The node of the object `name` in `dir`, or null. */
  Node* known(Place* dir, std::string_view name);

  /** The root of a route becomes visible as `name` in `parent`. Returns its node, or null with *error set. */
  Node* addMountpoint(Node* parent, std::string_view name, uint16_t root, int* error);

  const Mountpoint* mountpointAt(const Node* parent, std::string_view name) const;

  /** A backing id for the node's object, from the cache or registered now. > 0, or -errno. */
  int32_t backingId(Node* node);
  void closeBackingId(int32_t id);
  /** Closes the node's cached id if nothing has it open. False when it is in use or was used of late. */
  bool evictBackingId(Node* node);
  void closeOrphanBackingIds();
  /**
   * One passthrough open more; the caller raises `opens`. While a mappable one is there (open for reading and writing),
   * the kernel keeps no attributes of the node.
   */
  void openPassthrough(Node* node, bool mappable);
  /** One passthrough open of the node is over; the caller lowers `opens`. */
  void closePassthrough(Node* node);

  /** Takes back the lookup counts in `entered`: the kernel was not told of them. */
  void forgetEntered();

  /** Returns freed memory to the system once most of many nodes were forgotten. Called when the loop goes to sleep. */
  void giveBackMemory();

  /** A handle's number for an open whose data does not come to us. */
  uint64_t passthroughHandle() { return kPassthroughHandle | nextHandle_++; }
  // handle.cc
  uint64_t addHandle(UniqueFd fd, Node* node, uint32_t flags);
  Handle* handle(uint64_t fh);
  /** The fd behind a handle, opened again if it was closed meanwhile; valid until the request is answered. Or -errno.
   */
  int handleFd(Handle* handle);
  /** The handle is gone; the caller lowers `opens`. */
  void dropHandle(uint64_t fh);
  /** The handle is gone, and its node if nothing else needs it. */
  void closeHandle(uint64_t fh);

  FdBudget fds;
  Places places;
  Nodes nodes;
  DirStreams streams;
  std::vector<Root> roots;
  std::vector<Mountpoint> mountpoints;
  std::unordered_map<uint64_t, Handle> handles;
  std::vector<Node*> entered;        // nodes whose lookup count the reply being built raises
  std::vector<uint64_t> registered;  // nodes whose backing id is new to the cache in TypeScript
  MountOptions options;
  Counters counters;
  Offloads offloads;
  UniqueFd device;
  BlockingCalls* blocking = nullptr;  // of the loop that serves the mount; null without one
  LockTable* locks = nullptr;         // the same; null unless the kernel sends us locks

 private:
  uint64_t markOf(uint32_t device);
  bool isObjectOf(const Node* node, const struct statx& st) const;
  int parentFd(Node* node);
  Node* settle(Node* node, Place* place, const struct statx& st, uint32_t set, uint32_t clear);
  bool isMetacopy(int dirfd, std::string_view name, const struct statx& st) const;
  int32_t readNlinkDelta(int dirfd, std::string_view name) const;
  bool mayReopen(Handle* handle);
  void closeIdleFds(Node* node);
  /** The kernel asks for the node's attributes again. */
  void dropCachedAttr(const Node* node);
  std::vector<uint32_t>
      devices_;  // NodeKey::dev of each backing filesystem: of the roots in their order, then those below
  uint64_t nextHandle_ = 1;
  std::vector<Place*> kept_;        // by keepBeforeUnlink, in the request at hand; owned references
  const Node* lastName_ = nullptr;  // what keepBeforeUnlink kept, when nobody else can give it another name meanwhile
  size_t mostNodes_ = 0;            // since memory was last given back
};

/** The fields of statx that every op needs. */
constexpr unsigned kStatMask = STATX_BASIC_STATS | STATX_BTIME;

/** What tells two objects apart that had the same inode number, one after the other: the birth time, folded. */
uint32_t stampOf(const struct statx& st);

/** statx without following or automounting; 0 or -errno. */
int statAt(int dirfd, const char* name, struct statx* st);

inline bool isWhiteout(const struct statx& st) {
  return S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0;
}

/** Names that layer formats use. A directory that has them all the same is TypeScript's: see union/plain-names.ts. */
inline bool isWhiteoutName(std::string_view name) { return name.substr(0, 4) == ".wh."; }

}  // namespace lamina
