// Files that the kernel reads and writes itself (passthrough): each has an id, registered when it is first opened so
// and kept for the next time. Part of Mount.

#include <errno.h>
#include <sys/ioctl.h>

#include "mount.h"

namespace lamina {

int32_t Mount::backingId(Node* node) {
  node->flags |= kNodeTouched;
  if (node->backingId) return node->backingId;
  int fd = nodeFd(node);
  if (fd < 0) return fd;
  BackingMap map{fd, 0, 0};
  int id = ioctl(device.get(), kIocBackingOpen, &map);
  if (id <= 0) return id < 0 ? -errno : -EIO;
  node->backingId = id;
  if (!node->has(kNodeRoute)) registered.push_back(node->id);
  return id;
}

void Mount::closeBackingId(int32_t id) {
  uint32_t value = static_cast<uint32_t>(id);
  ioctl(device.get(), kIocBackingClose, &value);
}

bool Mount::evictBackingId(Node* node) {
  if (!node->backingId) return true;
  if (node->passthroughOpens) return false;
  if (node->has(kNodeTouched)) {
    node->flags &= ~kNodeTouched;
    return false;
  }
  closeBackingId(node->backingId);
  node->backingId = 0;
  return true;
}

void Mount::openPassthrough(Node* node, bool mappable) {
  node->passthroughOpens++;
  if (!mappable || node->has(kNodeMappable | kNodeRoute)) return;
  node->flags |= kNodeMappable;
  dropCachedAttr(node);
}

void Mount::closePassthrough(Node* node) {
  if (--node->passthroughOpens) return;
  node->flags &= ~kNodeMappable;
  if (!node->backingId) return;
  // A cached id would keep a file that others may delete from freeing its space.
  if (!node->has(kNodeRoute | kNodeRemoved | kNodeMoved)) return;
  closeBackingId(node->backingId);
  node->backingId = 0;
}

void Mount::closeOrphanBackingIds() {
  for (int32_t id : nodes.orphanBackingIds) closeBackingId(id);
  nodes.orphanBackingIds.clear();
}

}  // namespace lamina
