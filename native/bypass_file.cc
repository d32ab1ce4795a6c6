// Open files: passthrough, where the kernel reads and writes the backing file itself, and relay, where we do.

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "bypass.h"
#include "direct_io.h"
#include "locks.h"
#include "proc_path.h"

namespace lamina {

namespace {

int cut(int fd) {
  UniqueFd file(open(procPath(fd, "").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK));
  return file.get() < 0 ? -errno : 0;
}

bool wantsWrite(uint32_t flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC); }

/**
 * FLUSH ends the POSIX locks of whoever closes, so it may be spared where there are none to end: who has a file open
 * for reading alone and locks it is seen off at RELEASE.
 */
uint32_t flushFlag(const Mount& mount, const Node* node, uint32_t flags) {
  bool locked = mount.locks && ((flags & O_ACCMODE) != O_RDONLY || mount.locks->any(&mount, node));
  return locked ? 0 : kFopenNoflush;
}

/**
 * Who only writes, and directly, takes the flag off for a last block that is not whole (dd does), and passthrough goes
 * by the flags of the open (Linux: backing_file_write_iter). So such data goes through us; the file stays passed
 * through.
 */
bool streamsDirect(uint32_t flags) { return (flags & O_DIRECT) && (flags & O_ACCMODE) == O_WRONLY; }

/** 0 when answered, 1 when this file must be relayed, or -errno. */
int openPassthrough(Mount& mount, Node* node, uint32_t flags, OpenOut* out) {
  bool relayed = node->opens > node->passthroughOpens;  // all opens of an inode must agree
  if (!mount.options.passthrough || node->has(kNodeRelay) || relayed) return 1;
  UniqueFd stream;
  if (streamsDirect(flags)) {
    int fd = openForHandle(mount, node, flags);
    if (fd < 0) return fd;
    stream.reset(fd);
  }
  int32_t id = mount.backingId(node);
  if (id == -EPERM) {
    mount.options.passthrough = false;  // no CAP_SYS_ADMIN in the first user namespace: for the whole mount
    return 1;
  }
  if (id == -ELOOP || id == -EINVAL || id == -EOPNOTSUPP || id == -EISDIR || id == -ENOTTY) {
    node->flags |= kNodeRelay;  // this file's filesystem only
    return 1;
  }
  if (id < 0) return id;
  out->openFlags = kFopenPassthrough | flushFlag(mount, node, flags);
  out->backingId = id;
  if (stream) {
    out->fh = mount.addHandle(std::move(stream), node, flags);
    mount.handle(out->fh)->passthrough = true;
    out->openFlags |= kFopenDirectIo;
  } else {
    if (mount.locks) out->fh = mount.passthroughHandle();
    node->opens++;
    node->bareOpens++;
  }
  mount.openPassthrough(node, (flags & O_ACCMODE) == O_RDWR);
  return 0;
}

int openRelay(Mount& mount, Node* node, uint32_t flags, OpenOut* out) {
  int fd = openForHandle(mount, node, flags);
  if (fd < 0) return fd;
  out->fh = mount.addHandle(UniqueFd(fd), node, flags);
  out->openFlags = flushFlag(mount, node, flags) | (node->has(kNodeRoute) ? kFopenDirectIo : kFopenKeepCache);
  return 0;
}

/** Passthrough where it can, relay where it cannot. 0 or -errno. */
int openNode(Mount& mount, Node* node, uint32_t flags, OpenOut* out) {
  int relay = openPassthrough(mount, node, flags, out);
  return relay == 1 ? openRelay(mount, node, flags, out) : relay;
}

}  // namespace

void takeBackOpen(Mount& mount, Node* node, const OpenOut& open) {
  if (open.fh && !(open.fh & kPassthroughHandle)) {
    mount.closeHandle(open.fh);
  } else if (node && node->bareOpens) {
    node->opens--;
    node->bareOpens--;
    mount.closePassthrough(node);
    mount.nodes.release(node);
  }
}

int openEntered(Mount& mount, Node* node, uint32_t flags, uint8_t* reply) {
  auto* entry = reinterpret_cast<EntryOut*>(reply);
  auto* open = reinterpret_cast<OpenOut*>(reply + sizeof *entry);
  memset(open, 0, sizeof *open);
  int error = openNode(mount, node, flags & ~O_TRUNC, open);
  mount.setAttrTimeout(node, &entry->attrValid, &entry->attrValidNsec);
  return error ? error : static_cast<int>(sizeof *entry + sizeof *open);
}

int opOpen(Request& request) {
  auto* in = request.as<OpenIn>();
  if (!in) return -EINVAL;
  Node* node = request.mount.nodes.find(request.in.nodeid);
  if (!node) return -ESTALE;
  // Opened while it was on a lower layer and copied up since: the retried lookup finds the successor.
  if (node->forward) return -ESTALE;
  // Zeros in place of what it holds would be worse than nothing (Linux, metacopy=off: EPERM).
  if (node->has(kNodeMetacopy)) return -EPERM;
  // The kernel refuses to write to a running program before it asks, but for two: O_TRUNC alone, which it refuses when
  // this request has done it (Linux: do_open, handle_truncate), and a program copied up since, now another inode.
  if (wantsWrite(in->flags) && node->running) return -ETXTBSY;
  bool kill = in->openFlags & kOpenKillSuidgid;
  if (wantsWrite(in->flags) || kill) {
    int error = checkWritable(request, node);
    // The kernel opens the file behind without asking it (Linux: backing_file_open).
    if (!error && wantsWrite(in->flags)) error = checkFlags(request, node);
    if (error) return error;
  }
  auto* out = request.reply<OpenOut>();
  int error = openNode(request.mount, node, in->flags, out);
  if (error) return error;
  if (in->flags & O_TRUNC) {
    // Who cannot have the file open must find it as it was. Not truncate(2): that leaves the times of an empty file as
    // they are on some filesystems, O_TRUNC never does.
    int fd = request.mount.nodeFd(node);
    error = fd < 0 ? fd : cut(fd);
    if (error) {
      takeBackOpen(request.mount, node, *out);
      return error;
    }
  }
  if (kill) killSuidgid(request, node);
  if (in->flags & kOpenExec) node->running++;
  return static_cast<int>(sizeof *out);
}

int opRelease(Request& request) {
  auto* in = request.as<ReleaseIn>();
  if (!in) return -EINVAL;
  Mount& mount = request.mount;
  bool handled = in->fh && !(in->fh & kPassthroughHandle);
  Handle* handle = handled ? mount.handle(in->fh) : nullptr;
  Node* node = handle ? handle->node : mount.nodes.find(request.in.nodeid);
  if (!node) return 0;
  for (Node* each = node; each && (in->flags & kOpenExec); each = each->forward) {
    if (each->running) each->running--;
  }
  bool bare = !handled && node->bareOpens > 0;
  bool passed = handle ? handle->passthrough : bare;
  if (handle || passed) node->opens--;
  if (bare) node->bareOpens--;
  if (mount.locks) mount.locks->released(&mount, node, in->fh);
  if (handle) mount.dropHandle(in->fh);
  if (passed) mount.closePassthrough(node);
  mount.nodes.release(node);
  mount.closeOrphanBackingIds();
  return 0;
}

int opRead(Request& request) {
  auto* in = request.as<ReadIn>();
  if (!in) return -EINVAL;
  Handle* handle = request.mount.handle(in->fh);
  if (!handle || handle->node->id != request.in.nodeid) return -EBADF;
  int fd = request.mount.handleFd(handle);
  if (fd < 0) return fd;
  ssize_t n = readFor(fd, request.out, std::min<size_t>(in->size, request.capacity), in->offset, in->flags);
  if (n < 0) return static_cast<int>(n);
  request.mount.counters.bytesRead += n;
  return static_cast<int>(n);
}

int opWrite(Request& request) {
  auto* in = request.as<WriteIn>();
  if (!in || sizeof *in + in->size > request.size) return -EINVAL;
  Handle* handle = request.mount.handle(in->fh);
  if (!handle || handle->node->id != request.in.nodeid) return -EBADF;
  // Before suid goes: the file behind a handle that cannot write may be a lower one.
  if ((handle->flags & O_ACCMODE) == O_RDONLY) return -EBADF;
  int fd = request.mount.handleFd(handle);
  if (fd < 0) return fd;
  if (in->writeFlags & kWriteKillSuidgid) killSuidgid(request, handle->node);
  // Elsewhere an append-only file has no map to write through (mm/mmap.c: IS_APPEND); its fd would write at the end.
  if ((in->writeFlags & kWriteCache) && (fcntl(fd, F_GETFL) & O_APPEND)) return -EPERM;
  // Pages of a map come when they come, whatever the flags of the file that they are sent through.
  uint32_t flags = in->writeFlags & kWriteCache ? 0 : in->flags;
  // The kernel positions appending writes by its own size, which is right only where nobody else writes.
  if (!handle->node->has(kNodeRoute)) flags &= ~O_APPEND;
  ssize_t n = writeFor(fd, request.body + sizeof *in, in->size, in->offset, flags);
  if (n < 0) return static_cast<int>(n);
  request.mount.counters.bytesWritten += n;
  auto* out = request.reply<WriteOut>();
  out->size = static_cast<uint32_t>(n);
  return sizeof *out;
}

int opLseek(Request& request) {
  auto* in = request.as<LseekIn>();
  Node* node = request.node();
  if (!in) return -EINVAL;
  if (!node) return -ESTALE;
  Borrowed file(request.mount, in->fh, node, O_RDONLY);
  if (file.get() < 0) return file.get();
  off_t offset = lseek(file.get(), in->offset, in->whence);
  if (offset < 0) return -errno;
  request.reply<LseekOut>()->offset = offset;
  return sizeof(LseekOut);
}

int opFallocate(Request& request) {
  auto* in = request.as<FallocateIn>();
  Node* node = request.node();
  if (!in) return -EINVAL;
  if (!node) return -ESTALE;
  int error = checkWritable(request, node);
  if (error) return error;
  Borrowed file(request.mount, in->fh, node, O_RDWR);
  if (file.get() < 0) return file.get();
  return fallocate(file.get(), in->mode, in->offset, in->length) < 0 ? -errno : 0;
}

namespace {

bool changesFile(uint32_t command) { return command == FS_IOC_SETFLAGS || command == FS_IOC_FSSETXATTR; }

bool knownCommand(uint32_t command) {
  return command == FS_IOC_GETFLAGS || command == FS_IOC_GETVERSION || command == FS_IOC_FSGETXATTR ||
         changesFile(command);
}

/**
 * Kernel overlayfs writes these where they are missing when it looks up directories (Linux: ovl_fix_origin), which it
 * could not once this one is immutable or append-only: a copy whose origin is not known, and a place where copies may
 * be.
 */
void markForKernel(const Mount& mount, int fd) {
  fsetxattr(fd, mount.options.overlayXattr("origin").c_str(), "", 0, XATTR_CREATE);
  fsetxattr(fd, mount.options.overlayXattr("impure").c_str(), "y", 1, XATTR_CREATE);
}

}  // namespace

int opIoctl(Request& request) {
  auto* in = request.as<IoctlIn>();
  Node* node = request.node();
  if (!in || sizeof *in + in->inSize > request.size) return -EINVAL;
  if (!node) return -ESTALE;
  if (!knownCommand(in->cmd)) return -ENOTTY;
  if (changesFile(in->cmd)) {
    int error = checkWritable(request, node);
    if (error) return error;
  }
  Borrowed file(request.mount, 0, node, O_RDONLY | O_NONBLOCK);
  if (file.get() < 0) return file.get();
  alignas(8) uint8_t argument[64] = {};
  if (in->inSize > sizeof argument || in->outSize > sizeof argument) return -EINVAL;
  memcpy(argument, request.body + sizeof *in, in->inSize);
  if (changesFile(in->cmd) && node->isDir() && !node->has(kNodeRoute)) markForKernel(request.mount, file.get());
  int done = ioctl(file.get(), in->cmd, argument);
  if (done < 0) return -errno;
  auto* out = request.reply<IoctlOut>();
  out->result = done;
  memcpy(request.out + sizeof *out, argument, in->outSize);
  return static_cast<int>(sizeof *out + in->outSize);
}

}  // namespace lamina
