// How many fds one mount may keep open on its layers and backing directories, and which of them go when there are too
// many: those that can be opened again, the least used first. Places and handles keep their fds in it. Loop thread
// only.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <functional>

namespace lamina {

/** Who needs an fd. The order is that in which they are closed, but that places may not crowd out all others. */
enum class FdKind : uint8_t {
  kPlace,   // O_PATH, opened again by its name
  kReader,  // an open file of a layer
  kWriter,  // the same, for writing
  kShared,  // an open file of a route: others may take away its name
  kPinned,  // the only way to an object without a name
  kRoot,    // of a layer or route: never closed, and not counted
};

/** One fd that may be open. Part of whoever needs it. */
struct FdSlot {
  FdSlot* newer = nullptr;  // neighbours in the list of its kind
  FdSlot* older = nullptr;
  uint32_t request = 0;  // that used it last
  int fd = -1;
  FdKind kind = FdKind::kPlace;
};

class FdBudget {
 public:
  explicit FdBudget(size_t limit) : limit_(limit) {}
  FdBudget(const FdBudget&) = delete;
  FdBudget& operator=(const FdBudget&) = delete;

  void setLimit(size_t limit);
  /** Keeps `fd` for `slot`, and makes room for it. Owns: fd. */
  void open(FdSlot* slot, int fd, FdKind kind);
  void close(FdSlot* slot);
  /** It is used: it goes last of its kind. */
  void touch(FdSlot* slot);
  /** An open slot is of another kind now. */
  void change(FdSlot* slot, FdKind kind);
  /** Whether one more may be pinned: some must be left to work with. */
  bool mayPin() const { return pinned_ + kLeast <= limit_; }
  /** Closes half of what can be closed, when the process has no fd left. False when there was nothing. */
  bool shrink();

  /** Between begin and end, what `touch` and `open` saw stays open, whatever the limit. */
  void beginRequest() {
    if (++last_ == 0) last_ = 1;
    request_ = last_;
  }
  void endRequest() { request_ = 0; }

  /** Fds that are open, without roots. */
  size_t count() const { return open_; }

  /** Asked before a kShared one is closed: whether it could be opened again. */
  std::function<bool(FdSlot*)> mayReopen;

 private:
  struct List {
    FdSlot* newest = nullptr;
    FdSlot* oldest = nullptr;
    size_t length = 0;
  };
  static constexpr size_t kKinds = 4;    // those with a list
  static constexpr size_t kLeast = 16;   // fds that pinned objects leave to others
  static constexpr size_t kMost = 4096;  // places, however much room there is: each holds a dentry in the kernel

  void list(FdSlot* slot);
  void unlist(FdSlot* slot);
  bool reopens(FdSlot* slot);
  bool closeOldest(FdKind kind);
  bool closeOne();
  void makeRoom();

  size_t limit_;
  size_t open_ = 0;
  size_t pinned_ = 0;
  uint32_t request_ = 0;
  bool asking_ = false;
  uint32_t last_ = 0;
  List lists_[kKinds];
};

}  // namespace lamina
