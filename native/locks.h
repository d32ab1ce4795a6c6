// Locks on files that others share: POSIX, open-file-description and flock locks are taken on the backing file, so that
// containers, mounts and the host exclude each other. Each lock owner of a mount gets an open file description of its
// own (Linux: F_OFD_SETLK). One table a loop; loop thread only, but for the waiting itself.
#pragma once

#include <stdint.h>

#include <memory>
#include <set>
#include <vector>

#include "blocking.h"
#include "request.h"
#include "unique_fd.h"

namespace lamina {

class LockWait;

/** Bytes `start` to `end`, inclusive. */
struct LockRange {
  uint64_t start, end;
  bool write;
  bool conflicts(const LockRange& other) const {
    return start <= other.end && other.start <= end && (write || other.write);
  }
};

/** What one owner holds on one file, and waits for. */
struct LockHolder {
  NodeKey file;
  uint64_t nodeid;  // as the kernel names it: `file` is another one after a copy-up
  const Mount* mount;
  uint64_t owner;
  bool flock;  // a flock(2) owner; POSIX and flock locks do not see each other
  UniqueFd fd;
  uint32_t pid = 0;
  std::vector<LockRange> ranges;
  std::set<uint64_t> handles;  // the opens through which it locked
  std::vector<LockWait*> waits;

  /** The range now has this type, or none. */
  void set(const LockRange& range, bool locked);
};

class LockTable {
 public:
  explicit LockTable(BlockingCalls& calls) : calls_(calls) {}
  ~LockTable();
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  /** GETLK: writes the lock in the way, or F_UNLCK. */
  int get(Request& request, Node* node, const LkIn& in);
  /** SETLK and SETLKW: 0, kNoReply when the reply comes later, or -errno. */
  int set(Request& request, Node* node, const LkIn& in, bool wait);
  /** An owner closed a descriptor of the file: its POSIX locks on it go (close(2), fcntl(2)). */
  void closed(const Request& request, const Node* node, uint64_t owner);
  /** The last descriptor of an open is gone: what was locked through it goes, and all if nobody has the file open. */
  void released(const Mount* mount, const Node* node, uint64_t handle);
  /** Breaks off the wait of request `unique`. */
  void interrupt(const Mount* mount, uint64_t unique);
  /** The mount has ended: its locks go, its waits end unanswered. */
  void drop(const Mount* mount);
  /** Whether anybody of this mount has, or waits for, a lock on the node. */
  bool any(const Mount* mount, const Node* node) const;
  /** Owners of this mount that hold or wait for something. */
  size_t count(const Mount* mount) const;

  /** A wait has ended; the reply is due. */
  void ended(LockWait& wait, int result);

 private:
  using Holders = std::vector<std::unique_ptr<LockHolder>>;
  LockHolder* find(const Mount* mount, const NodeKey& file, uint64_t owner, bool flock) const;
  LockHolder* add(Request& request, Node* node, const LkIn& in, int* error);
  void unlock(LockHolder& holder);
  void dropIdle();
  bool deadlocks(const LockHolder& asking, const LockRange& range) const;
  std::vector<const LockHolder*> blockers(const LockHolder& asking, const LockRange& range) const;

  BlockingCalls& calls_;
  Holders holders_;
};

}  // namespace lamina
