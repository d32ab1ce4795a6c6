// Acting as the caller while something is created, so that owner, group, setgid inheritance, quota and default ACLs
// come out as the backing filesystem defines them, in one step and with nothing to repair after a crash.
#pragma once

#include <stdint.h>

namespace lamina {

/** Who makes something. `group` is a further group of the caller's that owns the directory, or `gid`. */
struct Identity {
  uint32_t uid = 0, gid = 0, group = 0, umask = 0;
};

/** The serving thread is root's and in no group: what a caller is in must not be decided by what we are in. */
void leaveGroups();

/**
 * Gives this thread the caller's fsuid, fsgid, the one group that matters and umask until destroyed; it keeps the
 * capabilities that reach the directory (the kernel has already checked the caller's own rights: default_permissions).
 * Loop thread, which has its own umask (unshare(CLONE_FS)).
 */
class ActAs {
 public:
  explicit ActAs(const Identity& who);
  ~ActAs();
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

 private:
  bool user_ = false;
  bool group_ = false;
  bool member_ = false;
  uint32_t previousMask_;
};

}  // namespace lamina
