#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "copy_data.h"
#include "direct_io.h"
#include "mount.h"
#include "proc_path.h"

namespace lamina {

int openObject(Mount& mount, Node* node, int flags) {
  // The kernel opens fifos and devices itself. Here the one would wait for its other end, the other reach out of the
  // layers.
  if (!node->has(kNodeFile | kNodeDir)) return -EINVAL;
  int fd = mount.nodeFd(node);
  if (fd < 0) return fd;
  std::string path = procPath(fd, "");
  int opened = open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY);
  // An append-only file (chattr a) can be opened in no other way; who writes otherwise has been refused by then.
  if (opened < 0 && errno == EPERM && (flags & O_ACCMODE) != O_RDONLY) {
    opened = open(path.c_str(), flags | O_APPEND | O_CLOEXEC | O_NOCTTY);
  }
  return opened < 0 ? -errno : opened;
}

namespace {

/**
 * Without root, a file whose mode denies its maker what he opened it for: open(2) gives him that all the same when it
 * is new, and we come after. The kernel has let him through (default_permissions), so nobody gets what he may not have.
 */
int openAgainstMode(Mount& mount, Node* node, int flags) {
  struct statx st;
  int error = mount.statNode(node, &st);
  int fd = error ? error : mount.nodeFd(node);
  if (fd < 0) return fd;
  std::string path = procPath(fd, "");
  uint32_t mode = st.stx_mode & 07777;
  if (chmod(path.c_str(), mode | S_IRUSR | S_IWUSR) < 0) return -EACCES;
  int opened = openObject(mount, node, flags);
  return chmod(path.c_str(), mode) < 0 && opened < 0 ? -errno : opened;
}

FdKind kindOf(const Handle& handle) {
  if (handle.node->has(kNodeRoute)) return FdKind::kShared;
  return (handle.flags & O_ACCMODE) == O_RDONLY ? FdKind::kReader : FdKind::kWriter;
}

}  // namespace

int openForHandle(Mount& mount, Node* node, uint32_t flags) {
  int kept = static_cast<int>(flags & (O_ACCMODE | O_DIRECT | O_NOATIME | O_SYNC | O_DSYNC));
  int fd = openObject(mount, node, kept);
  if (fd == -EPERM && (kept & O_NOATIME)) fd = openObject(mount, node, kept & ~O_NOATIME);
  if (fd == -EACCES) fd = openAgainstMode(mount, node, kept & ~O_NOATIME);
  // Opened so for the filesystem to refuse it where it knows none.
  if (fd >= 0 && (kept & O_DIRECT)) setDirect(fd, false);
  return fd;
}

namespace {

/**
 * For somebody who has it open already. Who has opened it before it became append-only (chattr a) may write where he
 * will: the flag is off while we open it. A crash meanwhile takes it away.
 */
int openAgain(Mount& mount, Node* node, uint32_t flags) {
  struct statx st;
  bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (!writes || mount.statNode(node, &st) || !(st.stx_attributes & STATX_ATTR_APPEND)) {
    return openForHandle(mount, node, flags);
  }
  UniqueFd reader(openObject(mount, node, O_RDONLY));
  int had = reader.get() < 0 ? reader.get() : protect(reader.get(), 0);
  int opened = openForHandle(mount, node, flags);
  if (had > 0) protect(reader.get(), static_cast<uint32_t>(had));
  return opened;
}

}  // namespace

Borrowed::Borrowed(Mount& mount, uint64_t fh, Node* node, int flags) {
  Handle* handle = fh ? mount.handle(fh) : nullptr;
  if (handle) {
    fd_ = mount.handleFd(handle);
    return;
  }
  fd_ = node ? openAgain(mount, node, static_cast<uint32_t>(flags)) : -EBADF;
  if (fd_ >= 0) own_.reset(fd_);
}

uint64_t Mount::addHandle(UniqueFd fd, Node* node, uint32_t flags) {
  uint64_t fh = nextHandle_++;
  Handle& handle = handles[fh];
  handle.node = node;
  handle.flags = flags;
  fds.open(&handle, fd.release(), kindOf(handle));
  node->opens++;
  return fh;
}

Handle* Mount::handle(uint64_t fh) {
  auto it = handles.find(fh);
  return it == handles.end() ? nullptr : &it->second;
}

int Mount::handleFd(Handle* handle) {
  if (handle->fd >= 0) {
    fds.touch(handle);
    return handle->fd;
  }
  struct statx st;
  int error = statNode(handle->node, &st);
  int fd = error ? error : openAgain(*this, handle->node, handle->flags);
  if (fd >= 0) fds.open(handle, fd, kindOf(*handle));
  return fd;
}

bool Mount::mayReopen(Handle* handle) {
  struct statx st;
  return statNode(handle->node, &st) == 0;
}

void Mount::dropHandle(uint64_t fh) {
  auto it = handles.find(fh);
  if (it == handles.end()) return;
  fds.close(&it->second);
  handles.erase(it);
}

void Mount::closeHandle(uint64_t fh) {
  Handle* closed = handle(fh);
  if (!closed) return;
  Node* node = closed->node;
  bool passthrough = closed->passthrough;
  dropHandle(fh);
  node->opens--;
  if (passthrough) closePassthrough(node);
  nodes.release(node);
}

void Mount::closeIdleFds(Node* node) {
  for (auto& [fh, handle] : handles) {
    if (handle.node == node) fds.close(&handle);
  }
}

}  // namespace lamina
