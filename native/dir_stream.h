// Open streams over directories, kept between READDIR requests. Requests carry no handle (OPENDIR is answered ENOSYS),
// so a stream is found by nodeid and continues only if it stands at the offset asked for; else it seeks. Loop thread
// only.
#pragma once

#include <stdint.h>

#include <list>
#include <vector>

#include "unique_fd.h"

namespace lamina {

struct RawDirent {
  uint64_t ino;
  int64_t off;
  uint16_t reclen;
  uint8_t type;
  char name[];
};

class DirStream {
 public:
  DirStream(uint64_t nodeid, int fd) : nodeid(nodeid), fd_(fd), buffer_(kBuffer) {}
  /** Stands at `offset` next: continues, or seeks. 0 or -errno. */
  int seek(int64_t offset);
  /** The next entry without taking it; null at the end (*error 0) or on failure. */
  const RawDirent* peek(int* error);
  /** Takes the entry that peek showed. */
  void take();

  const uint64_t nodeid;

 private:
  static constexpr size_t kBuffer = 32768;
  UniqueFd fd_;
  std::vector<uint8_t> buffer_;
  size_t at_ = 0, filled_ = 0;
  int64_t position_ = 0;
};

class DirStreams {
 public:
  /** The stream of `nodeid`, or null. */
  DirStream* find(uint64_t nodeid);
  /** Keeps a new stream; the oldest goes when there are many. Owns: fd. */
  DirStream* add(uint64_t nodeid, int fd);
  void close(uint64_t nodeid);

 private:
  static constexpr size_t kLimit = 16;
  std::list<DirStream> streams_;
};

}  // namespace lamina
