#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

namespace lamina {

Place* Places::addRoot(int fd, uint16_t root) {
  auto* place = new Place;
  place->fd = fd;
  place->root = root;
  place->pinned = true;
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
    unlist(place);
    if (place->fd >= 0) {
      ::close(place->fd);
      if (!place->pinned) open_--;
    }
    delete place;
    count_--;
    place = parent;
  }
}

void Places::list(Place* place) {
  place->older = newest_;
  place->newer = nullptr;
  if (newest_) newest_->newer = place;
  newest_ = place;
  if (!oldest_) oldest_ = place;
}

void Places::unlist(Place* place) {
  if (place->newer) place->newer->older = place->older;
  if (place->older) place->older->newer = place->newer;
  if (newest_ == place) newest_ = place->older;
  if (oldest_ == place) oldest_ = place->newer;
  place->newer = place->older = nullptr;
}

void Places::closeOldest() {
  Place* place = oldest_;
  unlist(place);
  ::close(place->fd);
  place->fd = -1;
  open_--;
}

namespace {

int openPath(int dirfd, const char* path) {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  int fd = static_cast<int>(syscall(SYS_openat2, dirfd, path, &how, sizeof how));
  return fd < 0 ? -errno : fd;
}

}  // namespace

// Opens in one call from the nearest ancestor that is open; names that join past PATH_MAX go step by step.
int Places::openBelow(Place* place) {
  std::vector<Place*> chain;
  size_t length = 0;
  Place* from = place;
  for (; from->fd < 0; from = from->parent) {
    if (from->detached || !from->parent) return -ESTALE;
    chain.push_back(from);
    length += from->name.size() + 1;
  }
  if (length >= PATH_MAX) {
    int parent = fd(place->parent);
    return parent < 0 ? parent : openPath(parent, place->name.c_str());
  }
  std::string path;
  path.reserve(length);
  for (size_t i = chain.size(); i-- > 0;) {
    path += chain[i]->name;
    if (i) path += '/';
  }
  return openPath(from->fd, path.c_str());
}

int Places::fd(Place* place) {
  if (place->fd >= 0) {
    if (!place->pinned && newest_ != place) {
      unlist(place);
      list(place);
    }
    return place->fd;
  }
  int fd = openBelow(place);
  if (fd < 0) return fd;
  adopt(place, fd);
  return fd;
}

void Places::adopt(Place* place, int fd) {
  if (place->fd >= 0) {
    ::close(fd);
    return;
  }
  if (open_ >= limit_ && oldest_) closeOldest();
  place->fd = fd;
  open_++;
  list(place);
}

int Places::pin(Place* place) {
  if (place->pinned) return 0;
  int open = fd(place);
  if (open < 0) return open;
  unlist(place);
  open_--;
  place->pinned = true;
  return 0;
}

void Places::abandon(Place* place) {
  ::close(place->fd);
  place->fd = -1;
  place->pinned = false;
}

void Places::move(Place* place, Place* parent, std::string_view name) {
  parent->refs++;
  Place* old = place->parent;
  place->parent = parent;
  place->name = name;
  place->detached = false;
  if (place->pinned && old) {
    place->pinned = false;
    open_++;
    list(place);
  }
  if (old) drop(old);
}

Location locate(Places& places, Place* place) {
  if (place->fd >= 0) return {place->fd, ""};
  if (!place->parent || place->detached) return {-ESTALE, ""};
  return {places.fd(place->parent), place->name.c_str()};
}

}  // namespace lamina
