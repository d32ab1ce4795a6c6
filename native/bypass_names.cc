// The namespace of directories that live in one place: a route, or a directory that only one layer has.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bypass.h"
#include "identity.h"
#include "proc_path.h"

namespace lamina {
namespace {

/** The directory of a namespace op and where it lives. */
struct Directory {
  Node* node = nullptr;
  int fd = -1;
};

bool isUnionName(const Node* directory, std::string_view name) {
  return !directory->has(kNodeRoute) && isWhiteoutName(name);
}

/** Finds the directory a write op changes; 0, or what the op answers instead. */
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

}  // namespace

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
    if (header.size < sizeof header || at + header.size > end) break;
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
  const char* base = mount.options.userXattr ? "user.overlay." : "trusted.overlay.";
  char value[2];
  auto present = [&](const char* attribute) {
    return lgetxattr(path.c_str(), (std::string(base) + attribute).c_str(), nullptr, 0) >= 0;
  };
  if (present("redirect") || present("impure")) return true;
  return lgetxattr(path.c_str(), (std::string(base) + "opaque").c_str(), value, sizeof value) == 1 && value[0] == 'x';
}

bool isIndexedLink(const Mount& mount, const Node* directory, const struct statx& st) {
  bool lower = !directory->has(kNodeRoute | kNodeWritable);
  return mount.options.linkIndex && lower && !S_ISDIR(st.stx_mode) && st.stx_nlink > 1;
}

int opLookup(Request& request) {
  Node* parent = request.mount.nodes.find(request.in.nodeid);
  std::string_view name = request.name(0);
  if (!parent) return -ESTALE;
  if (name.empty()) return -EINVAL;
  struct statx st;
  if (const Mountpoint* point = request.mount.mountpointAt(parent, name)) {
    int error = request.mount.statNode(point->root, &st);
    if (error) return error;
    point->root->nlookup++;
    return replyEntry(request, point->root, st);
  }
  if (parent->has(kNodeUnion)) return kDecide;
  int fd = request.mount.nodeFd(parent);
  if (fd < 0) return fd;
  bool route = parent->has(kNodeRoute);
  std::string text(name);
  int error = isUnionName(parent, name) ? -ENOENT : statAt(fd, text.c_str(), &st);
  if (error == 0 && !route && isWhiteout(st)) error = -ENOENT;
  if (error == -ENOENT && !route) {
    request.mount.fillNegative(reinterpret_cast<EntryOut*>(request.out));
    return sizeof(EntryOut);
  }
  if (error) return error;
  if (!route && S_ISDIR(st.stx_mode) && hasUnionMarks(request.mount, fd, text.c_str())) return kDecide;
  if (isIndexedLink(request.mount, parent, st)) return kDecide;
  return replyEntry(request, request.mount.enter(parent, parent->place, name, st, 0, 0), st);
}

int makeObject(int dirfd, const char* name, const Creation& what) {
  ActAs caller(what.uid, what.gid, what.umask);
  uint32_t type = what.mode & S_IFMT;
  if (type == S_IFREG || type == 0) {
    int fd = openat(dirfd, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, what.mode & 07777);
    return fd < 0 ? -errno : fd;
  }
  int done;
  if (type == S_IFDIR) {
    done = mkdirat(dirfd, name, what.mode & 07777);
  } else if (type == S_IFLNK) {
    done = symlinkat(std::string(what.target).c_str(), dirfd, name);
  } else {
    uint32_t major = (what.rdev & 0xfff00) >> 8, minor = (what.rdev & 0xff) | ((what.rdev >> 12) & 0xfff00);
    done = mknodat(dirfd, name, what.mode, makedev(major, minor));
  }
  return done < 0 ? -errno : 0;
}

namespace {

/** The object of MKDIR, MKNOD or SYMLINK and its name; false when the request is malformed. */
bool readCreation(const Request& request, Creation* what, std::string_view* name) {
  if (request.in.opcode == kMkdir) {
    auto* in = request.as<MkdirIn>();
    if (!in) return false;
    *name = request.name(sizeof *in);
    what->mode = (in->mode & 07777) | S_IFDIR;
    what->umask = in->umask;
  } else if (request.in.opcode == kMknod) {
    auto* in = request.as<MknodIn>();
    if (!in) return false;
    *name = request.name(sizeof *in);
    what->mode = in->mode;
    what->rdev = in->rdev;
    what->umask = in->umask;
  } else {
    *name = request.name(0);
    what->target = request.name(name->size() + 1);
    what->mode = S_IFLNK;
  }
  what->uid = request.in.uid;
  what->gid = request.group();
  return !name->empty();
}

/** EEXIST over a leftover whiteout of the union: TypeScript knows what to do with it. */
int existsOrWhiteout(const Directory& dir, std::string_view name) {
  struct statx st;
  bool whiteout = !dir.node->has(kNodeRoute) && statAt(dir.fd, std::string(name).c_str(), &st) == 0 && isWhiteout(st);
  return whiteout ? kDecide : -EEXIST;
}

}  // namespace

int opMake(Request& request) {
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  if (error) return error;
  Creation what;
  std::string_view name;
  if (!readCreation(request, &what, &name)) return -EINVAL;
  if (isUnionName(dir.node, name)) return -EINVAL;
  // Nobody may make what means "nothing is here" (Linux: ovl_mknod).
  if (!dir.node->has(kNodeRoute) && S_ISCHR(what.mode) && what.rdev == 0) return -EPERM;
  int fd = makeObject(dir.fd, std::string(name).c_str(), what);
  if (fd == -EEXIST) return existsOrWhiteout(dir, name);
  if (fd < 0) return fd;
  UniqueFd made(fd ? fd : -1);
  return enterAndReply(request, dir, name);
}

int opCreate(Request& request) {
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  if (error) return error;
  auto* in = request.as<CreateIn>();
  std::string_view name = request.name(sizeof(CreateIn));
  if (!in || name.empty()) return -EINVAL;
  if (isUnionName(dir.node, name)) return -EINVAL;
  CreateIn args = *in;
  Creation what{args.mode | S_IFREG, 0, {}, request.in.uid, request.group(), args.umask};
  int fd = makeObject(dir.fd, std::string(name).c_str(), what);
  if (fd == -EEXIST) {
    error = existsOrWhiteout(dir, name);
    if (error == kDecide || (args.flags & O_EXCL)) return error;
  } else if (fd < 0) {
    return fd;
  }
  int length = enterAndReply(request, dir, name);
  if (length < 0) {
    if (fd >= 0) ::close(fd);
    return length;
  }
  Node* node = request.mount.entered.back();
  if (fd >= 0) request.mount.places.adopt(node->place, fd);
  auto* open = reinterpret_cast<OpenOut*>(request.out + sizeof(EntryOut));
  memset(open, 0, sizeof *open);
  error = openNode(request.mount, node, args.flags & ~O_TRUNC, open);
  return error ? error : static_cast<int>(sizeof(EntryOut) + sizeof *open);
}

int opTmpfile(Request& request) {
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  if (error) return error;
  auto* in = request.as<CreateIn>();
  if (!in) return -EINVAL;
  CreateIn args = *in;
  int fd;
  {
    ActAs caller(request.in.uid, request.group(), args.umask);
    fd = openat(dir.fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | (args.flags & O_EXCL), args.mode & 07777);
    if (fd < 0) return -errno;
  }
  UniqueFd made(fd);
  Mount& mount = request.mount;
  Node* node = mount.enterUnnamed(dir.node, fd, &error);
  if (!node) return error;
  struct statx st;
  error = mount.statNode(node, &st);
  if (error) return error;
  mount.fillEntry(node, st, reinterpret_cast<EntryOut*>(request.out));
  auto* open = reinterpret_cast<OpenOut*>(request.out + sizeof(EntryOut));
  memset(open, 0, sizeof *open);
  error = openNode(mount, node, args.flags & ~O_TRUNC, open);
  return error ? error : static_cast<int>(sizeof(EntryOut) + sizeof *open);
}

namespace {

/** Whether the object `name` is a directory whose namespace TypeScript holds. */
bool isUnionChild(Request& request, int dirfd, const char* name) {
  struct statx st;
  if (statAt(dirfd, name, &st) || !S_ISDIR(st.stx_mode)) return false;
  Node* node = request.mount.nodes.find(request.mount.keyOf(st, 0));
  return node ? node->has(kNodeUnion) : hasUnionMarks(request.mount, dirfd, name);
}

}  // namespace

int opRemove(Request& request) {
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  std::string_view name = request.name(0);
  if (error && error != kDecide) return error;
  Node* parent = request.mount.nodes.find(request.in.nodeid);
  if (request.mount.mountpointAt(parent, name)) return -EBUSY;
  if (error) return error;
  std::string text(name);
  bool directory = request.in.opcode == kRmdir;
  if (directory && !dir.node->has(kNodeRoute) && isUnionChild(request, dir.fd, text.c_str())) return kDecide;
  Node* node = request.mount.keepBeforeUnlink(dir.fd, dir.node->place, name);
  if (unlinkat(dir.fd, text.c_str(), directory ? AT_REMOVEDIR : 0) < 0) {
    // What is left may be whiteouts only.
    return errno == ENOTEMPTY && !dir.node->has(kNodeRoute) ? kDecide : -errno;
  }
  request.mount.afterUnlink(node, dir.node->place, name);
  return 0;
}

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

Node* nodeAt(Mount& mount, int dirfd, const std::string& name) {
  struct statx st;
  if (statAt(dirfd, name.c_str(), &st)) return nullptr;
  return mount.nodes.find(mount.keyOf(st, 0));
}

int renameInPlace(Request& request, const Directory& from, const Directory& to, const RenameArgs& args) {
  Mount& mount = request.mount;
  Node* moved = nodeAt(mount, from.fd, args.oldName);
  bool exchange = args.flags & RENAME_EXCHANGE;
  Node* target =
      exchange ? nodeAt(mount, to.fd, args.newName) : mount.keepBeforeUnlink(to.fd, to.node->place, args.newName);
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
    if (isUnionName(to.node, args.newName)) return -EINVAL;
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
    int error = checkWritable(request, node);
    if (error) return error;
  }
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  if (error) return error;
  if (isUnionName(dir.node, name)) return -EINVAL;
  int fd = mount.nodeFd(node);
  if (fd < 0) return fd;
  std::string text(name);
  if (linkat(AT_FDCWD, procPath(fd, "").c_str(), dir.fd, text.c_str(), AT_SYMLINK_FOLLOW) < 0) {
    return errno == EEXIST ? existsOrWhiteout(dir, name) : -errno;
  }
  return enterAndReply(request, dir, name);
}

int opReadlink(Request& request) {
  Node* node = request.node();
  if (!node) return -ESTALE;
  Location at = locate(request.mount.places, node->place);
  if (at.fd < 0) return at.fd;
  ssize_t n =
      readlinkat(at.fd, at.name, reinterpret_cast<char*>(request.out), std::min<size_t>(PATH_MAX, request.capacity));
  return n < 0 ? -errno : static_cast<int>(n);
}

}  // namespace lamina
