// What /proc says of the thread that sent a request: its groups, its capabilities, the system call it waits in. Asked
// in the few cases where the request itself does not say enough; the thread sleeps until the reply. Used by
// bypass_*.cc.
#pragma once

#include <stdint.h>

#include <vector>

#include "fuse_abi.h"

namespace lamina {

/** Loop thread. Never touches a mount: only /proc/PID/{status,syscall,ns/user} are read. */
class Caller {
 public:
  explicit Caller(const InHeader& in);

  /** Its group, or one it is a member of. */
  bool inGroup(uint32_t gid) const;
  /** An effective capability over the mount's inodes; what uid 0 implies where /proc does not say. */
  bool has(int capability) const;
  /** The same in the first user namespace, where alone some of the kernel's checks look (Linux: capable). */
  bool hasEverywhere(int capability) const { return has(capability) && everywhere_; }
  /** It has been killed and ends as soon as its system call does. */
  bool dying() const { return dying_; }
  /** It waits in chown(2) or a relative; false where that cannot be found out. */
  bool changesOwner() const;

 private:
  void readStatus();

  const InHeader& in_;
  bool known_ = false;  // status was readable
  bool dying_ = false;
  bool everywhere_ = true;  // in the first user namespace, or we cannot tell
  uint64_t effective_ = 0;
  std::vector<uint32_t> groups_;
};

}  // namespace lamina
