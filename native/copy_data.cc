#include "copy_data.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

namespace lamina {
namespace {

constexpr size_t kChunk = 1 << 18;
constexpr int64_t kStride = 16 << 20;  // bytes between two looks at `stop`

int copyByReading(int src, int dst, int64_t from, int64_t to) {
  auto buffer = std::make_unique<char[]>(kChunk);
  while (from < to) {
    ssize_t got = pread(src, buffer.get(), std::min<int64_t>(kChunk, to - from), from);
    if (got < 0) return -errno;
    if (got == 0) return 0;
    for (ssize_t put = 0; put < got;) {
      ssize_t n = pwrite(dst, buffer.get() + put, got - put, from + put);
      if (n < 0) return -errno;
      put += n;
    }
    from += got;
  }
  return 0;
}

bool rangeUnsupported(int error) { return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP; }

int copyExtent(int src, int dst, int64_t from, int64_t to) {
  while (from < to) {
    loff_t in = from, out = from;
    ssize_t n = copy_file_range(src, &in, dst, &out, to - from, 0);
    if (n < 0 && rangeUnsupported(errno)) return copyByReading(src, dst, from, to);
    if (n < 0) return -errno;
    // Some filesystems answer 0 before the end (procfs-like sizes): reading settles it.
    if (n == 0) return copyByReading(src, dst, from, to);
    from += n;
  }
  return 0;
}

}  // namespace

int protect(int fd, uint32_t flags) {
  constexpr int kBoth = FS_IMMUTABLE_FL | FS_APPEND_FL;
  int had = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &had) < 0) return -errno;
  int wanted = (had & ~kBoth) | (static_cast<int>(flags) & kBoth);
  return ioctl(fd, FS_IOC_SETFLAGS, &wanted) < 0 ? -errno : had & kBoth;
}

void copyFlags(int src, int dst, bool append) {
  const int copied = FS_NOATIME_FL | FS_NODUMP_FL | FS_DIRSYNC_FL | FS_SYNC_FL | (append ? FS_APPEND_FL : 0);
  int from = 0, to = 0;
  if (ioctl(src, FS_IOC_GETFLAGS, &from) < 0 || !(from & copied)) return;
  if (ioctl(dst, FS_IOC_GETFLAGS, &to) < 0) return;
  to |= from & copied;
  ioctl(dst, FS_IOC_SETFLAGS, &to);
}

int copyData(int src, int dst, int64_t length, const std::atomic<bool>* stop) {
  struct stat st;
  if (fstat(src, &st) < 0) return -errno;
  int64_t end = length < 0 ? st.st_size : std::min<int64_t>(length, st.st_size);
  if (end == 0) return 0;
  if (end == st.st_size && ioctl(dst, FICLONE, src) == 0) return 0;
  for (int64_t at = 0; at < end;) {
    if (stop && *stop) return -EINTR;
    off_t data = lseek(src, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    off_t hole = data < 0 ? -1 : lseek(src, data, SEEK_HOLE);
    if (hole < 0) {  // no SEEK_DATA here: everything is data
      data = at;
      hole = end;
    }
    if (data >= end) break;
    int64_t to = std::min({int64_t{hole}, end, data + kStride});
    int error = copyExtent(src, dst, data, to);
    if (error) return error;
    at = to;
  }
  return ftruncate(dst, end) < 0 ? -errno : 0;
}

}  // namespace lamina
