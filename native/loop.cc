#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "bypass.h"
#include "caller.h"
#include "identity.h"

namespace lamina {
namespace {

// What epoll reports beside the indexes of mounts.
constexpr uint32_t kWoken = UINT32_MAX, kCallEnded = UINT32_MAX - 1;

}  // namespace

Loop::Loop(int wakeFd, uint8_t* request, size_t requestSize, uint8_t* reply, size_t replySize)
    : request_(request), requestSize_(requestSize), reply_(reply), replySize_(replySize) {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  wake_.reset(fcntl(wakeFd, F_DUPFD_CLOEXEC, 3));
  epoll_event event{EPOLLIN, {.u32 = kWoken}};
  epoll_event ended{EPOLLIN, {.u32 = kCallEnded}};
  bool failed = !epoll_ || !wake_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) < 0;
  if (failed || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, calls_.fd(), &ended) < 0) error_ = errno;
}

int Loop::add(int index, Mount* mount) {
  int fd = mount->device.get();
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) return -errno;
  epoll_event event{EPOLLIN, {.u32 = static_cast<uint32_t>(index)}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return -errno;
  mount->blocking = &calls_;
  if (mount->options.locks) mount->locks = &locks_;
  served_.push_back({index, mount});
  return 0;
}

Loop::Served* Loop::find(int index) {
  for (Served& served : served_) {
    if (served.index == index) return &served;
  }
  return nullptr;
}

void Loop::remove(int index) {
  Served* served = find(index);
  if (!served) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, served->mount->device.get(), nullptr);
  locks_.drop(served->mount);
  served->mount->locks = nullptr;
  served->mount->blocking = nullptr;
  std::erase_if(parked_, [&](const Parked& each) { return each.index == index; });
  served_.erase(served_.begin() + (served - served_.data()));
  if (hot_ == index) hot_ = -1;
}

namespace {

constexpr int kMaxErrno = 512;  // Linux: fuse_dev_do_write

/** Bytes of data that the op which asked for copy-up needs: a truncating one needs none. */
int64_t copyUpLength(const Request& request) {
  if (request.in.opcode == kOpen) {
    auto* in = request.as<OpenIn>();
    return in && (in->flags & O_TRUNC) ? 0 : -1;
  }
  if (request.in.opcode == kSetattr) {
    auto* in = request.as<SetattrIn>();
    return in && (in->valid & kFattrSize) ? static_cast<int64_t>(in->size) : -1;
  }
  return -1;
}

}  // namespace

int Loop::answerOnce(Decisions& decisions, const Served& served, Request& request) {
  int result = bypass(request);
  // Copy-up settles the node; a second round is for the other node of a two-node op.
  for (int round = 0; result == kNeedsUpper && round < 2; round++) {
    served.mount->counters.decisions++;
    int error = decisions.copyUp(served.index, request.needsUpper->id, copyUpLength(request));
    result = error ? error : bypass(request);
  }
  if (result == kNeedsUpper) return -EIO;
  if (result != kDecide) return result;
  served.mount->counters.decisions++;
  result = decisions.decide(served.index, request.in);
  // The kernel leaves a request without an answer for ever when the reply is malformed.
  bool sound = result <= static_cast<int>(request.capacity) && result > -kMaxErrno;
  return sound || result == kParked ? result : -EIO;
}

// unlink(2) has returned long ago for the caller, while a FORGET is still on its way.
int Loop::answer(Decisions& decisions, const Served& served, Request& request) {
  int result = answerOnce(decisions, served, request);
  bool again = result == -ENOSPC && served.mount->abandonRemoved();
  // The process has none left: idle ones are closed, whichever mount has them.
  if (result == -EMFILE || result == -ENFILE) {
    for (const Served& each : served_) again = each.mount->fds.shrink() || again;
  }
  if (!again) return result;
  undo(request, result);
  request.needsUpper = nullptr;
  return answerOnce(decisions, served, request);
}

/** Takes back what a reply that nobody got, or an error, would have given away. */
void Loop::undo(const Request& request, int result) {
  Mount& mount = request.mount;
  const InHeader& in = request.in;
  mount.forgetEntered();
  uint32_t offset = in.opcode == kOpen ? 0 : sizeof(EntryOut);
  bool opens = in.opcode == kOpen || in.opcode == kCreate || in.opcode == kTmpfile;
  if (!opens || result < static_cast<int>(offset + sizeof(OpenOut))) return;
  auto* open = reinterpret_cast<const OpenOut*>(request.out + offset);
  auto* entry = reinterpret_cast<const EntryOut*>(request.out);
  Node* node = mount.nodes.find(in.opcode == kOpen ? in.nodeid : entry->nodeid);
  auto* asked = in.opcode == kOpen ? request.as<OpenIn>() : nullptr;
  if (asked && (asked->flags & kOpenExec) && node && node->running) node->running--;
  takeBackOpen(mount, node, *open);
}

void Loop::send(const Request& request, int result) {
  Mount& mount = request.mount;
  auto* out = reinterpret_cast<OutHeader*>(reply_);
  out->len = sizeof *out + (result > 0 ? result : 0);
  out->error = result < 0 ? result : 0;
  out->unique = request.in.unique;
  if (result < 0) mount.counters.errors++;
  // ENOENT: the caller was killed meanwhile. Nobody will ever forget or release what this reply gave.
  bool lost = write(mount.device.get(), reply_, out->len) < 0;
  if (lost || result < 0) undo(request, result);
}

namespace {

/**
 * Whether its sender may be closing files in the middle of an execve. It then holds what a read of its /proc/PID/stat
 * waits for (Linux: exec_update_lock), and waits for us.
 */
bool mayBeExecuting(const InHeader& in) { return in.opcode == kFlush || in.opcode == kRelease; }

}  // namespace

Loop::Step Loop::serveOne(Decisions& decisions, const Served& served) {
  Mount& mount = *served.mount;
  ssize_t n = read(mount.device.get(), request_, requestSize_);
  if (n < 0) {
    if (errno == ENODEV) return Step::kEnded;
    return errno == ENOENT || errno == EINTR ? Step::kServed : Step::kNothing;
  }
  if (n < static_cast<ssize_t>(sizeof(InHeader))) return Step::kServed;
  auto* in = reinterpret_cast<const InHeader*>(request_);
  wait_.arrived(nowNanoseconds(), mayBeExecuting(*in) ? 0 : in->pid);
  if (in->opcode < kOpcodeCount) mount.counters.requests[in->opcode]++;
  if (in->opcode == kInterrupt && n >= static_cast<ssize_t>(sizeof(InHeader) + sizeof(InterruptIn))) {
    interruptParked(served, reinterpret_cast<const InterruptIn*>(in + 1)->unique);
  }
  serveRequest(decisions, served, n);
  if (mount.nodes.hasDropped() || mount.registered.size() >= 64) decisions.tidy(served.index);
  wait_.replied(nowNanoseconds());
  return Step::kServed;
}

/** The request whose `size` bytes are `bytes`, answered in the reply buffer. `in`: its header, which must stay. */
Request Loop::requestOf(Mount& mount, const InHeader& in, const uint8_t* bytes, size_t size) const {
  return {mount, in, bytes + sizeof in, size - sizeof in, reply_ + sizeof(OutHeader), replySize_ - sizeof(OutHeader)};
}

/** Answers the `size` bytes of the request buffer, or parks them. */
void Loop::serveRequest(Decisions& decisions, const Served& served, size_t size) {
  Mount& mount = *served.mount;
  InHeader in;
  memcpy(&in, request_, sizeof in);
  mount.entered.clear();
  Request request = requestOf(mount, in, request_, size);
  mount.fds.beginRequest();
  int result = answer(decisions, served, request);
  mount.endRequest();
  if (result == kParked) {
    undo(request, -EINTR);
    parked_.push_back({served.index, mount.offloads.awaited, {request_, request_ + size}});
    return;
  }
  if (result != kNoReply) send(request, result);
}

/** Answers what waited for work that has ended. Outside of any request. */
void Loop::resume(Decisions& decisions) {
  calls_.finish();
  for (size_t i = 0; i < served_.size(); i++) {
    const Served served = served_[i];
    std::vector<uint32_t> ended = served.mount->offloads.takeEnded();
    for (uint32_t offload : ended) resumeAll(decisions, served, offload);
    // What nobody took is dropped.
    if (!ended.empty()) decisions.tidy(served.index);
  }
}

void Loop::resumeAll(Decisions& decisions, const Served& served, uint32_t offload) {
  auto first = std::stable_partition(parked_.begin(), parked_.end(), [&](const Parked& each) {
    return each.index != served.index || each.offload != offload;
  });
  std::vector<Parked> due(std::make_move_iterator(first), std::make_move_iterator(parked_.end()));
  parked_.erase(first, parked_.end());
  for (const Parked& each : due) {
    memcpy(request_, each.bytes.data(), each.bytes.size());
    serveRequest(decisions, served, each.bytes.size());
  }
}

/** A parked request whose caller was killed is over; its work too when nobody else waits for it. */
void Loop::interruptParked(const Served& served, uint64_t unique) {
  auto found = std::find_if(parked_.begin(), parked_.end(), [&](const Parked& each) {
    return each.index == served.index && each.in().unique == unique;
  });
  if (found == parked_.end() || !Caller(found->in()).dying()) return;
  Parked ended = std::move(*found);
  parked_.erase(found);
  served.mount->entered.clear();
  send(requestOf(*served.mount, ended.in(), ended.bytes.data(), ended.bytes.size()), -EINTR);
  bool wanted = std::any_of(parked_.begin(), parked_.end(), [&](const Parked& each) {
    return each.index == served.index && each.offload == ended.offload;
  });
  if (!wanted) served.mount->offloads.stop(ended.offload);
}

/** Polls the mount that was served last. True when a request came; false when it is time to sleep. */
bool Loop::poll(Decisions& decisions) {
  Served* served = hot_ < 0 ? nullptr : find(hot_);
  if (!served) return false;
  int64_t budget = wait_.budget();
  for (int round = 1;; round++) {
    served->mount->counters.spins++;
    Step step = serveOne(decisions, *served);
    if (step == Step::kServed) return true;
    if (step == Step::kEnded) {
      int index = served->index;
      remove(index);
      decisions.ended(index);
      return false;
    }
    if (wait_.sinceReply(nowNanoseconds()) >= budget) {
      wait_.ranOut();
      return false;
    }
    // Others, and the wake fd, get a look now and then.
    if (calls_.ready() || (round % 64 == 0 && served_.size() > 1)) return false;
  }
}

/** Serves whatever is ready, waiting `timeout` ms for it. False when the wake fd was written. */
bool Loop::serveReady(Decisions& decisions, int timeout, bool* any) {
  epoll_event events[16];
  int count = epoll_wait(epoll_.get(), events, 16, timeout);
  if (any) *any = count != 0;
  bool woken = false;
  for (int i = 0; i < count; i++) {
    if (events[i].data.u32 == kCallEnded) {
      resume(decisions);
      continue;
    }
    if (events[i].data.u32 == kWoken) {
      uint64_t value;
      if (read(wake_.get(), &value, sizeof value) > 0) woken = true;
      continue;
    }
    Served* served = find(static_cast<int>(events[i].data.u32));
    if (!served) continue;
    hot_ = served->index;
    if (serveOne(decisions, *served) == Step::kEnded) {
      int index = static_cast<int>(events[i].data.u32);
      remove(index);
      decisions.ended(index);
    }
  }
  return !woken;
}

/** Sleeps until something is ready. False when the wake fd was written. */
bool Loop::sleep(Decisions& decisions) {
  for (const Served& each : served_) each.mount->giveBackMemory();
  int rest = wait_.restAfter();
  bool ready = false;
  if (!serveReady(decisions, rest, &ready)) return false;
  if (ready || rest < 0) return true;
  wait_.rested();
  return serveReady(decisions, -1);
}

void Loop::run(Decisions& decisions) {
  // A umask of this thread's own: ops take the caller's while they create (identity.h).
  if (!ownFs_ && unshare(CLONE_FS) == 0) {
    umask(0);
    leaveGroups();
    ownFs_ = true;
  }
  for (uint32_t served = 0; !served_.empty();) {
    if (poll(decisions)) {
      if ((++served % 256 == 0 || calls_.ready()) && !serveReady(decisions, 0)) return;
      continue;
    }
    if (served_.empty()) return;
    for (const Served& each : served_) each.mount->counters.sleeps++;
    if (!sleep(decisions)) return;
  }
}

}  // namespace lamina
