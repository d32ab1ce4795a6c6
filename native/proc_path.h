// The /proc name of an fd, or of an entry under a directory fd: how path-only system calls (setxattr, chmod)
// reach an object that is held as an O_PATH fd without following its last symlink.
#pragma once

#include <stdio.h>

#include <string>

namespace lamina {

/** "/proc/self/fd/N" for an empty name, else "/proc/self/fd/N/name". Any thread. */
inline std::string procPath(int dirfd, const std::string& name) {
  char base[40];
  snprintf(base, sizeof base, "/proc/self/fd/%d", dirfd);
  return name.empty() ? std::string(base) : std::string(base) + "/" + name;
}

}  // namespace lamina
