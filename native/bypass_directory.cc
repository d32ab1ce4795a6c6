#include "bypass_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "bypass.h"
#include "proc_path.h"

namespace lamina {

bool isUnionName(const Node* directory, std::string_view name) {
  return !directory->has(kNodeRoute) && isWhiteoutName(name);
}

int writableDirectory(Request& request, uint64_t nodeid, Directory* out) {
  Node* node = request.mount.nodes.find(nodeid);
  if (!node) return -ESTALE;
  if (node->has(kNodeReadOnly)) return -EROFS;
  if (node->has(kNodeUnion) || !node->has(kNodeWritable)) return kDecide;
  out->node = node;
  out->fd = request.mount.nodeFd(node);
  return out->fd < 0 ? out->fd : 0;
}

int replyEntry(Request& request, Node* node, const struct statx& st) {
  request.mount.entered.push_back(node);
  request.mount.fillEntry(node, st, reinterpret_cast<EntryOut*>(request.out));
  return sizeof(EntryOut);
}

int enterAndReply(Request& request, const Directory& dir, std::string_view name) {
  struct statx st;
  int error = statAt(dir.fd, std::string(name).c_str(), &st);
  if (error) return error;
  return replyEntry(request, request.mount.enter(dir.node, dir.node->place, name, st, 0, 0), st);
}

// FUSE_CREATE_SUPP_GROUP: after the fixed part and names, 8-aligned extensions; the groups record holds one gid in
// which the caller is a member and which owns the directory.
uint32_t Request::group() const {
  size_t total = size_t{in.totalExtLen} * 8;
  if (!total || total > size) return in.gid;
  const uint8_t* at = body + size - total;
  const uint8_t* end = body + size;
  while (at + sizeof(ExtHeader) <= end) {
    ExtHeader header;
    memcpy(&header, at, sizeof header);
    if (header.size < sizeof header || header.size > static_cast<size_t>(end - at)) break;
    uint32_t groups[2];
    if (header.type == kExtGroups && header.size >= sizeof header + sizeof groups) {
      memcpy(groups, at + sizeof header, sizeof groups);
      if (groups[0] == 1) return groups[1];
    }
    at += header.size;
  }
  return in.gid;
}

bool hasUnionMarks(const Mount& mount, int dirfd, const char* name) {
  std::string path = procPath(dirfd, name);
  char value[2];
  auto sizeOf = [&](const char* attribute, size_t room) {
    return lgetxattr(path.c_str(), mount.options.overlayXattr(attribute).c_str(), value, room);
  };
  if (sizeOf("redirect", 0) >= 0 || sizeOf("impure", 0) >= 0) return true;
  return sizeOf("opaque", sizeof value) == 1 && value[0] == 'x';
}

bool isIndexedLink(const Mount& mount, const Node* directory, const struct statx& st) {
  bool lower = !directory->has(kNodeRoute | kNodeWritable);
  return mount.options.linkIndex && lower && !S_ISDIR(st.stx_mode) && st.stx_nlink > 1;
}

int existsOrWhiteout(const Directory& dir, std::string_view name) {
  struct statx st;
  bool whiteout = !dir.node->has(kNodeRoute) && statAt(dir.fd, std::string(name).c_str(), &st) == 0 && isWhiteout(st);
  return whiteout ? kDecide : -EEXIST;
}

bool isUnionChild(Request& request, int dirfd, const char* name) {
  struct statx st;
  if (statAt(dirfd, name, &st)) return false;
  if (isWhiteout(st)) return true;
  if (!S_ISDIR(st.stx_mode)) return false;
  Node* node = request.mount.nodes.find(request.mount.keyOf(st, 0));
  return node ? node->has(kNodeUnion) : hasUnionMarks(request.mount, dirfd, name);
}

}  // namespace lamina
