#include "blocking.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <chrono>
#include <system_error>
#include <thread>

namespace lamina {
namespace {

constexpr std::chrono::seconds kRest{10};
constexpr long kAgain = 5'000'000;  // ns between two signals of an Interrupter

/** A signal of nobody else's: it only makes a system call return EINTR. */
int interruptSignal() { return SIGRTMIN + 9; }

void ignoreSignal(int) {}

/** Makes an eventfd readable; a full one is already. */
void announce(int fd) {
  uint64_t one = 1;
  while (write(fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

}  // namespace

BlockingCalls::BlockingCalls() : shared_(std::make_shared<Shared>()) {
  shared_->ended.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

BlockingCalls::~BlockingCalls() {
  std::lock_guard lock(shared_->mutex);
  shared_->closing = true;
  shared_->waiting.clear();
  shared_->finished.clear();
  shared_->work.notify_all();
}

void BlockingCalls::serve(std::shared_ptr<Shared> shared) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->idle++;
    bool came = shared->work.wait_for(lock, kRest, [&] { return !shared->waiting.empty() || shared->closing; });
    shared->idle--;
    if (!came || shared->closing) return;
    auto call = std::move(shared->waiting.front());
    shared->waiting.pop_front();
    lock.unlock();
    int result = call->work();
    lock.lock();
    if (shared->closing) return;
    shared->finished.push_back({std::move(call), result});
    shared->ready = true;
    announce(shared->ended.get());
  }
}

void BlockingCalls::run(std::unique_ptr<BlockingCall> call) {
  std::lock_guard lock(shared_->mutex);
  shared_->waiting.push_back(std::move(call));
  if (shared_->idle >= shared_->waiting.size()) {
    shared_->work.notify_one();
    return;
  }
  // Signals are for the threads of Node; only an Interrupter's reaches these.
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, interruptSignal());
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 256 << 10);
  auto* start = new std::shared_ptr<Shared>(shared_);
  pthread_t thread;
  int failed = pthread_create(
      &thread, &attributes,
      [](void* given) -> void* {
        std::unique_ptr<std::shared_ptr<Shared>> held(static_cast<std::shared_ptr<Shared>*>(given));
        pthread_setname_np(pthread_self(), "lamina-blocking");
        serve(*held);
        return nullptr;
      },
      start);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!failed) return;
  delete start;
  shared_->finished.push_back({std::move(shared_->waiting.back()), -failed});
  shared_->waiting.pop_back();
  shared_->ready = true;
  announce(shared_->ended.get());
}

void BlockingCalls::finish() {
  uint64_t count;
  while (read(shared_->ended.get(), &count, sizeof count) > 0) continue;
  std::vector<Ended> finished;
  {
    std::lock_guard lock(shared_->mutex);
    finished.swap(shared_->finished);
    shared_->ready = false;
  }
  for (Ended& each : finished) each.call->done(each.result);
}

void Interrupter::arm() {
  struct sigaction action {};
  action.sa_handler = ignoreSignal;  // no SA_RESTART: the call is to return
  sigaction(interruptSignal(), &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = interruptSignal();
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
  std::lock_guard lock(mutex_);
  armed_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
}

void Interrupter::disarm() {
  std::lock_guard lock(mutex_);
  if (armed_) timer_delete(timer_);
  armed_ = false;
}

void Interrupter::fire() {
  std::lock_guard lock(mutex_);
  fired_ = true;
  itimerspec at{{0, kAgain}, {0, 1}};
  if (armed_) timer_settime(timer_, 0, &at, nullptr);
}

}  // namespace lamina
