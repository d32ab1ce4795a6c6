#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "proc_path.h"

namespace lamina {

int statAt(int dirfd, const char* name, struct statx* st) {
  if (dirfd < 0) return dirfd;
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_SYNC_AS_STAT | (*name ? 0 : AT_EMPTY_PATH);
  return statx(dirfd, name, flags, kStatMask, st) < 0 ? -errno : 0;
}

Mount::Mount(size_t fdLimit) : fds(fdLimit), places(fds), nodes(places) {
  fds.mayReopen = [this](FdSlot* slot) { return mayReopen(static_cast<Handle*>(slot)); };
}

Mount::~Mount() {
  endRequest();
  for (auto& [fh, handle] : handles) fds.close(&handle);
  for (Root& root : roots) places.drop(root.place);
}

namespace {

/** No two are the same: 12 bits are the major number, 20 the minor one. */
uint32_t deviceOf(const struct statx& st) { return (st.stx_dev_major << 20) ^ st.stx_dev_minor; }

}  // namespace

uint32_t stampOf(const struct statx& st) {
  if (!(st.stx_mask & STATX_BTIME)) return 0;
  return static_cast<uint32_t>(st.stx_btime.tv_sec) * 1000003u ^ st.stx_btime.tv_nsec;
}

NodeKey Mount::keyOf(const struct statx& st, uint32_t salt) const { return {st.stx_ino, deviceOf(st), salt}; }

NodeKey Mount::keyIn(const Place* dir, const struct statx& st) const {
  return keyOf(st, roots[dir->root].nodeFlags & kNodeRoute ? dir->root : 0);
}

uint64_t Mount::shownIno(const struct statx& st) { return st.stx_ino ^ markOf(deviceOf(st)); }

uint64_t Mount::markOf(uint32_t device) {
  size_t index = 0;
  while (index < devices_.size() && devices_[index] != device) index++;
  if (index == devices_.size()) devices_.push_back(device);
  return uint64_t{index} << 52;
}

void Mount::setAttrTimeout(const Node* node, uint64_t* seconds, uint32_t* nanoseconds) const {
  // The kernel keeps a moved node and its heir as two inodes: what is changed by one shows in the other at once.
  *seconds =
      node->has(kNodeRoute | kNodeMoved | kNodeHeir | kNodeMappable) ? 0 : static_cast<uint64_t>(options.attrTimeout);
  *nanoseconds = 0;
}

uint32_t Mount::shownNlink(const Node* node, const struct statx& st) const {
  // A lower file whose name was whited out: the layer still has it, the union does not.
  if (node->has(kNodeRemoved) && !node->has(kNodeWritable)) return 0;
  return node->has(kNodeMerged) ? 1 : st.stx_nlink + node->nlinkDelta;
}

void Mount::fillAttr(const Node* node, const struct statx& st, Attr* out) const {
  out->ino = node->ino;
  out->size = st.stx_size;
  out->blocks = st.stx_blocks;
  out->atime = st.stx_atime.tv_sec;
  out->mtime = st.stx_mtime.tv_sec;
  out->ctime = st.stx_ctime.tv_sec;
  out->atimensec = st.stx_atime.tv_nsec;
  out->mtimensec = st.stx_mtime.tv_nsec;
  out->ctimensec = st.stx_ctime.tv_nsec;
  out->mode = st.stx_mode;
  out->nlink = shownNlink(node, st);
  out->uid = shownUid(node, st.stx_uid);
  out->gid = shownGid(node, st.stx_gid);
  // The wire carries the kernel's 32-bit new_encode_dev form.
  out->rdev = (st.stx_rdev_minor & 0xff) | (st.stx_rdev_major << 8) | ((st.stx_rdev_minor & ~0xffu) << 12);
  out->blksize = st.stx_blksize;
  out->flags = 0;
}

void Mount::fillEntry(const Node* node, const struct statx& st, EntryOut* out) const {
  memset(out, 0, sizeof *out);
  out->nodeid = node->id;
  bool route = node->has(kNodeRoute) && !node->has(kNodeMountRoot);
  out->entryValid = route ? 0 : static_cast<uint64_t>(options.entryTimeout);
  setAttrTimeout(node, &out->attrValid, &out->attrValidNsec);
  fillAttr(node, st, &out->attr);
}

void Mount::fillNegative(EntryOut* out) const {
  memset(out, 0, sizeof *out);
  out->entryValid = static_cast<uint64_t>(options.entryTimeout);
}

bool Mount::isObjectOf(const Node* node, const struct statx& st) const {
  NodeKey key = keyOf(st, 0);
  return key.ino == node->keyIno && key.dev == node->keyDev && stampOf(st) == node->stamp;
}

int Mount::statNode(Node* node, struct statx* st) {
  Place* place = node->place;
  bool open = place->fd >= 0;
  if (!open && (!place->parent || place->detached)) return -ESTALE;
  // A stat by name spares the open.
  int error = open ? statAt(place->fd, "", st) : statAt(parentFd(node), place->name.c_str(), st);
  if (error) return error == -ENOENT ? -ESTALE : error;
  return isObjectOf(node, *st) ? 0 : -ESTALE;
}

int Mount::parentFd(Node* node) {
  Node* parent = node->parent;
  return parent && parent->place == node->place->parent ? nodeFd(parent) : places.fd(node->place->parent);
}

int Mount::nodeFd(Node* node) {
  Place* place = node->place;
  bool known = place->fd >= 0 || !node->has(kNodeRoute);
  int fd = places.fd(place);
  if (known || fd < 0) return fd;
  struct statx st;
  int error = statAt(fd, "", &st);
  if (!error && isObjectOf(node, st)) return fd;
  fds.close(place);
  return error ? error : -ESTALE;
}

Location Mount::locate(Node* node) {
  Place* place = node->place;
  if (place->fd >= 0) return {place->fd, ""};
  if (node->has(kNodeRoute)) return {nodeFd(node), ""};
  if (!place->parent || place->detached) return {-ESTALE, ""};
  return {parentFd(node), place->name.c_str()};
}

Node* Mount::known(Place* dir, std::string_view name) {
  struct statx st;
  if (statAt(places.fdBriefly(dir), std::string(name).c_str(), &st)) return nullptr;
  return nodes.find(keyIn(dir, st));
}

// "U+2": two names more than upper has links, as kernel overlayfs keeps it (Linux: ovl_get_nlink). Names of a lower
// hard link that were not copied up count though upper does not have them; the link in the index does not.
int32_t Mount::readNlinkDelta(int dirfd, std::string_view name) const {
  char text[16] = {};
  std::string path = procPath(dirfd, std::string(name));
  return lgetxattr(path.c_str(), options.overlayXattr("nlink").c_str(), text, sizeof text - 1) > 1 && text[0] == 'U'
             ? atoi(text + 1)
             : 0;
}

// Kernel overlayfs mounted with metacopy=on makes copies that are holes. Only what has fewer blocks than bytes is
// asked.
bool Mount::isMetacopy(int dirfd, std::string_view name, const struct statx& st) const {
  if (!S_ISREG(st.stx_mode) || st.stx_blocks * 512 >= st.stx_size) return false;
  std::string path = procPath(dirfd, std::string(name));
  return lgetxattr(path.c_str(), options.overlayXattr("metacopy").c_str(), nullptr, 0) >= 0;
}

Node* Mount::enter(Node* parent, Place* dir, std::string_view name, const struct statx& st, uint32_t flags,
                   uint64_t ino) {
  uint32_t inherited = roots[dir->root].nodeFlags & kInherited;
  bool directory = S_ISDIR(st.stx_mode);
  NodeKey key = keyIn(dir, st);
  Node* node = nodes.find(key);
  uint32_t stamp = stampOf(st);
  if (node && (node->stamp != stamp || node->isDir() != directory)) {
    nodes.unkey(node);
    node = nullptr;
  }
  if (!node) {
    Place* place = places.child(dir, name);
    node = nodes.create(key, place, parent, inherited | flags | typeFlag(st.stx_mode));
    places.drop(place);
    node->ino = ino ? ino : shownIno(st);
    node->stamp = stamp;
    if (!node->has(kNodeRoute) && isMetacopy(places.fdBriefly(dir), name, st)) node->flags |= kNodeMetacopy;
    bool upper = node->has(kNodeWritable) && !node->has(kNodeRoute);
    // A copy that has no name on upper yet is entered from the link index, where it has one link.
    bool linked = st.stx_nlink > 1 || !parent || parent->place != dir;
    if (upper && !directory && linked) node->nlinkDelta = readNlinkDelta(places.fdBriefly(dir), name);
  } else if (node->place->detached ||
             (node->place->parent && (node->place->parent != dir || node->place->name != name) &&
              (directory || st.stx_nlink == 1 || !node->has(kNodeWritable)))) {
    // Of several names of a lower file the one that was looked up last: the write that follows comes by it, and copies
    // it up under that name.
    places.move(node->place, dir, name);
    nodes.setParent(node, parent);
    node->flags &= ~kNodeRemoved;
  }
  node->nlookup++;
  return node;
}

Node* Mount::enterUnnamed(Node* parent, int fd, int* error) {
  // The table keeps the object by an O_PATH fd: a writable one would make it unexecutable (ETXTBSY).
  UniqueFd path(open(procPath(fd, "").c_str(), O_PATH | O_CLOEXEC));
  struct statx st;
  *error = !path ? -errno : fds.mayPin() ? statAt(path.get(), "", &st) : -EMFILE;
  if (*error) return nullptr;
  Node* node = enter(parent, parent->place, "", st, 0, 0);
  places.adopt(node->place, path.release());
  places.pin(node->place);
  places.detach(node->place);
  entered.push_back(node);
  return node;
}

Node* Mount::keepBeforeUnlink(int dirfd, Place* dir, std::string_view name, int* error) {
  *error = 0;
  struct statx st;
  std::string text(name);
  if (statAt(dirfd, text.c_str(), &st) != 0) return nullptr;
  Node* node = nodes.find(keyIn(dir, st));
  if (!node || node->place->root != dir->root) return nullptr;
  int fd = nodeFd(node);
  int pinned = fd < 0 ? fd : places.pin(node->place);
  lastName_ = st.stx_nlink == 1 && !node->has(kNodeRoute) ? node : nullptr;
  if (pinned == 0) {
    places.ref(node->place);
    kept_.push_back(node->place);
    return node;
  }
  if (node->opens && (pinned == -EMFILE || pinned == -ENFILE)) *error = pinned;
  return nullptr;
}

void Mount::afterUnlink(Node* node, Place* dir, std::string_view name) {
  if (!node) return;
  struct statx st;
  bool gone = node->isDir() || node == lastName_ || statAt(node->place->fd, "", &st) != 0 || st.stx_nlink == 0;
  if (node->place->parent == dir && node->place->name == name) places.detach(node->place);
  if (!gone) return;
  node->flags |= kNodeRemoved;
  nodes.unkey(node);
  if (node->backingId && !node->passthroughOpens) {
    closeBackingId(node->backingId);
    node->backingId = 0;
  }
}

void Mount::endRequest() {
  for (Place* place : kept_) {
    if (!place->detached) places.unpin(place);
    places.drop(place);
  }
  kept_.clear();
  fds.endRequest();
}

bool Mount::abandonRemoved() {
  bool any = false;
  nodes.forEach([&](Node* node) {
    Place* place = node->place;
    bool idle = node->has(kNodeRemoved) && node->has(kNodeWritable) && !node->isDir() && node->opens == 0;
    if (!idle || !place->detached || place->kind != FdKind::kPinned) return;
    places.abandon(place);
    any = true;
  });
  closeOrphanBackingIds();
  return any;
}

void Mount::dropCachedAttr(const Node* node) {
  struct {
    OutHeader header;
    uint64_t nodeid;
    int64_t offset, length;
  } notice{{sizeof notice, kNotifyInvalInode, 0}, node->id, -1, 0};       // no offset: attributes alone
  if (device && write(device.get(), &notice, sizeof notice) < 0) return;  // the kernel has forgotten it
}

Node* Mount::settle(Node* node, Place* place, const struct statx& st, uint32_t set, uint32_t clear) {
  Node* result = node;
  if (node->passthroughOpens) {
    result =
        nodes.create(keyOf(st, 0), place, node->parent, (node->flags & ~(kNodeTouched | kNodeMappable) & ~clear) | set);
    result->ino = node->ino;
    result->running = node->running;
    node->forward = result;
    result->refs++;
    node->flags |= kNodeMoved;
    result->flags |= kNodeHeir;
    nodes.unkey(node);
    dropCachedAttr(node);
  } else {
    if (node->backingId) closeBackingId(node->backingId);
    node->backingId = 0;
    nodes.setPlace(node, place);
    nodes.rekey(node, keyOf(st, 0));
    node->flags = (node->flags & ~clear) | set;
    streams.close(node->id);
    if (node->opens) closeIdleFds(node);  // the next use opens the copy
  }
  result->stamp = stampOf(st);
  return result;
}

Node* Mount::settleOnUpper(Node* node, Place* dir, std::string_view name, uint32_t set, uint32_t clear, int* error) {
  struct statx st;
  *error = statAt(places.fd(dir), std::string(name).c_str(), &st);
  if (*error) return nullptr;
  Place* place = places.child(dir, name);
  Node* settled = settle(node, place, st, set, clear);
  places.drop(place);
  return settled;
}

Node* Mount::settleUnnamed(Node* node, int fd, int* error) {
  UniqueFd path(open(procPath(fd, "").c_str(), O_PATH | O_CLOEXEC));
  struct statx st;
  *error = !path ? -errno : fds.mayPin() ? statAt(path.get(), "", &st) : -EMFILE;
  if (*error) return nullptr;
  Place* place = places.child(roots[0].place, "");
  places.adopt(place, path.release());
  places.pin(place);
  places.detach(place);
  Node* settled = settle(node, place, st, kNodeWritable, 0);
  places.drop(place);
  return settled;
}

Node* Mount::addMountpoint(Node* parent, std::string_view name, uint16_t root, int* error) {
  struct statx st;
  Place* place = roots[root].place;
  *error = statAt(place->fd, "", &st);
  if (*error) return nullptr;
  uint32_t flags = roots[root].nodeFlags | kNodeMountRoot | typeFlag(st.stx_mode);
  // A key of its own: the same directory may be reached through another route as an ordinary child.
  NodeKey key = keyOf(st, 0x80000000u + root);
  Node* node = nodes.create(key, place, parent, flags);
  node->ino = shownIno(st);
  node->stamp = stampOf(st);
  node->refs++;
  parent->refs++;
  parent->flags |= kNodeMountParent;
  mountpoints.push_back({parent, std::string(name), node});
  return node;
}

const Mountpoint* Mount::mountpointAt(const Node* parent, std::string_view name) const {
  if (!parent->has(kNodeMountParent)) return nullptr;
  for (const Mountpoint& point : mountpoints) {
    if (point.parent == parent && point.name == name) return &point;
  }
  return nullptr;
}

void Mount::forgetEntered() {
  for (Node* node : entered) nodes.forget(node, 1);
  entered.clear();
}

void Mount::giveBackMemory() {
  constexpr size_t kWorthIt = 8192;
  size_t now = nodes.size();
  mostNodes_ = std::max(mostNodes_, now);
  if (mostNodes_ < kWorthIt || now > mostNodes_ / 2) return;
  malloc_trim(0);
  mostNodes_ = now;
}

}  // namespace lamina
