// The node table of one mount: nodeid -> what backs it. A node is an inode that the kernel knows, or that a child or
// an open handle still needs. nodeids count up from 2 (root is 1) and are never reused.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <string_view>
#include <vector>

#include "place.h"

namespace lamina {

enum NodeFlag : uint32_t {
  kNodeUnion = 1 << 0,        // a directory whose namespace TypeScript decides
  kNodeMerged = 1 << 1,       // a union directory with more than one layer: st_nlink is 1 (Linux: ovl_getattr)
  kNodeWritable = 1 << 2,     // backed by upper or by a route: writes need no copy-up
  kNodeRoute = 1 << 3,        // below a mountpoint: others change the backing files too
  kNodeReadOnly = 1 << 4,     // every write op answers EROFS
  kNodeMountParent = 1 << 5,  // holds at least one mountpoint
  kNodeMountRoot = 1 << 6,    // the root of a route
  kNodeRemoved = 1 << 7,      // its last name is gone
  kNodeMoved = 1 << 8,        // copied up while open: `forward` is the node that lives on upper
  kNodeRelay = 1 << 9,        // data goes through us even where passthrough works
  kNodeDir = 1 << 10,
  kNodeTouched = 1 << 11,   // opened since the backing-id cache last looked
  kNodeFile = 1 << 12,      // a regular file: what may be opened, beside directories
  kNodeMappable = 1 << 13,  // open for reading and writing in the kernel: a shared map changes its times unseen
  kNodeHeir = 1 << 14,      // a moved node forwards to it: the kernel still has that one, too
  kNodeMetacopy = 1 << 15,  // the kernel has left its data in a lower layer: it cannot be opened
};

/** Flags that a child has from its directory. */
constexpr uint32_t kInherited = kNodeRoute | kNodeReadOnly | kNodeWritable | kNodeRelay;

struct NodeKey {
  uint64_t ino;
  uint32_t dev, salt;
};

/** The flag for a type of object. */
inline uint32_t typeFlag(uint32_t mode) { return S_ISDIR(mode) ? kNodeDir : S_ISREG(mode) ? kNodeFile : 0u; }

struct Node {
  uint64_t id = 0;
  uint64_t nlookup = 0;
  uint64_t ino = 0;     // what stat shows: survives copy-up
  uint64_t keyIno = 0;  // identity of the backing object
  uint32_t keyDev = 0;
  uint32_t keySalt = 0;  // not 0 for the root of a route
  uint32_t stamp = 0;    // birth time, folded: an inode number used again is another object
  uint32_t flags = 0;
  uint32_t opens = 0;      // handles, passthrough and relay
  uint32_t bareOpens = 0;  // those of them that have no handle: in the kernel alone
  uint32_t refs = 0;       // children, forwarders, mountpoints
  int32_t backingId = 0;
  int32_t nlinkDelta = 0;  // names beyond the backing object's links
  uint32_t passthroughOpens = 0;
  uint32_t running = 0;    // opens to execute
  Place* place = nullptr;  // owned reference
  Node* parent = nullptr;  // owned reference; the directory it was last found in
  Node* forward = nullptr;
  Node* nextById = nullptr;
  Node* nextByKey = nullptr;

  NodeKey key() const { return {keyIno, keyDev, keySalt}; }
  bool isDir() const { return flags & kNodeDir; }
  bool has(uint32_t flag) const { return flags & flag; }
};

/** Loop thread only. */
class Nodes {
 public:
  explicit Nodes(Places& places);
  ~Nodes();
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  Node* find(uint64_t id) const;
  Node* find(const NodeKey& key) const;
  /** A new node with no lookup count, under the next id. Takes references on `place` and `parent`. */
  Node* create(const NodeKey& key, Place* place, Node* parent, uint32_t flags);
  /** Changes the identity under which lookups find the node. */
  void rekey(Node* node, const NodeKey& key);
  /** Lookups find the node no more. */
  void unkey(Node* node);
  void setPlace(Node* node, Place* place);
  void setParent(Node* node, Node* parent);
  /** Lowers the lookup count; destroys what nothing needs. Returns true when the node is gone. */
  bool forget(Node* node, uint64_t nlookup);
  /** Destroys the node when neither kernel, child nor handle needs it. */
  bool release(Node* node);

  template <typename Each>
  void forEach(Each each) {
    for (Node* node : byId_) {
      for (; node; node = node->nextById) each(node);
    }
  }
  size_t size() const { return count_; }
  /** Ids of union directories destroyed since the last call: TypeScript drops what it keeps for them. */
  std::vector<uint64_t> takeDropped() { return std::move(dropped_); }
  bool hasDropped() const { return !dropped_.empty(); }
  /** Backing ids of destroyed nodes, to be closed by the mount. */
  std::vector<int32_t> orphanBackingIds;

 private:
  void grow();
  size_t keySlot(const NodeKey& key) const;

  Places& places_;
  std::vector<Node*> byId_;
  std::vector<Node*> byKey_;
  size_t count_ = 0;
  uint64_t nextId_ = kFirstId;
  std::vector<uint64_t> dropped_;
  static constexpr uint64_t kFirstId = 1;
};

}  // namespace lamina
