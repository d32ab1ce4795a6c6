#include "identity.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lamina {
namespace {

// setfsuid(2) to a non-root id drops the filesystem capabilities from the effective set; these come back.
// CAP_FSETID stays away: it decides whether the kernel strips setgid from what a stranger to the group creates.
void keepReach() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return;
  uint32_t wanted = (1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH) | (1u << CAP_MKNOD);
  data[0].effective |= wanted & data[0].permitted;
  syscall(SYS_capset, &header, data);
}

bool privileged() { return geteuid() == 0; }

}  // namespace

// The system call itself, which is for this thread; the library's is for all.
void leaveGroups() {
  if (privileged()) syscall(SYS_setgroups, 0, nullptr);
}

ActAs::ActAs(const Identity& who) {
  previousMask_ = ::umask(who.umask);
  if ((who.uid == 0 && who.gid == 0) || !privileged()) return;
  if (who.gid != 0) {
    syscall(SYS_setfsgid, who.gid);
    group_ = true;
  }
  if (who.group != who.gid) {
    gid_t group = who.group;
    member_ = syscall(SYS_setgroups, 1, &group) == 0;
  }
  if (who.uid != 0) {
    syscall(SYS_setfsuid, who.uid);
    user_ = true;
    keepReach();
  }
}

ActAs::~ActAs() {
  if (user_) syscall(SYS_setfsuid, 0);
  if (group_) syscall(SYS_setfsgid, 0);
  if (member_) leaveGroups();
  ::umask(previousMask_);
}

}  // namespace lamina
