// Acting as the caller while something is created, so that owner, group, setgid inheritance, quota and default ACLs
// come out as the backing filesystem defines them, in one step and with nothing to repair after a crash.
#pragma once

#include <stdint.h>

namespace lamina {

/**
 * Gives this thread the caller's fsuid, fsgid and umask until destroyed; it keeps the capabilities that reach the
 * directory (the kernel has already checked the caller's own rights: default_permissions).
 * Loop thread, which has its own umask (unshare(CLONE_FS)).
 */
class ActAs {
 public:
  ActAs(uint32_t uid, uint32_t gid, uint32_t umask);
  ~ActAs();
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

 private:
  bool user_ = false;
  bool group_ = false;
  uint32_t previousMask_;
};

}  // namespace lamina
