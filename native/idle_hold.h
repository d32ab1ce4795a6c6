// Keeps idle cores quick to wake while a serving thread is busy: a PM QoS request through /dev/cpu_dma_latency, which
// the kernel drops with the fd. Waking a core from a deep or virtual halt costs several times what a request takes, on
// either side of the hand-over. Needs root; without it nothing happens. Loop thread.
#pragma once

#include <stdint.h>

#include "unique_fd.h"

namespace lamina {

class IdleHold {
 public:
  /** Asks for quick wake-ups; cheap when held already. */
  void hold();
  /** Takes the request back. */
  void release();
  bool held() const { return held_; }

 private:
  void write(int32_t microseconds);

  UniqueFd fd_;
  bool tried_ = false;
  bool held_ = false;
  int32_t latency_ = 0;
};

}  // namespace lamina
