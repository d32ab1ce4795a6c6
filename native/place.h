// A place is where an object lives in one layer or backing directory: a parent place and a name, up to a root whose
// fd is pinned. O_PATH fds of places are opened when needed and closed when others need them more (fd_budget.h),
// so that the number of nodes is not bounded by RLIMIT_NOFILE. Renaming a directory moves one place; all below follow.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>

#include "fd_budget.h"

namespace lamina {

struct Place : FdSlot {
  Place* parent = nullptr;  // owned reference; null for a root
  std::string name;         // bytes; empty for a root
  uint32_t refs = 0;
  uint16_t root = 0;
  bool detached = false;  // parent and name no longer lead here; only the fd does
};

/** All places of one mount. Loop thread only. */
class Places {
 public:
  explicit Places(FdBudget& fds) : fds_(fds) {}
  ~Places() = default;
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  /** A root over `fd`. Owns: fd. The reference returned belongs to the caller. */
  Place* addRoot(int fd, uint16_t root);
  /** A place for `name` under `parent`, unopened. The reference returned belongs to the caller. */
  Place* child(Place* parent, std::string_view name);
  void ref(Place* place) { place->refs++; }
  /** Gives a reference back; the last one closes the fd and lets the parent go. */
  void drop(Place* place);

  /**
   * The O_PATH fd of `place`, opened if it is not. Valid until the request at hand is answered; without one, for
   * dozens of other opens at least. Returns -errno: ENOENT or ELOOP when the name is gone or a component became a
   * symlink.
   */
  int fd(Place* place);
  /** The same for the very next call only: what goes through hundreds of places must not hold them all open. */
  int fdBriefly(Place* place);
  /** Gives an fd to a place that has none; closes it otherwise. Owns: fd. */
  void adopt(Place* place, int fd);
  /** Opens and pins: the object stays reachable when its name goes. 0 or -errno; EMFILE when too many are pinned. */
  int pin(Place* place);
  /** Its name stays: its fd may be closed again. */
  void unpin(Place* place);
  /** Marks the name as gone; the place must be pinned. */
  void detach(Place* place) { place->detached = true; }
  /** Lets go of a pinned object that has no name: it can be reached no more (ESTALE). */
  void abandon(Place* place);
  /** The object now lives as `name` under `parent`. */
  void move(Place* place, Place* parent, std::string_view name);

  FdBudget& fds() { return fds_; }
  size_t size() const { return count_; }

 private:
  int openBelow(Place* place);

  FdBudget& fds_;
  size_t count_ = 0;
};

/** Where a system call finds an object: an fd and an empty name, or a directory fd and a name. */
struct Location {
  int fd;  // or -errno
  const char* name;
};

}  // namespace lamina
