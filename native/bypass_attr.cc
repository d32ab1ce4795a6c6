#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "bypass.h"
#include "proc_path.h"

namespace lamina {

int checkWritable(Request& request, Node* node) {
  if (node->has(kNodeReadOnly)) return -EROFS;
  if (node->has(kNodeWritable)) return 0;
  request.needsUpper = node;
  return kNeedsUpper;
}

namespace {

int replyAttr(Request& request, Node* node) {
  struct statx st;
  int error = request.mount.statNode(node, &st);
  if (error) return error;
  auto* out = request.reply<AttrOut>();
  request.mount.setAttrTimeout(node, &out->attrValid, &out->attrValidNsec);
  request.mount.fillAttr(node, st, &out->attr);
  return sizeof *out;
}

}  // namespace

int opGetattr(Request& request) {
  Node* node = request.node();
  return node ? replyAttr(request, node) : -ESTALE;
}

namespace {

/** Whether the caller owns the group, is a member of it, or may do as if. */
bool isInGroup(const Request& request, uint32_t gid) {
  if (request.in.uid == 0 || request.in.gid == gid) return true;
  std::ifstream status("/proc/" + std::to_string(request.in.pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Groups:", 0) != 0) continue;
    std::istringstream groups(line.substr(7));
    for (uint32_t each; groups >> each;) {
      if (each == gid) return true;
    }
    return false;
  }
  return false;
}

/** Takes bits off the mode: `keep` says which stay. */
template <typename Keep>
int narrowMode(Mount& mount, Node* node, Keep keep) {
  struct statx st;
  int error = mount.statNode(node, &st);
  if (error) return error;
  uint32_t kept = keep(st);
  if (kept == st.stx_mode || S_ISLNK(st.stx_mode)) return 0;
  int fd = mount.nodeFd(node);
  if (fd < 0) return fd;
  return chmod(procPath(fd, "").c_str(), kept & 07777) < 0 ? -errno : 0;
}

}  // namespace

// Linux: setattr_should_drop_suidgid. Of directories nothing is taken away; sockets, fifos and devices are as files.
int killSuidgid(Request& request, Node* node) {
  return narrowMode(request.mount, node, [&](const struct statx& st) {
    if (S_ISDIR(st.stx_mode)) return uint32_t{st.stx_mode};
    uint32_t kept = st.stx_mode & ~S_ISUID;
    bool drop = (st.stx_mode & S_IXGRP) || !isInGroup(request, request.mount.shownGid(node, st.stx_gid));
    return drop ? kept & ~S_ISGID : kept;
  });
}

int killSgid(Request& request, Node* node) {
  return narrowMode(request.mount, node, [](const struct statx& st) { return st.stx_mode & ~uint32_t{S_ISGID}; });
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
    return ftruncate(handle->fd.get(), in.size) < 0 ? -errno : 0;
  }
  int fd = request.mount.nodeFd(node);
  if (fd < 0) return fd;
  return truncate(procPath(fd, "").c_str(), in.size) < 0 ? -errno : 0;
}

int setOwner(Request& request, Node* node, const SetattrIn& in) {
  Location at = locate(request.mount.places, node->place);
  if (at.fd < 0) return at.fd;
  uid_t uid = in.valid & kFattrUid ? request.mount.diskUid(node, in.uid) : static_cast<uid_t>(-1);
  gid_t gid = in.valid & kFattrGid ? request.mount.diskGid(node, in.gid) : static_cast<gid_t>(-1);
  return fchownat(at.fd, at.name, uid, gid, AT_SYMLINK_NOFOLLOW | (*at.name ? 0 : AT_EMPTY_PATH)) < 0 ? -errno : 0;
}

int setTimes(Request& request, Node* node, const SetattrIn& in) {
  timespec times[2] = {timeOf(in.valid, kFattrAtime, kFattrAtimeNow, in.atime, in.atimensec),
                       timeOf(in.valid, kFattrMtime, kFattrMtimeNow, in.mtime, in.mtimensec)};
  Location at = locate(request.mount.places, node->place);
  if (at.fd < 0) return at.fd;
  return utimensat(at.fd, at.name, times, AT_SYMLINK_NOFOLLOW | (*at.name ? 0 : AT_EMPTY_PATH)) < 0 ? -errno : 0;
}

int setMode(Request& request, Node* node, const SetattrIn& in) {
  int fd = request.mount.nodeFd(node);
  if (fd < 0) return fd;
  return chmod(procPath(fd, "").c_str(), in.mode & 07777) < 0 ? -errno : 0;
}

}  // namespace

int opSetattr(Request& request) {
  auto* in = request.as<SetattrIn>();
  Node* node = request.node();
  if (!in) return -EINVAL;
  if (!node) return -ESTALE;
  int error = checkWritable(request, node);
  if (error) return error;
  constexpr uint32_t kChanges = kFattrMode | kFattrUid | kFattrGid | kFattrSize | kFattrAtime | kFattrMtime;
  // valid == 0 is how the kernel asks for suid clearing before a passthrough write (Linux: fuse_setattr with
  // ATTR_KILL_*). Root's write asks too, when only file capabilities are to go; the kernel has just removed those.
  bool bare = !(in->valid & (kChanges | kFattrAtimeNow | kFattrMtimeNow));
  bool onlyCapabilities = request.in.uid == 0 && request.mount.capabilitiesRemoved == node->id;
  request.mount.capabilitiesRemoved = 0;
  bool kill = (in->valid & kFattrKillSuidgid) || (bare && !onlyCapabilities);
  if (in->valid & kFattrSize) error = setSize(request, node, *in);
  if (!error && (in->valid & (kFattrUid | kFattrGid))) error = setOwner(request, node, *in);
  if (!error && kill) error = killSuidgid(request, node);
  if (!error && (in->valid & kFattrMode)) error = setMode(request, node, *in);
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
  request.mount.setAttrTimeout(node, &out->attrValid, &out->attrValidNsec);
  FuseStatx& to = out->stat;
  to.mask = st.stx_mask;
  to.blksize = st.stx_blksize;
  to.attributes = st.stx_attributes;
  to.attributesMask = st.stx_attributes_mask;
  to.nlink = node->has(kNodeMerged) ? 1 : st.stx_nlink + node->nlinkDelta;
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
