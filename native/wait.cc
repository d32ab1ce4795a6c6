#include "wait.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace lamina {
namespace {

constexpr int64_t kHotGap = 150'000;    // gaps below this are worth staying awake for
constexpr int64_t kMaxBudget = 60'000;  // and never longer than this

}  // namespace

int64_t nowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void AdaptiveWait::arrived(int64_t now) {
  if (!lastReply_) return;
  int64_t gap = std::min(now - lastReply_, kMaxGap);
  gap_ += (gap - gap_) / 4;
  budget_ = gap_ < kHotGap ? std::clamp<int64_t>(gap_ * 2, 10'000, kMaxBudget) : 0;
}

void AdaptiveWait::ranOut() { budget_ = 0; }

}  // namespace lamina
