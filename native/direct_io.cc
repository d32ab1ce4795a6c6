#include "direct_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <memory>

namespace lamina {
namespace {

constexpr size_t kAlignment = 4096;  // the largest sector there is

struct Free {
  void operator()(uint8_t* memory) const { free(memory); }
};
using Aligned = std::unique_ptr<uint8_t, Free>;

/** Memory for direct I/O, with which the disk can do what it likes. Null when there is none. */
Aligned aligned(size_t size) {
  size_t whole = size < kAlignment ? kAlignment : (size + kAlignment - 1) / kAlignment * kAlignment;
  return Aligned(static_cast<uint8_t*>(aligned_alloc(kAlignment, whole)));
}

/** An fd that is direct for one call. */
class DirectCall {
 public:
  explicit DirectCall(int fd) : fd_(fd), error_(setDirect(fd, true)) {}
  ~DirectCall() {
    if (!error_) setDirect(fd_, false);
  }
  DirectCall(const DirectCall&) = delete;
  DirectCall& operator=(const DirectCall&) = delete;
  int error() const { return error_; }

 private:
  int fd_, error_;
};

ssize_t result(ssize_t n) { return n < 0 ? -errno : n; }

/** O_APPEND for this call alone: an fd that has it writes at the end wherever it is told to write (pwrite(2), BUGS). */
ssize_t put(int fd, const uint8_t* from, size_t size, off_t offset, uint32_t flags) {
  if (offset < 0) return -EINVAL;  // -1 would be the place where the fd is
  iovec data{const_cast<uint8_t*>(from), size};
  return result(pwritev2(fd, &data, 1, offset, flags & O_APPEND ? RWF_APPEND : 0));
}

}  // namespace

int setDirect(int fd, bool direct) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  return fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) < 0 ? -errno : 0;
}

ssize_t readFor(int fd, uint8_t* to, size_t size, off_t offset, uint32_t flags) {
  if (!(flags & O_DIRECT)) return result(pread(fd, to, size, offset));
  Aligned memory = aligned(size);
  if (!memory) return -ENOMEM;
  DirectCall direct(fd);
  if (direct.error()) return direct.error();
  ssize_t n = result(pread(fd, memory.get(), size, offset));
  if (n > 0) memcpy(to, memory.get(), n);
  return n;
}

ssize_t writeFor(int fd, const uint8_t* from, size_t size, off_t offset, uint32_t flags) {
  if (!(flags & O_DIRECT)) return put(fd, from, size, offset, flags);
  Aligned memory = aligned(size);
  if (!memory) return -ENOMEM;
  memcpy(memory.get(), from, size);
  DirectCall direct(fd);
  return direct.error() ? direct.error() : put(fd, memory.get(), size, offset, flags);
}

}  // namespace lamina
