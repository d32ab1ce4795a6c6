#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

#include "bypass.h"

namespace lamina {
namespace {

constexpr uint64_t kToEnd = INT64_MAX;  // OFFSET_MAX of the kernel

bool sameFile(const NodeKey& a, const NodeKey& b) { return a.ino == b.ino && a.dev == b.dev; }

LockRange rangeOf(const LkIn& in) { return {in.lk.start, in.lk.end, in.lk.type == F_WRLCK}; }

struct flock toFlock(const LockRange& range, int type) {
  struct flock lock {};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(range.start);
  lock.l_len = range.end >= kToEnd ? 0 : static_cast<off_t>(range.end - range.start + 1);
  return lock;
}

/** Takes or gives back a lock on the open file description of `fd`. 0 or -errno. */
int apply(int fd, bool whole, const LockRange& range, int type, bool wait) {
  int done;
  if (whole) {
    int operation = type == F_UNLCK ? LOCK_UN : type == F_WRLCK ? LOCK_EX : LOCK_SH;
    done = flock(fd, operation | (wait ? 0 : LOCK_NB));
  } else {
    struct flock lock = toFlock(range, type);
    done = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
  }
  if (done == 0) return 0;
  return errno == EWOULDBLOCK || errno == EACCES ? -EAGAIN : -errno;
}

/**
 * A description to lock through. A write lock needs one that can write; one that can write would keep the file from
 * being executed, so that flock, which does not care, and read-only routes read.
 */
int openForLocks(Mount& mount, Node* node, bool flock) {
  if (!flock && !node->has(kNodeReadOnly)) {
    int fd = openObject(mount, node, O_RDWR | O_NONBLOCK);
    if (fd >= 0) return fd;
  }
  int fd = openObject(mount, node, O_RDONLY | O_NONBLOCK);
  return fd == -EACCES ? openObject(mount, node, O_WRONLY | O_NONBLOCK) : fd;
}

}  // namespace

/** A lock that another owner keeps us from. */
class LockWait : public BlockingCall {
 public:
  LockWait(LockTable& table, LockHolder* holder, const LockRange& range, int type, UniqueFd fd, uint64_t unique)
      : holder(holder), range(range), unique(unique), table_(table), fd_(std::move(fd)), type_(type) {
    flock_ = holder->flock;
  }

  int work() override {
    interrupter.arm();
    int result;
    do {
      result = interrupter.fired() ? -EINTR : apply(fd_.get(), flock_, range, type_, true);
    } while (result == -EINTR && !interrupter.fired());
    interrupter.disarm();
    return result;
  }

  void done(int result) override { table_.ended(*this, result); }

  LockHolder* holder;  // null once the mount has ended
  const LockRange range;
  const uint64_t unique;
  Interrupter interrupter;

 private:
  LockTable& table_;
  UniqueFd fd_;  // the holder's description
  int type_;
  bool flock_;
};

void LockHolder::set(const LockRange& range, bool locked) {
  std::vector<LockRange> kept;
  for (const LockRange& each : ranges) {
    if (each.start > range.end || range.start > each.end) {
      kept.push_back(each);
      continue;
    }
    if (each.start < range.start) kept.push_back({each.start, range.start - 1, each.write});
    if (each.end > range.end) kept.push_back({range.end + 1, each.end, each.write});
  }
  if (locked) kept.push_back(range);
  ranges.swap(kept);
}

LockTable::~LockTable() {
  for (auto& holder : holders_) {
    for (LockWait* wait : holder->waits) wait->interrupter.fire();
  }
}

LockHolder* LockTable::find(const Mount* mount, const NodeKey& file, uint64_t owner, bool flock) const {
  for (auto& holder : holders_) {
    bool same = holder->owner == owner && holder->mount == mount && holder->flock == flock;
    if (same && sameFile(holder->file, file)) return holder.get();
  }
  return nullptr;
}

LockHolder* LockTable::add(Request& request, Node* node, const LkIn& in, int* error) {
  bool flock = in.lkFlags & kLkFlock;
  int fd = openForLocks(request.mount, node, flock);
  *error = fd < 0 ? fd : 0;
  if (fd < 0) return nullptr;
  auto holder = std::make_unique<LockHolder>();
  holder->file = node->key();
  holder->nodeid = request.in.nodeid;
  holder->mount = &request.mount;
  holder->owner = in.owner;
  holder->flock = flock;
  holder->fd.reset(fd);
  holders_.push_back(std::move(holder));
  return holders_.back().get();
}

void LockTable::dropIdle() {
  std::erase_if(holders_, [](const auto& holder) { return holder->ranges.empty() && holder->waits.empty(); });
}

std::vector<const LockHolder*> LockTable::blockers(const LockHolder& asking, const LockRange& range) const {
  std::vector<const LockHolder*> found;
  for (auto& holder : holders_) {
    if (holder.get() == &asking || holder->flock != asking.flock || !sameFile(holder->file, asking.file)) continue;
    bool blocks = std::any_of(holder->ranges.begin(), holder->ranges.end(),
                              [&](const LockRange& held) { return held.conflicts(range); });
    if (blocks) found.push_back(holder.get());
  }
  return found;
}

/** Whether those in the way wait, directly or through others, for the owner that asks (Linux: posix_locks_deadlock). */
bool LockTable::deadlocks(const LockHolder& asking, const LockRange& range) const {
  std::vector<const LockHolder*> pending = blockers(asking, range);
  std::set<const LockHolder*> seen;
  while (!pending.empty()) {
    const LockHolder* blocker = pending.back();
    pending.pop_back();
    if (blocker->owner == asking.owner && blocker->mount == asking.mount) return true;
    if (!seen.insert(blocker).second) continue;
    // The same owner may wait on any file.
    for (auto& other : holders_) {
      if (other->owner != blocker->owner || other->mount != blocker->mount || other->flock) continue;
      for (const LockWait* wait : other->waits) {
        auto next = blockers(*other, wait->range);
        pending.insert(pending.end(), next.begin(), next.end());
      }
    }
  }
  return false;
}

int LockTable::get(Request& request, Node* node, const LkIn& in) {
  LockRange range = rangeOf(in);
  LockHolder* holder = find(&request.mount, node->key(), in.owner, false);
  UniqueFd own;
  if (!holder) {
    int fd = openForLocks(request.mount, node, false);
    if (fd < 0) return fd;
    own.reset(fd);
  }
  struct flock lock = toFlock(range, static_cast<int>(in.lk.type));
  if (fcntl(holder ? holder->fd.get() : own.get(), F_OFD_GETLK, &lock) < 0) return -errno;
  auto* out = request.reply<FileLock>();
  out->type = static_cast<uint32_t>(lock.l_type);
  if (lock.l_type == F_UNLCK) return sizeof *out;
  out->start = static_cast<uint64_t>(lock.l_start);
  out->end = lock.l_len == 0 ? kToEnd : out->start + static_cast<uint64_t>(lock.l_len) - 1;
  out->pid = lock.l_pid > 0 ? static_cast<uint32_t>(lock.l_pid) : 0;
  // One of ours: the description belongs to nobody, its owner has a pid.
  for (auto& other : holders_) {
    bool ours = !other->flock && other.get() != holder && sameFile(other->file, node->key());
    LockRange found{out->start, out->end, lock.l_type == F_WRLCK};
    for (const LockRange& held : other->ranges) {
      if (ours && lock.l_pid <= 0 && held.conflicts({found.start, found.end, true})) out->pid = other->pid;
    }
  }
  return sizeof *out;
}

int LockTable::set(Request& request, Node* node, const LkIn& in, bool wait) {
  LockRange range = rangeOf(in);
  bool flock = in.lkFlags & kLkFlock;
  if (flock) range = {0, kToEnd, range.write};
  LockHolder* holder = find(&request.mount, node->key(), in.owner, flock);
  if (in.lk.type == F_UNLCK) {
    int error = holder ? apply(holder->fd.get(), flock, range, F_UNLCK, false) : 0;
    if (holder && !error) holder->set(range, false);
    dropIdle();
    return error;
  }
  int error = 0;
  if (!holder) holder = add(request, node, in, &error);
  if (!holder) return error;
  holder->handles.insert(in.fh);
  error = apply(holder->fd.get(), flock, range, static_cast<int>(in.lk.type), false);
  if (!error) {
    holder->set(range, true);
    holder->pid = in.lk.pid;
    return 0;
  }
  // Turning a shared flock into an exclusive one gives up the shared one first (flock(2)).
  if (flock) holder->set(range, false);
  UniqueFd fd;
  if (error == -EAGAIN && wait) {
    if (!flock && deadlocks(*holder, range))
      error = -EDEADLK;
    else
      fd.reset(fcntl(holder->fd.get(), F_DUPFD_CLOEXEC, 3));
  }
  if (!fd) {
    dropIdle();
    return error == -EAGAIN && wait ? -ENOLCK : error;
  }
  holder->pid = in.lk.pid;
  auto call =
      std::make_unique<LockWait>(*this, holder, range, static_cast<int>(in.lk.type), std::move(fd), request.in.unique);
  holder->waits.push_back(call.get());
  calls_.run(std::move(call));
  return kNoReply;
}

void LockTable::ended(LockWait& wait, int result) {
  LockHolder* holder = wait.holder;
  if (!holder) return;
  std::erase(holder->waits, &wait);
  if (result == 0) holder->set(wait.range, true);
  OutHeader out{sizeof out, result, wait.unique};
  bool lost = write(holder->mount->device.get(), &out, sizeof out) < 0 || holder->handles.empty();
  if (lost && result == 0) {
    // Nobody waits for it any more.
    apply(holder->fd.get(), holder->flock, wait.range, F_UNLCK, false);
    holder->set(wait.range, false);
  }
  dropIdle();
}

void LockTable::unlock(LockHolder& holder) {
  apply(holder.fd.get(), holder.flock, {0, kToEnd, false}, F_UNLCK, false);
  holder.ranges.clear();
}

void LockTable::closed(const Request& request, const Node* node, uint64_t owner) {
  for (auto& holder : holders_) {
    if (holder->flock || holder->owner != owner || holder->mount != &request.mount) continue;
    if (holder->nodeid == request.in.nodeid || sameFile(holder->file, node->key())) unlock(*holder);
  }
  dropIdle();
}

void LockTable::released(const Mount* mount, const Node* node, uint64_t handle) {
  for (auto& holder : holders_) {
    if (holder->mount != mount) continue;
    bool last = holder->handles.erase(handle) && holder->handles.empty();
    if (!last && (node->opens || holder->nodeid != node->id)) continue;
    holder->handles.clear();
    unlock(*holder);
    for (LockWait* wait : holder->waits) wait->interrupter.fire();
  }
  dropIdle();
}

void LockTable::interrupt(const Mount* mount, uint64_t unique) {
  for (auto& holder : holders_) {
    if (holder->mount != mount) continue;
    for (LockWait* wait : holder->waits) {
      if (wait->unique == unique) wait->interrupter.fire();
    }
  }
}

void LockTable::drop(const Mount* mount) {
  for (auto& holder : holders_) {
    if (holder->mount != mount) continue;
    for (LockWait* wait : holder->waits) {
      wait->holder = nullptr;
      wait->interrupter.fire();
    }
    holder->waits.clear();
    unlock(*holder);
  }
  dropIdle();
}

size_t LockTable::count(const Mount* mount) const {
  return std::count_if(holders_.begin(), holders_.end(), [&](const auto& holder) { return holder->mount == mount; });
}

bool LockTable::any(const Mount* mount, const Node* node) const {
  return std::any_of(holders_.begin(), holders_.end(), [&](const auto& holder) {
    return !holder->flock && holder->mount == mount && sameFile(holder->file, node->key());
  });
}

}  // namespace lamina
