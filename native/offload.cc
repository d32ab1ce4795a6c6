#include "offload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "copy_data.h"

namespace lamina {
namespace {

/** Bytes that take longer to copy than to hand over. */
constexpr int64_t kWorthAThread = 1 << 20;

}  // namespace

bool syncsInMemory(int fd) {
  struct statfs fs;
  return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/** A copy when `src` is an fd, an fsync when it is not. */
class Offloads::Call : public BlockingCall {
 public:
  Call(std::shared_ptr<Table> table, uint32_t number, int src, int dst, int64_t length)
      : table_(std::move(table)),
        work_(table_->works[number]),
        number_(number),
        src_(src < 0 ? -1 : fcntl(src, F_DUPFD_CLOEXEC, 3)),
        dst_(fcntl(dst, F_DUPFD_CLOEXEC, 3)),
        copies_(src >= 0),
        length_(length) {}
  bool ready() const { return dst_ && (src_ || !copies_); }
  int work() override {
    if (copies_) return copyData(src_.get(), dst_.get(), length_, &work_->stopped);
    return fsync(dst_.get()) < 0 ? -errno : 0;
  }
  void done(int result) override {
    work_->result = result;
    table_->ended.push_back(number_);
  }

 private:
  std::shared_ptr<Table> table_;
  std::shared_ptr<Work> work_;
  uint32_t number_;
  UniqueFd src_, dst_;
  bool copies_;
  int64_t length_;
};

Offloads::Offloads() : table_(std::make_shared<Table>()) {}

Offloads::~Offloads() {
  for (auto& [number, work] : table_->works) work->stopped = true;
}

int Offloads::begin(BlockingCalls* calls, int src, int dst, int64_t length) {
  uint32_t number = next_++;
  table_->works[number] = std::make_shared<Work>();
  auto call = std::make_unique<Call>(table_, number, src, dst, length);
  if (!call->ready()) {
    table_->works.erase(number);
    return -EMFILE;
  }
  calls->run(std::move(call));
  return static_cast<int>(number);
}

int Offloads::copy(BlockingCalls* calls, int src, int dst, int64_t length) {
  struct stat st;
  if (fstat(src, &st) < 0) return -errno;
  bool small = st.st_size < kWorthAThread || (length >= 0 && length < kWorthAThread);
  return !calls || small ? 0 : begin(calls, src, dst, length);
}

int Offloads::sync(BlockingCalls* calls, int fd) { return !calls || syncsInMemory(fd) ? 0 : begin(calls, -1, fd, 0); }

int Offloads::result(uint32_t number) {
  auto found = table_->works.find(number);
  if (found == table_->works.end()) return -EINVAL;
  int result = found->second->result;
  if (result <= 0) table_->works.erase(found);
  return result;
}

void Offloads::stop(uint32_t number) {
  auto found = table_->works.find(number);
  if (found != table_->works.end()) found->second->stopped = true;
}

std::vector<uint32_t> Offloads::takeEnded() {
  std::vector<uint32_t> ended;
  ended.swap(table_->ended);
  return ended;
}

}  // namespace lamina
