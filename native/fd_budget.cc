#include "fd_budget.h"

#include <unistd.h>

#include <algorithm>

namespace lamina {

void FdBudget::list(FdSlot* slot) {
  auto kind = static_cast<size_t>(slot->kind);
  if (kind >= kKinds) return;
  List& list = lists_[kind];
  slot->older = list.newest;
  slot->newer = nullptr;
  if (list.newest) list.newest->newer = slot;
  list.newest = slot;
  if (!list.oldest) list.oldest = slot;
  list.length++;
}

void FdBudget::unlist(FdSlot* slot) {
  auto kind = static_cast<size_t>(slot->kind);
  if (kind >= kKinds) return;
  List& list = lists_[kind];
  if (slot->newer) slot->newer->older = slot->older;
  if (slot->older) slot->older->newer = slot->newer;
  if (list.newest == slot) list.newest = slot->older;
  if (list.oldest == slot) list.oldest = slot->newer;
  slot->newer = slot->older = nullptr;
  list.length--;
}

/** Finding out opens directories; to make room for them would ask the same of the next slot, and so on without an end.
 */
bool FdBudget::reopens(FdSlot* slot) {
  if (!mayReopen) return true;
  asking_ = true;
  bool may = mayReopen(slot);
  asking_ = false;
  return may;
}

/** Of those that the request at hand has not used. */
bool FdBudget::closeOldest(FdKind kind) {
  constexpr int kTries = 8;  // of files that cannot be opened again
  FdSlot* slot = lists_[static_cast<size_t>(kind)].oldest;
  for (int tries = 0; slot && tries < kTries; tries++) {
    FdSlot* next = slot->newer;
    bool used = request_ && slot->request == request_;
    if (!used && (kind != FdKind::kShared || reopens(slot))) {
      close(slot);
      return true;
    }
    if (used) {
      tries--;
    } else {
      unlist(slot);
      list(slot);
    }
    slot = next;
  }
  return false;
}

bool FdBudget::closeOne() {
  size_t places = lists_[static_cast<size_t>(FdKind::kPlace)].length;
  bool many = places > std::max<size_t>(limit_ / 4, kLeast);
  if (many && closeOldest(FdKind::kPlace)) return true;
  for (FdKind kind : {FdKind::kReader, FdKind::kWriter, FdKind::kShared, FdKind::kPlace}) {
    if (closeOldest(kind)) return true;
  }
  return false;
}

void FdBudget::makeRoom() {
  if (asking_) return;
  while (open_ >= limit_ && closeOne()) continue;
  if (lists_[static_cast<size_t>(FdKind::kPlace)].length >= kMost) closeOldest(FdKind::kPlace);
}

void FdBudget::setLimit(size_t limit) {
  limit_ = std::max(limit, 2 * kLeast);
  while (open_ > limit_ && closeOne()) continue;
}

void FdBudget::open(FdSlot* slot, int fd, FdKind kind) {
  if (kind != FdKind::kRoot) {
    makeRoom();
    open_++;
  }
  if (kind == FdKind::kPinned) pinned_++;
  slot->fd = fd;
  slot->kind = kind;
  slot->request = request_;
  list(slot);
}

void FdBudget::close(FdSlot* slot) {
  if (slot->fd < 0) return;
  unlist(slot);
  ::close(slot->fd);
  slot->fd = -1;
  if (slot->kind != FdKind::kRoot) open_--;
  if (slot->kind == FdKind::kPinned) pinned_--;
  slot->kind = FdKind::kPlace;
}

void FdBudget::touch(FdSlot* slot) {
  slot->request = request_;
  auto kind = static_cast<size_t>(slot->kind);
  if (kind >= kKinds || lists_[kind].newest == slot) return;
  unlist(slot);
  list(slot);
}

void FdBudget::change(FdSlot* slot, FdKind kind) {
  if (slot->kind == kind) return;
  unlist(slot);
  if (slot->kind == FdKind::kPinned) pinned_--;
  if (kind == FdKind::kPinned) pinned_++;
  slot->kind = kind;
  list(slot);
}

bool FdBudget::shrink() {
  size_t before = open_;
  for (size_t goal = (open_ - pinned_) / 2; goal > 0 && closeOne();) goal--;
  return open_ < before;
}

}  // namespace lamina
