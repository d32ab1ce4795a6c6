// System calls that may block for long (fsync, a lock, the data of a copy-up), on threads beside the loop. A call ends
// on the loop thread, which learns of it through an eventfd.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <time.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "unique_fd.h"

namespace lamina {

/** One call. Made and ended on the loop thread. */
class BlockingCall {
 public:
  virtual ~BlockingCall() = default;
  /** The call itself, on a pool thread: touches nothing that the loop owns. */
  virtual int work() = 0;
  /** What follows from it, on the loop thread. */
  virtual void done(int result) = 0;
};

/** The threads of one loop: made when needed, gone after a rest. They outlive the loop if a call never returns. */
class BlockingCalls {
 public:
  BlockingCalls();
  ~BlockingCalls();
  BlockingCalls(const BlockingCalls&) = delete;
  BlockingCalls& operator=(const BlockingCalls&) = delete;

  /** Loop thread. When no thread can be made, the call ends with EAGAIN. */
  void run(std::unique_ptr<BlockingCall> call);
  /** Ends the calls that have returned. Loop thread, outside of any request. */
  void finish();
  /** Whether a call has returned. Any thread; cheap. */
  bool ready() const { return shared_->ready.load(std::memory_order_relaxed); }
  /** Readable when a call has returned; -1 when there was no fd left for it. */
  int fd() const { return shared_->ended.get(); }

 private:
  struct Ended {
    std::unique_ptr<BlockingCall> call;
    int result;
  };
  struct Shared {
    std::mutex mutex;
    std::condition_variable work;
    std::deque<std::unique_ptr<BlockingCall>> waiting;
    std::vector<Ended> finished;
    std::atomic<bool> ready = false;
    size_t idle = 0;
    bool closing = false;
    UniqueFd ended;
  };
  static void serve(std::shared_ptr<Shared> shared);

  std::shared_ptr<Shared> shared_;
};

/**
 * Breaks off a system call that blocks another thread: a timer of that thread signals it again and again, so that a
 * signal which comes just before the call is not the last one.
 */
class Interrupter {
 public:
  /** On the thread that is going to block. */
  void arm();
  void disarm();
  /** Any thread, at any time. */
  void fire();
  bool fired() const { return fired_; }

 private:
  std::mutex mutex_;
  std::atomic<bool> fired_ = false;
  bool armed_ = false;
  timer_t timer_{};
};

}  // namespace lamina
