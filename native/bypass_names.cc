// The namespace of directories that live in one place: a route, or a directory that only one layer has.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bypass.h"
#include "bypass_directory.h"
#include "identity.h"
#include "proc_path.h"

namespace lamina {

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
  // setfsuid(-1) does nothing, and what is made would be ours. Linux says the same of an owner that has no mapping.
  if (what.by.uid == kNoId || what.by.gid == kNoId) return -EOVERFLOW;
  ActAs caller(what.by);
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

Identity identityOf(const Request& request, const Node* directory, uint32_t umask) {
  const Mount& mount = request.mount;
  return {mount.diskUid(directory, request.in.uid), mount.diskGid(directory, request.in.gid),
          mount.diskGid(directory, request.group()), umask};
}

namespace {

/** The object of MKDIR, MKNOD or SYMLINK and its name; false when the request is malformed. */
bool readCreation(const Request& request, const Node* directory, Creation* what, std::string_view* name) {
  uint32_t umask = 0;
  if (request.in.opcode == kMkdir) {
    auto* in = request.as<MkdirIn>();
    if (!in) return false;
    *name = request.name(sizeof *in);
    what->mode = (in->mode & 07777) | S_IFDIR;
    umask = in->umask;
  } else if (request.in.opcode == kMknod) {
    auto* in = request.as<MknodIn>();
    if (!in) return false;
    *name = request.name(sizeof *in);
    what->mode = in->mode & S_IFMT ? in->mode : in->mode | S_IFREG;
    what->rdev = in->rdev;
    umask = in->umask;
  } else {
    *name = request.name(0);
    what->target = request.name(name->size() + 1);
    what->mode = S_IFLNK;
  }
  what->by = identityOf(request, directory, umask);
  return !name->empty();
}

}  // namespace

int opMake(Request& request) {
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  if (error) return error;
  Creation what;
  std::string_view name;
  if (!readCreation(request, dir.node, &what, &name)) return -EINVAL;
  if (isUnionName(dir.node, name)) return kDecide;
  if (request.mount.mountpointAt(dir.node, name)) return -EEXIST;
  // Nobody may make what means "nothing is here" (Linux: ovl_mknod).
  if (!dir.node->has(kNodeRoute) && S_ISCHR(what.mode) && what.rdev == 0) return -EPERM;
  int fd = makeObject(dir.fd, std::string(name).c_str(), what);
  if (fd == -EEXIST) return existsOrWhiteout(dir, name);
  if (fd < 0) return fd;
  UniqueFd made(fd ? fd : -1);
  return enterAndReply(request, dir, name);
}

namespace {

/** A name that was just made goes again, as its maker cannot have it open. */
void unmake(Mount& mount, const Directory& dir, std::string_view name, Node* node) {
  if (mount.known(dir.node->place, name) != node) return;  // others have put something else there
  if (unlinkat(dir.fd, std::string(name).c_str(), 0) == 0) mount.afterUnlink(node, dir.node->place, name);
}

}  // namespace

int opCreate(Request& request) {
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  if (error) return error;
  auto* in = request.as<CreateIn>();
  std::string_view name = request.name(sizeof(CreateIn));
  if (!in || name.empty()) return -EINVAL;
  if (isUnionName(dir.node, name)) return kDecide;
  if (request.mount.mountpointAt(dir.node, name)) return -EEXIST;
  CreateIn args = *in;
  Creation what{(args.mode & 07777) | S_IFREG, 0, {}, identityOf(request, dir.node, args.umask)};
  UniqueFd made(makeObject(dir.fd, std::string(name).c_str(), what));
  if (made.get() == -EEXIST) {
    error = existsOrWhiteout(dir, name);
    // Somebody else has made it since the kernel looked: it looks again, and asks whether the caller may open it.
    return error == kDecide || (args.flags & O_EXCL) ? error : -ESTALE;
  }
  struct statx st;
  error = made ? statAt(made.get(), "", &st) : made.get();
  if (error) return error;
  Node* node = request.mount.enter(dir.node, dir.node->place, name, st, 0, 0);
  replyEntry(request, node, st);
  request.mount.places.adopt(node->place, made.release());
  int answer = openEntered(request.mount, node, args.flags, request.out);
  if (answer < 0) unmake(request.mount, dir, name, node);
  return answer;
}

int opTmpfile(Request& request) {
  Directory dir;
  int error = writableDirectory(request, request.in.nodeid, &dir);
  if (error) return error;
  auto* in = request.as<CreateIn>();
  if (!in) return -EINVAL;
  CreateIn args = *in;
  uint32_t uid = request.mount.diskUid(dir.node, request.in.uid);
  uint32_t gid = request.mount.diskGid(dir.node, request.group());
  if (uid == kNoId || gid == kNoId) return -EOVERFLOW;
  int fd;
  {
    ActAs caller(identityOf(request, dir.node, args.umask));
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
  return openEntered(mount, node, args.flags, request.out);
}

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
  Node* node = request.mount.keepBeforeUnlink(dir.fd, dir.node->place, name, &error);
  if (error) return error;
  if (unlinkat(dir.fd, text.c_str(), directory ? AT_REMOVEDIR : 0) < 0) {
    // What is left may be whiteouts only.
    return errno == ENOTEMPTY && !dir.node->has(kNodeRoute) ? kDecide : -errno;
  }
  request.mount.afterUnlink(node, dir.node->place, name);
  return 0;
}

int opReadlink(Request& request) {
  Node* node = request.node();
  if (!node) return -ESTALE;
  Location at = request.mount.locate(node);
  if (at.fd < 0) return at.fd;
  ssize_t n =
      readlinkat(at.fd, at.name, reinterpret_cast<char*>(request.out), std::min<size_t>(PATH_MAX, request.capacity));
  return n < 0 ? -errno : static_cast<int>(n);
}

}  // namespace lamina
