// The serving loop of one worker: reads requests of its mounts, answers what needs no decision, asks TypeScript for the
// rest, writes each reply once. It runs inside run(), on the worker's JavaScript thread, and returns when the wake fd
// is written or the last mount is gone.
#pragma once

#include <stdint.h>

#include <vector>

#include "blocking.h"
#include "locks.h"
#include "mount.h"
#include "request.h"
#include "unique_fd.h"
#include "wait.h"

namespace lamina {

/** What the loop asks of TypeScript. Called on the loop thread. */
class Decisions {
 public:
  virtual ~Decisions() = default;
  /** Answers the request in the request buffer: payload length in the reply buffer, or -errno. */
  virtual int decide(int mount, const InHeader& in) = 0;
  /** Brings a node to upper, its first `length` bytes of data (all when negative). 0 or -errno. */
  virtual int copyUp(int mount, uint64_t nodeid, int64_t length) = 0;
  /** Housekeeping: nodes were dropped or backing ids registered. */
  virtual void tidy(int mount) = 0;
  /** The kernel ended the mount. */
  virtual void ended(int mount) = 0;
};

class Loop {
 public:
  /** `wakeFd`: an eventfd of the caller's, duplicated; writing it makes run() return. */
  Loop(int wakeFd, uint8_t* request, size_t requestSize, uint8_t* reply, size_t replySize);
  /** 0, or the errno that kept the loop from being set up. */
  int error() const { return error_; }
  int add(int index, Mount* mount);
  void remove(int index);
  void run(Decisions& decisions);

 private:
  struct Served {
    int index;
    Mount* mount;
  };
  /** A request that waits for work beside the loop, to be answered again from its start. */
  struct Parked {
    int index;
    uint32_t offload;
    std::vector<uint8_t> bytes;
    const InHeader& in() const { return *reinterpret_cast<const InHeader*>(bytes.data()); }
  };
  enum class Step { kServed, kNothing, kEnded };

  Step serveOne(Decisions& decisions, const Served& served);
  void serveRequest(Decisions& decisions, const Served& served, size_t size);
  void resume(Decisions& decisions);
  void resumeAll(Decisions& decisions, const Served& served, uint32_t offload);
  void interruptParked(const Served& served, uint64_t unique);
  int answerOnce(Decisions& decisions, const Served& served, Request& request);
  int answer(Decisions& decisions, const Served& served, Request& request);
  Request requestOf(Mount& mount, const InHeader& in, const uint8_t* bytes, size_t size) const;
  void send(const Request& request, int result);
  void undo(const Request& request, int result);
  bool poll(Decisions& decisions);
  bool sleep(Decisions& decisions);
  bool serveReady(Decisions& decisions, int timeout, bool* any = nullptr);
  Served* find(int index);

  uint8_t* request_;
  size_t requestSize_;
  uint8_t* reply_;
  size_t replySize_;
  UniqueFd epoll_, wake_;
  BlockingCalls calls_;
  LockTable locks_{calls_};
  int error_ = 0;
  std::vector<Served> served_;
  std::vector<Parked> parked_;
  int hot_ = -1;
  AdaptiveWait wait_;
  bool ownFs_ = false;
};

}  // namespace lamina
