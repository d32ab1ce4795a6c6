#include "wait.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "unique_fd.h"

namespace lamina {
namespace {

constexpr int64_t kMaxGap = 1'000'000;
constexpr int64_t kHotGap = 150'000;    // gaps below this are worth staying awake for
constexpr int64_t kMaxBudget = 60'000;  // and never longer than this
constexpr uint32_t kHotEnough = 32;     // requests in a row after which idle cores are kept quick
constexpr uint32_t kWindow = 64;
constexpr uint32_t kKeepFirst = 2048, kKeepMost = 65536;

/** The CPU that a thread last ran on: field 39 of /proc/PID/stat; -1 when it cannot be seen. */
int cpuOf(uint32_t pid) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  ssize_t n = fd ? read(fd.get(), text, sizeof text - 1) : -1;
  if (n <= 0) return -1;
  text[n] = 0;
  const char* at = strrchr(text, ')');  // the command name before it may hold anything
  int cpu = -1;
  for (int field = 2; at && field < 39; field++) at = strchr(at + 1, ' ');
  return at && sscanf(at, "%d", &cpu) == 1 ? cpu : -1;
}

}  // namespace

int64_t nowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

AdaptiveWait::AdaptiveWait() : gap_(kMaxGap), keepNext_(kKeepFirst) {
  CPU_ZERO(&allowed_);
  cpus_ = sched_getaffinity(0, sizeof allowed_, &allowed_) == 0 ? CPU_COUNT(&allowed_) : 1;
}

void AdaptiveWait::arrived(int64_t now, uint32_t pid) {
  int64_t spent = now - lastArrival_;
  lastArrival_ = now;
  if (!lastReply_) return;
  int64_t gap = std::min(now - lastReply_, kMaxGap);
  gap_ += (gap - gap_) / 4;
  bool hot = gap_ < kHotGap && cpus_ > 1;
  budget_ = hot && way_ == kPoll ? std::clamp<int64_t>(gap_ * 2, 10'000, kMaxBudget) : 0;
  hotInARow_ = hot ? hotInARow_ + 1 : 0;
  if (hotInARow_ >= kHotEnough) idle_.hold();
  if (hot && spent < kMaxGap) measure(spent, pid);
}

void AdaptiveWait::rested() {
  unpin();
  idle_.release();
}

void AdaptiveWait::measure(int64_t spent, uint32_t pid) {
  windowTime_ += spent;
  if (++inWindow_ < kWindow) return;
  double mean = static_cast<double>(windowTime_) / kWindow;
  inWindow_ = 0;
  windowTime_ = 0;
  if (windowsLeft_ == 0) {
    keepOn(mean, pid);
    return;
  }
  score_[way_] = mean;
  if (--windowsLeft_ > 0) {
    turnTo(way_ == kPoll ? kBeside : kPoll, pid);
    return;
  }
  Way better = score_[kPoll] <= score_[kBeside] ? kPoll : kBeside;
  // A clear winner is asked again less often.
  bool clear = std::max(score_[kPoll], score_[kBeside]) > 1.5 * std::min(score_[kPoll], score_[kBeside]);
  keepNext_ = clear ? std::min(keepNext_ * 2, kKeepMost) : kKeepFirst;
  keep_ = keepNext_;
  turnTo(better, pid);
}

/** A window of the way that was kept: it goes on until its time is up or it is no longer what it was. */
void AdaptiveWait::keepOn(double mean, uint32_t pid) {
  keep_ -= std::min(keep_, kWindow);
  worse_ = mean > 1.5 * score_[way_] ? worse_ + 1 : 0;
  if (way_ == kBeside) follow(pid);
  if (keep_ > 0 && worse_ < 2) return;
  if (worse_ >= 2) keepNext_ = kKeepFirst;
  worse_ = 0;
  windowsLeft_ = 2;
}

void AdaptiveWait::turnTo(Way way, uint32_t pid) {
  way_ = way;
  if (way == kBeside) {
    follow(pid);
  } else {
    unpin();
  }
}

void AdaptiveWait::follow(uint32_t pid) {
  int cpu = pid ? cpuOf(pid) : -1;
  if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed_) || (pinned_ && cpu == pinnedTo_)) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) return;
  pinned_ = true;
  pinnedTo_ = cpu;
}

void AdaptiveWait::unpin() {
  if (!pinned_) return;
  sched_setaffinity(0, sizeof allowed_, &allowed_);
  pinned_ = false;
}

}  // namespace lamina
