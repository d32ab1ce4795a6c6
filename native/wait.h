// How a serving thread waits for its next request. Waking an idle core costs several times what a request takes, and
// there are two ways not to: poll for a while before sleeping, or sleep on the very core where the client runs, so that
// handing over is one context switch. Which is better depends on the machine, its scheduler and its load, so while
// requests come quickly both are tried in turn, a few dozen requests each, and the better one is kept for thousands.
#pragma once

#include <sched.h>
#include <stdint.h>

#include "idle_hold.h"

namespace lamina {

/** Monotonic nanoseconds. Any thread. */
int64_t nowNanoseconds();

/** Loop thread only: it changes the affinity of the calling thread, within the mask it started with. */
class AdaptiveWait {
 public:
  AdaptiveWait();
  /** A request of thread `pid` was read; 0 for one whose processor must not be asked for. */
  void arrived(int64_t now, uint32_t pid);
  /** The reply is out: the gap to the next request starts. */
  void replied(int64_t now) { lastReply_ = now; }
  /** Nanoseconds to poll after the last reply before sleeping; 0 to sleep at once. */
  int64_t budget() const { return budget_; }
  int64_t sinceReply(int64_t now) const { return now - lastReply_; }
  /** Polling ran out without a request. */
  void ranOut() { budget_ = 0; }
  /** Milliseconds the first sleep may take before `rested` is to be called; -1 for ever. */
  int restAfter() const { return pinned_ || idle_.held() ? 4 : -1; }
  /** Nothing came for a while: the thread may run anywhere again, and idle cores may halt. */
  void rested();

 private:
  enum Way { kPoll = 0, kBeside = 1 };
  void measure(int64_t spent, uint32_t pid);
  void keepOn(double mean, uint32_t pid);
  void turnTo(Way way, uint32_t pid);
  void follow(uint32_t pid);
  void unpin();

  cpu_set_t allowed_;
  int cpus_;
  Way way_ = kPoll;
  bool pinned_ = false;
  int pinnedTo_ = -1;
  int64_t lastReply_ = 0, lastArrival_ = 0;
  int64_t gap_;  // smoothed time from reply to next request
  int64_t budget_ = 0;
  IdleHold idle_;
  uint32_t hotInARow_ = 0;
  // A window adds up arrival-to-arrival times; a comparison is one window of each way.
  uint32_t inWindow_ = 0;
  int64_t windowTime_ = 0;
  double score_[2] = {0, 0};
  int windowsLeft_ = 2;  // of the comparison under way; 0 when one way is kept
  uint32_t keep_ = 0;    // requests until the next comparison
  uint32_t keepNext_;
  int worse_ = 0;  // windows in a row that were far above the kept way's score
};

}  // namespace lamina
