#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "unique_fd.h"

namespace lamina {

Place* Places::addRoot(int fd, uint16_t root) {
  auto* place = new Place;
  fds_.open(place, fd, FdKind::kRoot);
  place->root = root;
  place->refs = 1;
  count_++;
  return place;
}

Place* Places::child(Place* parent, std::string_view name) {
  auto* place = new Place;
  place->parent = parent;
  place->name = name;
  place->root = parent->root;
  place->refs = 1;
  parent->refs++;
  count_++;
  return place;
}

void Places::drop(Place* place) {
  while (place && --place->refs == 0) {
    Place* parent = place->parent;
    fds_.close(place);
    delete place;
    count_--;
    place = parent;
  }
}

namespace {

int openPath(int dirfd, const char* path) {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH;
  int fd = static_cast<int>(syscall(SYS_openat2, dirfd, path, &how, sizeof how));
  return fd < 0 ? -errno : fd;
}

}  // namespace

// Opens in one call from the nearest ancestor that is open, or in several where names join past PATH_MAX.
int Places::openBelow(Place* place) {
  std::vector<Place*> chain;
  Place* from = place;
  for (; from->fd < 0; from = from->parent) {
    if (from->detached || !from->parent) return -ESTALE;
    chain.push_back(from);
  }
  int at = from->fd;
  UniqueFd step;
  std::string path;
  for (; !chain.empty(); chain.pop_back()) {
    const std::string& name = chain.back()->name;
    if (path.size() + name.size() + 2 > PATH_MAX) {
      at = openPath(at, path.c_str());
      if (at < 0) return at;
      step.reset(at);
      path.clear();
    }
    if (!path.empty()) path += '/';
    path += name;
  }
  return openPath(at, path.c_str());
}

int Places::fd(Place* place) {
  if (place->fd >= 0) {
    fds_.touch(place);
    return place->fd;
  }
  int fd = openBelow(place);
  // Others in this process may have taken what we counted on.
  if ((fd == -EMFILE || fd == -ENFILE) && fds_.shrink()) fd = openBelow(place);
  if (fd < 0) return fd;
  adopt(place, fd);
  return fd;
}

int Places::fdBriefly(Place* place) {
  uint32_t used = place->fd >= 0 ? place->request : 0;
  int opened = fd(place);
  if (opened >= 0) place->request = used;
  return opened;
}

void Places::adopt(Place* place, int fd) {
  if (place->fd >= 0) {
    ::close(fd);
    return;
  }
  fds_.open(place, fd, FdKind::kPlace);
}

int Places::pin(Place* place) {
  if (place->kind == FdKind::kPinned || place->kind == FdKind::kRoot) return place->fd < 0 ? -ESTALE : 0;
  if (!fds_.mayPin()) return -EMFILE;
  int open = fd(place);
  if (open < 0) return open;
  fds_.change(place, FdKind::kPinned);
  return 0;
}

void Places::unpin(Place* place) {
  if (place->kind == FdKind::kPinned) fds_.change(place, FdKind::kPlace);
}

void Places::abandon(Place* place) { fds_.close(place); }

void Places::move(Place* place, Place* parent, std::string_view name) {
  parent->refs++;
  Place* old = place->parent;
  place->parent = parent;
  place->name = name;
  place->detached = false;
  if (place->fd >= 0 && old) fds_.change(place, FdKind::kPlace);
  if (old) drop(old);
}

}  // namespace lamina
