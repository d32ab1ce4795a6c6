#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bypass.h"
#include "caller.h"
#include "proc_path.h"

namespace lamina {

namespace {

/** What an append-only object still lets happen to it: to be written at its end, and touched (Linux: may_open,
 * may_setattr). */
bool onlyAppends(const Request& request) {
  if (request.in.opcode == kOpen) {
    uint32_t flags = request.as<OpenIn>()->flags;
    return (flags & O_APPEND) && !(flags & O_TRUNC);
  }
  constexpr uint32_t kTouch = kFattrAtime | kFattrMtime | kFattrAtimeNow | kFattrMtimeNow;
  if (request.in.opcode != kSetattr) return false;
  uint32_t valid = request.as<SetattrIn>()->valid;
  return (valid & (kFattrMode | kFattrUid | kFattrGid | kFattrSize)) == 0 && (valid & kTouch) == kTouch;
}

}  // namespace

int checkFlags(Request& request, Node* node) {
  struct statx st;
  if (request.in.opcode == kIoctl || request.mount.statNode(node, &st)) return 0;  // chattr itself
  if (st.stx_attributes & STATX_ATTR_IMMUTABLE) return -EPERM;
  return (st.stx_attributes & STATX_ATTR_APPEND) && !onlyAppends(request) ? -EPERM : 0;
}

int checkWritable(Request& request, Node* node) {
  if (node->has(kNodeReadOnly)) return -EROFS;
  if (node->has(kNodeMetacopy)) return -EPERM;
  if (node->has(kNodeWritable)) return 0;
  if (int error = checkFlags(request, node)) return error;
  request.needsUpper = node;
  return kNeedsUpper;
}

namespace {

int replyAttr(Request& request, Node* node) {
  struct statx st;
  int error = request.mount.statNode(node, &st);
  if (error) return error;
  auto* out = request.reply<AttrOut>();
  request.mount.setAttrTimeout(request.asked(), &out->attrValid, &out->attrValidNsec);
  request.mount.fillAttr(node, st, &out->attr);
  return sizeof *out;
}

}  // namespace

int opGetattr(Request& request) {
  Node* node = request.node();
  return node ? replyAttr(request, node) : -ESTALE;
}

namespace {

/** What is left of the mode of a file that somebody else writes to or gives away (Linux: setattr_should_drop_suidgid).
 */
uint32_t modeWithoutPrivileges(Request& request, const Caller& caller, Node* node, const struct statx& st) {
  // Of directories nothing is taken away; sockets, fifos and devices are as files.
  if (S_ISDIR(st.stx_mode) || S_ISLNK(st.stx_mode)) return st.stx_mode;
  uint32_t kept = st.stx_mode & ~S_ISUID;
  bool counts = st.stx_mode & S_IXGRP;
  bool drop = counts || !(caller.inGroup(request.mount.shownGid(node, st.stx_gid)) || caller.has(CAP_FSETID));
  return drop ? kept & ~S_ISGID : kept;
}

int setBits(Mount& mount, Node* node, uint32_t mode) {
  int fd = mount.nodeFd(node);
  if (fd < 0) return fd;
  return chmod(procPath(fd, "").c_str(), mode & 07777) < 0 ? -errno : 0;
}

}  // namespace

int killSuidgid(Request& request, Node* node) {
  struct statx st;
  int error = request.mount.statNode(node, &st);
  if (error || !(st.stx_mode & (S_ISUID | S_ISGID))) return error;
  uint32_t kept = modeWithoutPrivileges(request, Caller(request.in), node, st);
  return kept == st.stx_mode ? 0 : setBits(request.mount, node, kept);
}

int killSgid(Request& request, Node* node) {
  struct statx st;
  int error = request.mount.statNode(node, &st);
  if (error || !(st.stx_mode & S_ISGID) || S_ISLNK(st.stx_mode)) return error;
  return setBits(request.mount, node, st.stx_mode & ~uint32_t{S_ISGID});
}

namespace {

timespec timeOf(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds, uint32_t nanoseconds) {
  if (valid & now) return {0, UTIME_NOW};
  if (valid & set) return {static_cast<time_t>(seconds), nanoseconds};
  return {0, UTIME_OMIT};
}

int setSize(Request& request, Node* node, const SetattrIn& in) {
  Handle* handle = in.valid & kFattrFh ? request.mount.handle(in.fh) : nullptr;
  if (handle && (handle->flags & O_ACCMODE) != O_RDONLY) {
    int opened = request.mount.handleFd(handle);
    if (opened < 0) return opened;
    return ftruncate(opened, in.size) < 0 ? -errno : 0;
  }
  int fd = request.mount.nodeFd(node);
  if (fd < 0) return fd;
  return truncate(procPath(fd, "").c_str(), in.size) < 0 ? -errno : 0;
}

int setOwner(Request& request, Node* node, const SetattrIn& in) {
  Location at = request.mount.locate(node);
  if (at.fd < 0) return at.fd;
  uid_t uid = in.valid & kFattrUid ? request.mount.diskUid(node, in.uid) : static_cast<uid_t>(-1);
  gid_t gid = in.valid & kFattrGid ? request.mount.diskGid(node, in.gid) : static_cast<gid_t>(-1);
  return fchownat(at.fd, at.name, uid, gid, AT_SYMLINK_NOFOLLOW | (*at.name ? 0 : AT_EMPTY_PATH)) < 0 ? -errno : 0;
}

int setTimes(Request& request, Node* node, const SetattrIn& in) {
  timespec times[2] = {timeOf(in.valid, kFattrAtime, kFattrAtimeNow, in.atime, in.atimensec),
                       timeOf(in.valid, kFattrMtime, kFattrMtimeNow, in.mtime, in.mtimensec)};
  Location at = request.mount.locate(node);
  if (at.fd < 0) return at.fd;
  return utimensat(at.fd, at.name, times, AT_SYMLINK_NOFOLLOW | (*at.name ? 0 : AT_EMPTY_PATH)) < 0 ? -errno : 0;
}

/** A chown that sets neither id: setuid and setgid go as with any other, and ctime is now. */
int touchOwner(Request& request, Node* node) {
  SetattrIn neither{};
  int error = setOwner(request, node, neither);
  return error ? error : killSuidgid(request, node);
}

/** Before a write by somebody without CAP_FSETID to a setuid file. */
int prepareWrite(Request& request, Node* node) {
  int error = killSuidgid(request, node);
  // Not ours to change, rootless: the write itself, which is ours too, will have the kernel do it.
  return error == -EPERM ? 0 : error;
}

/**
 * SETATTR that sets nothing. The kernel sends it, byte for byte the same, for a chown with neither owner nor group and
 * before a write to a file with setuid, setgid or capabilities (Linux: fuse_setattr, file_remove_privs).
 */
int opSetattrBare(Request& request, Node* node) {
  struct statx st;
  int error = request.mount.statNode(node, &st);
  if (error) return error;
  Caller caller(request.in);
  bool chown = !S_ISREG(st.stx_mode) || caller.changesOwner();
  if (!node->has(kNodeReadOnly) && chown) error = checkOwnerCall(request, node);
  if (!error) error = checkWritable(request, node);
  if (error) return error;
  // With CAP_FSETID only the capabilities were to go, and the kernel has just removed those.
  if (chown) {
    error = touchOwner(request, node);
  } else if (!caller.hasEverywhere(CAP_FSETID)) {
    error = prepareWrite(request, node);
  }
  return error ? error : replyAttr(request, node);
}

/** Linux: inode_owner_or_capable. */
bool isOwner(const Request& request, const Caller& caller, const Node* node, const struct statx& st) {
  return request.in.uid == request.mount.shownUid(node, st.stx_uid) || caller.has(CAP_FOWNER);
}

}  // namespace

int checkAttributeName(Request& request, Node* node, std::string_view name) {
  auto begins = [&](std::string_view with) { return name.substr(0, with.size()) == with; };
  if (!begins("system.") || begins("system.posix_acl_")) return 0;
  struct statx st;
  int error = request.mount.statNode(node, &st);
  if (error) return error;
  return isOwner(request, Caller(request.in), node, st) ? 0 : -EOPNOTSUPP;
}

int checkOwnerCall(Request& request, Node* node) {
  struct statx st;
  int error = request.mount.statNode(node, &st);
  if (error || !(st.stx_mode & (S_ISUID | S_ISGID))) return error;
  Caller caller(request.in);
  if (isOwner(request, caller, node, st)) return 0;
  if (modeWithoutPrivileges(request, caller, node, st) == st.stx_mode) return 0;
  return !S_ISREG(st.stx_mode) || caller.changesOwner() ? -EPERM : 0;
}

int opSetattr(Request& request) {
  auto* in = request.as<SetattrIn>();
  Node* node = request.node();
  if (!in) return -EINVAL;
  if (!node) return -ESTALE;
  constexpr uint32_t kChanges = kFattrMode | kFattrUid | kFattrGid | kFattrSize | kFattrAtime | kFattrMtime |
                                kFattrAtimeNow | kFattrMtimeNow | kFattrKillSuidgid;
  if (!(in->valid & kChanges)) return opSetattrBare(request, node);
  // Copied up while it runs: to the kernel another inode (opOpen).
  if ((in->valid & kFattrSize) && node->running) return -ETXTBSY;
  int error = checkWritable(request, node);
  if (error) return error;
  if (in->valid & kFattrSize) error = setSize(request, node, *in);
  if (!error && (in->valid & (kFattrUid | kFattrGid))) error = setOwner(request, node, *in);
  if (!error && (in->valid & kFattrKillSuidgid)) error = killSuidgid(request, node);
  if (!error && (in->valid & kFattrMode)) error = setBits(request.mount, node, in->mode);
  if (!error && (in->valid & (kFattrAtime | kFattrMtime))) error = setTimes(request, node, *in);
  return error ? error : replyAttr(request, node);
}

namespace {

SxTime sxTime(const statx_timestamp& t) { return {t.tv_sec, t.tv_nsec, 0}; }

}  // namespace

int opStatx(Request& request) {
  Node* node = request.node();
  if (!node) return -ESTALE;
  struct statx st;
  int error = request.mount.statNode(node, &st);
  if (error) return error;
  auto* out = request.reply<StatxOut>();
  request.mount.setAttrTimeout(request.asked(), &out->attrValid, &out->attrValidNsec);
  FuseStatx& to = out->stat;
  to.mask = st.stx_mask;
  to.blksize = st.stx_blksize;
  to.attributes = st.stx_attributes;
  to.attributesMask = st.stx_attributes_mask;
  to.nlink = request.mount.shownNlink(node, st);
  to.uid = request.mount.shownUid(node, st.stx_uid);
  to.gid = request.mount.shownGid(node, st.stx_gid);
  to.mode = st.stx_mode;
  to.ino = node->ino;
  to.size = st.stx_size;
  to.blocks = st.stx_blocks;
  to.atime = sxTime(st.stx_atime);
  to.btime = sxTime(st.stx_btime);
  to.ctime = sxTime(st.stx_ctime);
  to.mtime = sxTime(st.stx_mtime);
  to.rdevMajor = st.stx_rdev_major;
  to.rdevMinor = st.stx_rdev_minor;
  return sizeof *out;
}

int opStatfs(Request& request) {
  Node* node = request.node();
  if (!node) return -ESTALE;
  // A union shows its upper filesystem (the topmost layer without one); a route its own.
  const Root& root = request.mount.roots[node->has(kNodeRoute) ? node->place->root : 0];
  struct statvfs st;
  if (fstatvfs(root.place->fd, &st) < 0) return -errno;
  auto* out = request.reply<StatfsOut>();
  out->blocks = st.f_blocks;
  out->bfree = st.f_bfree;
  out->bavail = st.f_bavail;
  out->files = st.f_files;
  out->ffree = st.f_ffree;
  out->bsize = st.f_bsize;
  out->namelen = st.f_namemax;
  out->frsize = st.f_frsize;
  return sizeof *out;
}

}  // namespace lamina
