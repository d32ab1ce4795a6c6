// How long a serving thread polls before it sleeps. Waking an idle core costs several times what a request takes, so
// while requests follow each other closely it is cheaper to stay awake; when they do not, the thread sleeps at once.
#pragma once

#include <stdint.h>

namespace lamina {

/** Monotonic nanoseconds. Any thread. */
int64_t nowNanoseconds();

class AdaptiveWait {
 public:
  /** A request was read; `polled` says whether polling met it. */
  void arrived(int64_t now);
  /** The reply is out: the gap to the next request starts. */
  void replied(int64_t now) { lastReply_ = now; }
  /** Nanoseconds to poll after the last reply before sleeping; 0 to sleep at once. */
  int64_t budget() const { return budget_; }
  int64_t sinceReply(int64_t now) const { return now - lastReply_; }
  /** Polling ran out without a request. */
  void ranOut();

 private:
  int64_t lastReply_ = 0;
  int64_t budget_ = 0;
  int64_t gap_ = kMaxGap;  // smoothed time from reply to next request
  static constexpr int64_t kMaxGap = 1'000'000;
};

}  // namespace lamina
