// Open files whose data travels through us. The fd behind an idle handle may be closed (fd_budget.h) and is opened
// again when the handle is next used, so that clients may have more files open than we may. Used by the ops of
// bypass_file.cc, and by whoever needs a real fd on a node's object. Loop thread only.
#pragma once

#include <stdint.h>

#include "fd_budget.h"
#include "unique_fd.h"

namespace lamina {

class Mount;
struct Node;

struct Handle : FdSlot {
  Node* node = nullptr;
  uint32_t flags = 0;        // of its OPEN
  bool passthrough = false;  // for reads and writes alone: the file is open through its backing id
};

/** A real fd on the node's object with the given open(2) flags, or -errno. */
int openObject(Mount& mount, Node* node, int flags);

/** The same for a handle opened with `flags`, which may be against the mode that the file has by now. */
int openForHandle(Mount& mount, Node* node, uint32_t flags);

/** The handle's fd, or the object opened for one call. */
class Borrowed {
 public:
  Borrowed(Mount& mount, uint64_t fh, Node* node, int flags);
  int get() const { return fd_; }  // or -errno

 private:
  int fd_;
  UniqueFd own_;
};

}  // namespace lamina
