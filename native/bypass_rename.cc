// rename and link in directories that live in one place.

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "bypass.h"
#include "bypass_directory.h"
#include "proc_path.h"

namespace lamina {

namespace {

struct RenameArgs {
  uint64_t newdir;
  uint32_t flags;
  std::string oldName, newName;
};

bool readRename(const Request& request, RenameArgs* args) {
  bool two = request.in.opcode == kRename2;
  size_t fixed = two ? sizeof(Rename2In) : sizeof(uint64_t);
  if (request.size < fixed) return false;
  memcpy(&args->newdir, request.body, sizeof args->newdir);
  args->flags = two ? request.as<Rename2In>()->flags : 0;
  args->oldName = request.name(fixed);
  args->newName = request.name(fixed + args->oldName.size() + 1);
  return !args->oldName.empty() && !args->newName.empty();
}

void moveNode(Mount& mount, Node* node, const Directory& to, std::string_view name) {
  if (!node) return;
  mount.places.move(node->place, to.node->place, name);
  mount.nodes.setParent(node, to.node);
}

Node* nodeAt(Mount& mount, const Directory& dir, const std::string& name) {
  struct statx st;
  if (statAt(dir.fd, name.c_str(), &st)) return nullptr;
  return mount.nodes.find(mount.keyIn(dir.node->place, st));
}

int renameInPlace(Request& request, const Directory& from, const Directory& to, const RenameArgs& args) {
  Mount& mount = request.mount;
  Node* moved = nodeAt(mount, from, args.oldName);
  bool exchange = args.flags & RENAME_EXCHANGE;
  int error = 0;
  Node* target =
      exchange ? nodeAt(mount, to, args.newName) : mount.keepBeforeUnlink(to.fd, to.node->place, args.newName, &error);
  if (error) return error;
  if (syscall(SYS_renameat2, from.fd, args.oldName.c_str(), to.fd, args.newName.c_str(), args.flags) < 0) {
    // A target directory that holds only whiteouts is empty to its users.
    return errno == ENOTEMPTY && !to.node->has(kNodeRoute) ? kDecide : -errno;
  }
  if (moved == target && moved) return 0;  // two names of one file: nothing moved
  if (exchange) {
    moveNode(mount, target, from, args.oldName);
  } else {
    mount.afterUnlink(target, to.node->place, args.newName);
  }
  moveNode(mount, moved, to, args.newName);
  return 0;
}

}  // namespace

int opRename(Request& request) {
  RenameArgs args;
  if (!readRename(request, &args)) return -EINVAL;
  Mount& mount = request.mount;
  Node* oldParent = mount.nodes.find(request.in.nodeid);
  Node* newParent = mount.nodes.find(args.newdir);
  if (!oldParent || !newParent) return -ESTALE;
  bool routes = oldParent->has(kNodeRoute) || newParent->has(kNodeRoute);
  if (routes && oldParent->place->root != newParent->place->root) return -EXDEV;
  if (mount.mountpointAt(oldParent, args.oldName) || mount.mountpointAt(newParent, args.newName)) return -EBUSY;
  Directory from, to;
  int error = writableDirectory(request, request.in.nodeid, &from);
  if (!error) error = writableDirectory(request, args.newdir, &to);
  if (error) return error;
  if (!routes) {
    if (isUnionName(to.node, args.newName)) return kDecide;
    if (args.flags & RENAME_WHITEOUT) return kDecide;
    if (isUnionChild(request, from.fd, args.oldName.c_str()) || isUnionChild(request, to.fd, args.newName.c_str())) {
      return kDecide;
    }
  }
  return renameInPlace(request, from, to, args);
}

int opLink(Request& request) {
  if (request.size < sizeof(uint64_t)) return -EINVAL;
  uint64_t oldId;
  memcpy(&oldId, request.body, sizeof oldId);
  std::string_view name = request.name(sizeof oldId);
  Mount& mount = request.mount;
  Node* node = mount.nodes.find(oldId);
  Node* parent = mount.nodes.find(request.in.nodeid);
  if (!node || !parent) return -ESTALE;
  if (name.empty()) return -EINVAL;
  node = mount.live(node);
  bool routes = node->has(kNodeRoute) || parent->has(kNodeRoute);
  if (routes && node->place->root != parent->place->root) return -EXDEV;
  if (node->has(kNodeMountRoot)) return -EXDEV;
  if (!parent->has(kNodeReadOnly)) {
    // Before the file is copied up, and its directories with it, which then are as upper has them.
    struct statx st;
    bool immutable = mount.statNode(parent, &st) == 0 && (st.stx_attributes & STATX_ATTR_IMMUTABLE);
    int error = immutable ? -EPERM : checkWritable(request, node);
    if (error) return error;
  }
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  if (error) return error;
  if (isUnionName(dir.node, name)) return kDecide;
  int fd = mount.nodeFd(node);
  if (fd < 0) return fd;
  // A copy keeps the number of its lower file; the directory it gets a name in has to say that it holds copies.
  struct statx st;
  if (!routes && mount.statNode(node, &st) == 0 && node->ino != mount.shownIno(st)) return kDecide;
  std::string text(name);
  if (linkat(AT_FDCWD, procPath(fd, "").c_str(), dir.fd, text.c_str(), AT_SYMLINK_FOLLOW) < 0) {
    return errno == EEXIST ? existsOrWhiteout(dir, name) : -errno;
  }
  return enterAndReply(request, dir, name);
}

}  // namespace lamina
