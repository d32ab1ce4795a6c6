#include "dir_stream.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lamina {

int DirStream::seek(int64_t offset) {
  if (offset == position_ && (offset != 0 || filled_ == 0)) return 0;
  if (lseek(fd_.get(), offset, SEEK_SET) < 0) return -errno;
  at_ = filled_ = 0;
  position_ = offset;
  return 0;
}

const RawDirent* DirStream::peek(int* error) {
  *error = 0;
  if (at_ >= filled_) {
    long got = syscall(SYS_getdents64, fd_.get(), buffer_.data(), buffer_.size());
    if (got < 0) *error = -errno;
    if (got <= 0) return nullptr;
    at_ = 0;
    filled_ = got;
  }
  return reinterpret_cast<const RawDirent*>(buffer_.data() + at_);
}

void DirStream::take() {
  auto* entry = reinterpret_cast<const RawDirent*>(buffer_.data() + at_);
  position_ = entry->off;
  at_ += entry->reclen;
}

DirStream* DirStreams::find(uint64_t nodeid) {
  for (DirStream& stream : streams_) {
    if (stream.nodeid == nodeid) return &stream;
  }
  return nullptr;
}

DirStream* DirStreams::add(uint64_t nodeid, int fd) {
  if (streams_.size() >= kLimit) streams_.pop_front();
  return &streams_.emplace_back(nodeid, fd);
}

void DirStreams::close(uint64_t nodeid) {
  streams_.remove_if([&](const DirStream& stream) { return stream.nodeid == nodeid; });
}

}  // namespace lamina
