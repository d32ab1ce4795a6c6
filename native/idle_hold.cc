#include "idle_hold.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

namespace lamina {
namespace {

constexpr int32_t kNoLimit = 2'000'000'000;  // PM_QOS_CPU_LATENCY_DEFAULT_VALUE
// A guest's haltpoll governor knows only "no latency at all"; elsewhere the first halt state is quick enough and
// spares the power of polling on every idle core.
constexpr int32_t kGuest = 0, kHost = 5;

bool guestGovernor() {
  char name[16] = {};
  UniqueFd fd(open("/sys/devices/system/cpu/cpuidle/current_governor", O_RDONLY | O_CLOEXEC));
  return fd && read(fd.get(), name, sizeof name - 1) > 0 && strncmp(name, "haltpoll", 8) == 0;
}

}  // namespace

void IdleHold::write(int32_t microseconds) {
  if (::write(fd_.get(), &microseconds, sizeof microseconds) != sizeof microseconds) fd_.reset();
}

void IdleHold::hold() {
  if (held_) return;
  if (!tried_) {
    tried_ = true;
    latency_ = guestGovernor() ? kGuest : kHost;
    fd_.reset(open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC));
  }
  if (!fd_) return;
  write(latency_);
  held_ = true;
}

void IdleHold::release() {
  if (!held_) return;
  if (fd_) write(kNoLimit);
  held_ = false;
}

}  // namespace lamina
