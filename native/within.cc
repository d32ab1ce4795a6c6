// lamina-within: does something at a place inside a root, which others may be changing at the same time. The place is
// walked to without following a symlink and held by an fd; whatever is swapped on the way to it makes this fail, and
// leads nowhere else. A process of its own, because the one that serves a mount must not walk into it. Started by
// src/transport/mount-command.ts.
//
//   lamina-within run ROOT PATH COMMAND ARG...    {} among the arguments stands for the place
//   lamina-within seal ROOT PATH [ro]             what is mounted there and below: private, and read-only if asked
//   lamina-within umount ROOT PATH                what is mounted on it

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "unique_fd.h"

namespace {

// sys/mount.h and linux/mount.h cannot both be had.
constexpr int kUmountNofollow = 8;

int complain(const char* path) {
  const char* why = errno == ELOOP ? "it has been replaced by a symbolic link meanwhile" : strerror(errno);
  fprintf(stderr, "%s: %s\n", path, why);
  return 1;
}

int openWithin(const char* root, const std::string& path) {
  lamina::UniqueFd top(open(root, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return -1;
  std::string relative =
      path.substr(path.find_first_not_of('/') == std::string::npos ? path.size() : path.find_first_not_of('/'));
  if (relative.empty()) relative = ".";
  open_how how{};
  how.flags = O_PATH;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(syscall(SYS_openat2, top.get(), relative.c_str(), &how, sizeof(how)));
}

int run(const char* root, const char* path, char** arguments) {
  int fd = openWithin(root, path);
  if (fd < 0) return complain(path);
  std::string place = "/proc/self/fd/" + std::to_string(fd);
  std::vector<char*> command;
  for (; *arguments != nullptr; arguments++)
    command.push_back(strcmp(*arguments, "{}") == 0 ? place.data() : *arguments);
  command.push_back(nullptr);
  execvp(command[0], command.data());
  return complain(command[0]);
}

int seal(const char* root, const char* path, bool readOnly) {
  int fd = openWithin(root, path);
  if (fd < 0) return complain(path);
  mount_attr attributes{};
  attributes.propagation = MS_PRIVATE;
  attributes.attr_set = readOnly ? MOUNT_ATTR_RDONLY : 0;
  long result = syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes));
  return result == 0 ? 0 : complain(path);
}

/// An fd of the mount itself would keep it busy: its directory is held instead.
int unmount(const char* root, const std::string& path) {
  size_t slash = path.find_last_of('/');
  std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  int fd = openWithin(root, parent);
  if (fd < 0 || fchdir(fd) != 0) return complain(path.c_str());
  if (syscall(SYS_umount2, name.c_str(), kUmountNofollow) == 0) return 0;
  if (errno == EBUSY) return fprintf(stderr, "%s: target is busy\n", path.c_str()), 1;
  return complain(path.c_str());
}

}  // namespace

int main(int count, char** arguments) {
  if (count >= 5 && strcmp(arguments[1], "run") == 0) return run(arguments[2], arguments[3], arguments + 4);
  if (count >= 4 && strcmp(arguments[1], "seal") == 0) return seal(arguments[2], arguments[3], count > 4);
  if (count == 4 && strcmp(arguments[1], "umount") == 0) return unmount(arguments[2], arguments[3]);
  fprintf(stderr,
          "usage: lamina-within run ROOT PATH COMMAND ARG...\n       lamina-within seal ROOT PATH [ro]\n"
          "       lamina-within umount ROOT PATH\n");
  return 2;
}
