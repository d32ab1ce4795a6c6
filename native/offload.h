// The long half of a copy-up, its data and its fsync, on threads beside the loop, while the requests that need it are
// parked and everybody else is served. The union begins it and asks for its end (mount_object.cc); the loop answers
// the parked requests again when it is over. Lower files do not change, so what was copied meanwhile stays true.
#pragma once

#include <stdint.h>

#include <atomic>
#include <memory>
#include <unordered_map>
#include <vector>

#include "blocking.h"

namespace lamina {

/** Whether fsync on the filesystem of `fd` is over before a thread would be awake. */
bool syncsInMemory(int fd);

/** The offloaded work of one mount. Loop thread, but for the calls themselves. */
class Offloads {
 public:
  Offloads();
  ~Offloads();
  Offloads(const Offloads&) = delete;
  Offloads& operator=(const Offloads&) = delete;

  /**
   * Begins to copy `length` bytes of `src` (all when negative) to the empty file `dst`; the fds stay the caller's.
   * > 0: its number; 0 when it is done sooner in place; or -errno.
   */
  int copy(BlockingCalls* calls, int src, int dst, int64_t length);
  /** Begins an fsync. As `copy`. */
  int sync(BlockingCalls* calls, int fd);

  /** 1 while it runs, else 0 or -errno, once. -EINVAL for a number that is not known. */
  int result(uint32_t number);
  /** Nobody waits for it any more: a copy ends early, with -EINTR. */
  void stop(uint32_t number);
  /** Those that have ended since the last call. */
  std::vector<uint32_t> takeEnded();

  /** What the request at hand waits for, set while it is decided; 0 for nothing. */
  uint32_t awaited = 0;

 private:
  class Call;
  struct Work {
    std::atomic<bool> stopped = false;
    int result = 1;
  };
  struct Table {
    std::unordered_map<uint32_t, std::shared_ptr<Work>> works;
    std::vector<uint32_t> ended;
  };
  int begin(BlockingCalls* calls, int src, int dst, int64_t length);

  std::shared_ptr<Table> table_;  // calls that outlive the mount find it still
  uint32_t next_ = 1;
};

}  // namespace lamina
