// Ops that may take long, fsync and copy_file_range: beside the loop, so that everybody else is served meanwhile.

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "blocking.h"
#include "bypass.h"
#include "offload.h"

namespace lamina {

namespace {

/** A call beside the loop that writes its own reply. */
class AnsweredCall : public BlockingCall {
 public:
  explicit AnsweredCall(const Request& request)
      : device_(fcntl(request.mount.device.get(), F_DUPFD_CLOEXEC, 3)), unique_(request.in.unique) {}
  virtual bool ready() const { return static_cast<bool>(device_); }
  void done(int result) override {
    if (result == -EAGAIN) work();  // no thread could be had
  }

 protected:
  int answer(int error, const void* payload = nullptr, size_t size = 0) {
    OutHeader out{static_cast<uint32_t>(sizeof out + size), error, unique_};
    iovec parts[2] = {{&out, sizeof out}, {const_cast<void*>(payload), size}};
    return writev(device_.get(), parts, size ? 2 : 1) < 0 ? -errno : 0;  // ENOENT: the caller was killed
  }

 private:
  UniqueFd device_;
  uint64_t unique_;
};

int syncNow(int fd, bool dataOnly) { return (dataOnly ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0; }

class SyncCall : public AnsweredCall {
 public:
  SyncCall(const Request& request, int fd, bool dataOnly)
      : AnsweredCall(request), file_(fcntl(fd, F_DUPFD_CLOEXEC, 3)), dataOnly_(dataOnly) {}
  bool ready() const override { return file_ && AnsweredCall::ready(); }
  int work() override { return answer(syncNow(file_.get(), dataOnly_)); }

 private:
  UniqueFd file_;
  bool dataOnly_;
};

/** Bytes of one file that go to another. */
struct Range {
  loff_t from, to;
  size_t length;
};

/** How many were copied, or -errno. */
ssize_t copyNow(int from, int to, Range range) {
  ssize_t n = copy_file_range(from, &range.from, to, &range.to, range.length, 0);
  return n < 0 ? -errno : n;
}

class CopyCall : public AnsweredCall {
 public:
  CopyCall(const Request& request, int from, int to, const Range& range)
      : AnsweredCall(request),
        from_(fcntl(from, F_DUPFD_CLOEXEC, 3)),
        to_(fcntl(to, F_DUPFD_CLOEXEC, 3)),
        range_(range) {}
  bool ready() const override { return from_ && to_ && AnsweredCall::ready(); }
  int work() override {
    ssize_t n = copyNow(from_.get(), to_.get(), range_);
    LseekOut copied{static_cast<uint64_t>(n)};  // the same bytes as a WriteOut
    return n < 0 ? answer(static_cast<int>(n)) : answer(0, &copied, sizeof copied);
  }

 private:
  UniqueFd from_, to_;
  Range range_;
};

}  // namespace

int opFsync(Request& request, bool directory) {
  auto* in = request.as<FsyncIn>();
  Node* node = request.node();
  if (!in) return -EINVAL;
  if (!node) return -ESTALE;
  if (!node->has(kNodeWritable)) return 0;  // a lower file has nothing to write back
  if (request.mount.options.skipSync && !node->has(kNodeRoute)) return 0;
  Borrowed file(request.mount, directory ? 0 : in->fh, node, directory ? O_RDONLY | O_DIRECTORY : O_RDONLY);
  if (file.get() < 0) return file.get();
  bool dataOnly = in->flags & 1;
  if (!request.mount.blocking || syncsInMemory(file.get())) return syncNow(file.get(), dataOnly);
  auto call = std::make_unique<SyncCall>(request, file.get(), dataOnly);
  if (!call->ready()) return syncNow(file.get(), dataOnly);
  request.mount.blocking->run(std::move(call));
  return kNoReply;
}

int opCopyFileRange(Request& request) {
  constexpr size_t kWorthAThread = 1 << 20, kMost = 64 << 20;  // who is killed is let go when that many are copied
  auto* in = request.as<CopyFileRangeIn>();
  Node* from = request.node();
  if (!in) return -EINVAL;
  Node* to = request.mount.nodes.find(in->nodeidOut);
  if (!from || !to) return -ESTALE;
  to = request.mount.live(to);
  int error = checkWritable(request, to);
  if (error) return error;
  Borrowed source(request.mount, in->fhIn, from, O_RDONLY), target(request.mount, in->fhOut, to, O_RDWR);
  if (source.get() < 0) return source.get();
  if (target.get() < 0) return target.get();
  Range range{static_cast<loff_t>(in->offIn), static_cast<loff_t>(in->offOut), std::min<size_t>(in->len, kMost)};
  if (request.mount.blocking && range.length > kWorthAThread) {
    auto call = std::make_unique<CopyCall>(request, source.get(), target.get(), range);
    if (call->ready()) {
      request.mount.blocking->run(std::move(call));
      return kNoReply;
    }
  }
  ssize_t n = copyNow(source.get(), target.get(), range);
  if (n < 0) return static_cast<int>(n);
  request.reply<LseekOut>()->offset = n;
  return sizeof(LseekOut);
}

}  // namespace lamina
